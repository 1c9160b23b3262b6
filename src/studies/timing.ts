export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Milliseconds that `body` takes. */
export function stopwatch(body: () => void): number {
  const start = performance.now();
  body();
  return performance.now() - start;
}

export interface Rounds {
  /** At most this many. */
  readonly most: number;
  /** No further round is begun after this time, but each job has one. */
  readonly milliseconds: number;
}

/** Times the jobs in turns, so that a machine that slows down slows all of them; a list of times for each. */
export function alternate(jobs: readonly (() => void)[], { most, milliseconds }: Rounds): number[][] {
  const times = jobs.map((): number[] => []);
  const start = performance.now();
  for (let round = 0; round < most && (round === 0 || performance.now() - start < milliseconds); round++) {
    // the order turns, so that nobody always runs after the same neighbour
    for (let turn = 0; turn < jobs.length; turn++) {
      const index = (turn + round) % jobs.length;
      times[index]!.push(stopwatch(jobs[index]!));
    }
  }
  return times;
}

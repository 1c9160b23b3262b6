export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Resolves when what was asked of a device is done. */
export type Done = () => Promise<unknown>;
const atOnce: Done = () => Promise.resolve();

/** Milliseconds until what `body` does is `done`; a short one is repeated for `least` milliseconds, and the mean is given. */
export async function stopwatch(body: () => void, least = 0, done = atOnce): Promise<number> {
  const start = performance.now();
  for (let count = 1; ; count++) {
    body();
    await done();
    const elapsed = performance.now() - start;
    if (elapsed >= least) return elapsed / count;
  }
}

/** Single calls of less are at the mercy of timers and wake-ups. */
const LEAST_MILLISECONDS = 10;

export interface Rounds {
  /** At most this many. */
  readonly most: number;
  /** No further round is begun after this time, but each job has one. */
  readonly milliseconds: number;
}

/** Times the jobs in turns, so that a machine that slows down slows all of them; a list of times for each. */
export async function alternate(
  jobs: readonly (() => void)[],
  { most, milliseconds }: Rounds,
  done = atOnce,
): Promise<number[][]> {
  const times = jobs.map((): number[] => []);
  const start = performance.now();
  for (let round = 0; round < most && (round === 0 || performance.now() - start < milliseconds); round++) {
    // the order turns, so that nobody always runs after the same neighbour
    for (let turn = 0; turn < jobs.length; turn++) {
      const index = (turn + round) % jobs.length;
      times[index]!.push(await stopwatch(jobs[index]!, LEAST_MILLISECONDS, done));
    }
  }
  return times;
}

/** Where a mechanism becomes faster than another one. */
export interface Crossover {
  readonly name: string;
  /** From this length on, interpolated; null where it is not faster at the longest length that both were timed at. */
  readonly length: number | null;
  /** Faster at every length: it may be so at shorter ones too, and `length` is the shortest timed. */
  readonly atMost: boolean;
}

interface Timed {
  readonly name: string;
  readonly length: number;
  readonly milliseconds: number | null;
}

/**
 * The length from which on each name is faster than `against`, by times that are straight lines between measured lengths in
 * log–log coordinates. Times that cross more than once, which is noise, count from the last crossing.
 */
export function crossovers(rows: readonly Timed[], against: string): Crossover[] {
  const times = (name: string): ReadonlyMap<number, number> =>
    new Map(
      rows.flatMap((row) =>
        row.name === name && row.milliseconds !== null ? [[row.length, row.milliseconds] as const] : [],
      ),
    );
  const theirs = times(against);
  const names = [...new Set(rows.map(({ name }) => name))].filter((name) => name !== against);
  return names.map((name) => {
    // the logarithm of own time over theirs, by rising length
    const ratios = [...times(name)]
      .filter(([length]) => theirs.has(length))
      .map(([length, time]) => ({ length, ratio: Math.log(time / theirs.get(length)!) }))
      .sort((a, b) => a.length - b.length);
    const slower = ratios.map(({ ratio }) => ratio >= 0).lastIndexOf(true);
    const [last, next] = [ratios[slower], ratios[slower + 1]];
    if (next === undefined) return { name, length: null, atMost: false };
    if (last === undefined) return { name, length: next.length, atMost: true };
    const share = last.ratio / (last.ratio - next.ratio);
    return { name, length: Math.round(last.length * (next.length / last.length) ** share), atMost: false };
  });
}

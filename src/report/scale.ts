/** A logarithmic axis: values to pixels. */
export interface Scale {
  (value: number): number;
  /** Values to label. */
  readonly ticks: readonly number[];
}

/** Maps the values to pixels `from … to` by logarithm, opened up to 1, 2 or 5 times a power of ten, or to given ticks. */
export function logScale(values: readonly number[], from: number, to: number, ticks?: readonly number[]): Scale {
  const positive = values.filter((value) => value > 0 && Number.isFinite(value));
  const [least, most] = positive.length === 0 ? [1, 10] : [Math.min(...positive), Math.max(...positive)];
  const marks = ticks ?? roundNumbers(least, most);
  const [low, high] = [Math.log(marks[0] ?? least), Math.log(marks.at(-1) ?? most)];
  // one value alone lies in the middle
  const [span, shift] = high === low ? [1, 0.5] : [high - low, 0];
  const scale = (value: number): number => from + ((Math.log(value) - low) / span + shift) * (to - from);
  return Object.assign(scale, { ticks: ticks ?? labelled(marks) });
}

/** 1, 2 and 5 times powers of ten, from the last at or below `least` to the first at or above `most`. */
function roundNumbers(least: number, most: number): number[] {
  const low = Math.floor(Math.log10(least) + 1e-9);
  const decades = Math.ceil(Math.log10(most) - 1e-9) - low + 1;
  const all = Array.from({ length: 3 * decades + 1 }, (_, i) => [1, 2, 5][i % 3]! * 10 ** (low + Math.floor(i / 3)));
  const first = all.findIndex((_, i) => (all[i + 1] ?? Infinity) > least * (1 + 1e-9));
  const last = all.findIndex((mark) => mark >= most * (1 - 1e-9));
  return all.slice(first, Math.max(first + 1, last) + 1);
}

/** All of a few; else powers of ten, every second or third where they are many. */
function labelled(marks: readonly number[]): number[] {
  if (marks.length <= 9) return [...marks];
  const powers = marks.filter((mark) => Math.abs(Math.log10(mark) - Math.round(Math.log10(mark))) < 1e-9);
  const step = Math.ceil(powers.length / 7);
  return powers.filter((_, i) => (powers.length - 1 - i) % step === 0);
}

/** Moves label centres apart to at least `gap`, in order, as little as may be, inside `low … high`. */
export function spread(centres: readonly number[], gap: number, low: number, high: number): number[] {
  const order = centres.map((_, i) => i).sort((a, b) => centres[a]! - centres[b]! || a - b);
  const room = Math.min(gap, (high - low) / Math.max(1, centres.length - 1));
  // clusters of touching labels, each centred on the mean of what it wants
  const clusters: { members: number[]; centre: number }[] = [];
  const extent = (size: number): number => ((size - 1) * room) / 2;
  const settle = (members: number[]): { members: number[]; centre: number } => {
    const mean = members.reduce((sum, i) => sum + centres[i]!, 0) / members.length;
    const half = extent(members.length);
    return { members, centre: Math.min(high - half, Math.max(low + half, mean)) };
  };
  for (const index of order) {
    let cluster = settle([index]);
    for (let last = clusters.at(-1); last !== undefined; last = clusters.at(-1)) {
      const free = cluster.centre - extent(cluster.members.length) - (last.centre + extent(last.members.length));
      if (free >= room - 1e-9) break;
      clusters.pop();
      cluster = settle([...last.members, ...cluster.members]);
    }
    clusters.push(cluster);
  }
  const out = new Array<number>(centres.length);
  for (const { members, centre } of clusters) {
    members.forEach((index, i) => (out[index] = centre - extent(members.length) + i * room));
  }
  return out;
}

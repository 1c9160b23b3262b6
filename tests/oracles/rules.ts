import type { Pair, ScoreStep } from './attend.js';

/** What a rule may know of the shape. Positions of queries count in the keys' numbering: row i is at i + S − L. */
export interface Lengths {
  readonly H: number;
  readonly L: number;
  readonly S: number;
}

export type Allowed = (at: Pair) => boolean;
/** Which pairs a mask allows, for one shape. */
export type Rule = (shape: Lengths) => Allowed;
const byPosition =
  (rule: (q: number, j: number) => boolean) =>
  ({ L, S }: Lengths): Allowed =>
  ({ i, j }) =>
    rule(i + S - L, j);

// the masks as their papers define them, written without the library

export const causal = byPosition((q, j) => j <= q);
export const window = (left: number, right: number) => byPosition((q, j) => -right <= q - j && q - j <= left);
export const windowOrGlobal = (radius: number, positions: readonly number[]) =>
  byPosition((q, j) => Math.abs(q - j) <= radius || positions.includes(q) || positions.includes(j));
export const dilated = (dilation: number, radiusSlots: number) =>
  byPosition((q, j) => (q - j) % dilation === 0 && Math.abs(q - j) / dilation <= radiusSlots);
/** Child et al. 2019, the union of both patterns, bidirectional. */
export const strided = (stride: number) => byPosition((q, j) => Math.abs(q - j) < stride || (q - j) % stride === 0);
export const fixed = (stride: number, columns: number) =>
  byPosition((q, j) => Math.floor(q / stride) === Math.floor(j / stride) || j % stride >= stride - columns);
export const blocks = (size: number) => byPosition((q, j) => Math.floor(q / size) === Math.floor(j / size));
/** The first keys are seen by all, later ones causally. */
export const prefix = (length: number) => byPosition((q, j) => j < length || j <= q);

/** `ids [B, S]`. */
export const document =
  (ids: ArrayLike<number>) =>
  ({ L, S }: Lengths): Allowed =>
  ({ b, i, j }) =>
    i + S - L >= 0 && ids[b * S + i + S - L] === ids[b * S + j];

export const lengths =
  (perBatch: ArrayLike<number>) =>
  (): Allowed =>
  ({ b, j }) =>
    j < perBatch[b]!;

/** `data [L, S]`, or `[H, L, S]`. */
export const dense =
  (data: ArrayLike<number>) =>
  ({ H, L, S }: Lengths): Allowed =>
  ({ h, i, j }) =>
    data[((data.length === H * L * S ? h : 0) * L + i) * S + j] !== 0;

export const both =
  (first: Rule, second: Rule): Rule =>
  (shape) => {
    const [a, b] = [first(shape), second(shape)];
    return (at) => a(at) && b(at);
  };
export const either =
  (first: Rule, second: Rule): Rule =>
  (shape) => {
    const [a, b] = [first(shape), second(shape)];
    return (at) => a(at) || b(at);
  };
export const neither =
  (rule: Rule): Rule =>
  (shape) => {
    const allowed = rule(shape);
    return (at) => !allowed(at);
  };

// score changes

/** cap · tanh(score / cap). */
export const softcap = (cap: number): ScoreStep => ({
  value: (score, _, r) => r(cap * r(Math.tanh(r(score / cap)))),
  slope: (score, _, r) => {
    const t = r(Math.tanh(r(score / cap)));
    return r(1 - r(t * t));
  },
});

/** `get_slopes` of the paper's code (Press, Smith, Lewis 2021). */
export function alibiSlopes(heads: number): number[] {
  const powerOfTwo = (n: number): number[] => {
    const start = 2 ** -(2 ** -(Math.log2(n) - 3));
    return Array.from({ length: n }, (_, i) => start * start ** i);
  };
  if (Number.isInteger(Math.log2(heads))) return powerOfTwo(heads);
  const closest = 2 ** Math.floor(Math.log2(heads));
  const others = alibiSlopes(2 * closest).filter((_, i) => i % 2 === 0);
  return [...powerOfTwo(closest), ...others.slice(0, heads - closest)];
}

/** score − m_h · |q − k|. */
export const alibi = ({ H, L, S }: Lengths): ScoreStep => {
  const slopes = alibiSlopes(H);
  return {
    value: (score, { h, i, j }, r) => r(score - r(r(slopes[h]!) * Math.abs(i + S - L - j))),
    slope: () => 1,
  };
};

/** A step that adds one entry of a table. */
const adding = (table: ArrayLike<number>, index: (at: Pair) => number): ScoreStep => ({
  value: (score, at, r) => r(score + r(table[index(at)]!)),
  slope: () => 1,
  table: { size: table.length, index },
});

/** `table [buckets, H]`; Raffel et al. 2019, `relative_position_bucket` with the logarithm in float32 as published. */
export const t5 = (
  table: ArrayLike<number>,
  rule: { buckets: number; maxDistance: number; bidirectional: boolean },
  { H, L, S }: Lengths,
): ScoreStep => adding(table, ({ h, i, j }) => t5Bucket(j - (i + S - L), rule) * H + h);

export function t5Bucket(
  relative: number,
  rule: { buckets: number; maxDistance: number; bidirectional: boolean },
): number {
  let [bucket, buckets, distance] = [0, rule.buckets, -relative];
  if (rule.bidirectional) {
    buckets /= 2;
    if (distance < 0) bucket += buckets;
    distance = Math.abs(distance);
  } else distance = Math.max(distance, 0);
  const exact = buckets / 2;
  if (distance < exact) return bucket + distance;
  const r = Math.fround;
  const share = r(r(Math.log(r(distance / exact))) / r(Math.log(rule.maxDistance / exact)));
  return bucket + Math.min(buckets - 1, exact + Math.floor(r(share * (buckets - exact))));
}

/** `tensor [B|1, H|1, L|1, S|1]` of the given shape. */
export const bias = (tensor: ArrayLike<number>, shape: readonly number[]): ScoreStep =>
  adding(tensor, ({ b, h, i, j }) =>
    [b, h, i, j].reduce((at, x, dim) => at * shape[dim]! + (shape[dim] === 1 ? 0 : x), 0),
  );

/** score + constant. */
export const shifted = (constant: number): ScoreStep => ({
  value: (score, _, r) => r(score + r(constant)),
  slope: () => 1,
});

import type { Tensor } from './tensor.js';

/** What the host knows of the integers in a tensor, so that no one has to read them back to check them. */
export interface Integers {
  /** No element is above it. */
  readonly high: number;
  /** Every element below 0 is one of these. */
  readonly negatives: ReadonlyMap<number, Found>;
  /** Where `high` stands first, if it does and the counts are those of this very tensor; else these are bounds only. */
  readonly highAt: number | undefined;
}

interface Found {
  readonly count: number;
  /** Flat index of the first. */
  readonly at: number;
}

const known = new WeakMap<Tensor, Integers>();

/** Of i32 tensors made from host data, of their reshapes and parts, and of what operations know to be in range. */
export const integersOf = (tensor: Tensor): Integers | undefined => known.get(tensor);

/** Negative values told apart: an index tensor has one at most, which is ignored. */
const MOST_NEGATIVES = 4;

/** Notes the range of numbers that were just written to a tensor. */
export function noteIntegers(tensor: Tensor, data: ArrayLike<number>): void {
  let highAt = 0;
  const negatives = new Map<number, { count: number; readonly at: number }>();
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    if (value > data[highAt]!) highAt = i;
    if (value >= 0) continue;
    const seen = negatives.get(value);
    if (seen !== undefined) seen.count++;
    else if (negatives.size < MOST_NEGATIVES) negatives.set(value, { count: 1, at: i });
  }
  known.set(tensor, { high: data[highAt]!, highAt, negatives });
}

const none: ReadonlyMap<number, Found> = new Map();

/** Notes that every element is from 0 to `count − 1`, by construction. */
export function noteBelow(tensor: Tensor, count: number): void {
  known.set(tensor, { high: count - 1, highAt: undefined, negatives: none });
}

/** Notes that `tensor` has the elements of another in another shape. */
export function noteSame(tensor: Tensor, of: Tensor): void {
  const found = known.get(of);
  if (found !== undefined) known.set(tensor, found);
}

/** Notes that every element of `tensor` is now an element of one of the others, among which may be itself as it was. */
export function noteAmong(tensor: Tensor, others: readonly Tensor[]): void {
  const found = others.map((other) => known.get(other));
  if (!found.every((one) => one !== undefined)) {
    known.delete(tensor);
    return;
  }
  const high = Math.max(...found.map((one) => one.high));
  known.set(tensor, { high, highAt: undefined, negatives: new Map(found.flatMap((one) => [...one.negatives])) });
}

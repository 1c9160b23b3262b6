import type { Integers } from './storage.js';
import { storageOf, type Tensor } from './tensor.js';

/** Of i32 tensors made from host data, of their reshapes and parts, and of what operations know to be in range. */
export const integersOf = (tensor: Tensor): Integers | undefined => storageOf(tensor).integers;

/** Distinct negative values: an index tensor has one at most, which is ignored. */
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
  storageOf(tensor).integers = { high: data[highAt]!, highAt, negatives };
}

const none: Integers['negatives'] = new Map();

/** Notes that every element is from 0 to `count − 1`, by construction. */
export function noteBelow(tensor: Tensor, count: number): void {
  storageOf(tensor).integers = { high: count - 1, highAt: undefined, negatives: none };
}

/** Notes that every element of `tensor` is an element of one of the others. */
export function noteAmong(tensor: Tensor, others: readonly Tensor[]): void {
  const found = others.map(integersOf);
  if (!found.every((one) => one !== undefined)) return;
  const high = Math.max(...found.map((one) => one.high));
  const negatives = new Map(found.flatMap((one) => [...one.negatives]));
  storageOf(tensor).integers = { high, highAt: undefined, negatives };
}

import type { FloatDtype } from '../../core/dtype.js';
import type { AttendSpec } from './spec.js';

/** Keys of a task: its scores stay in the first cache, and a few thousand keys give every thread some. */
export const queryChunk = 256;
/** Floats of what a task leaves beside its sums of values: the largest score and the sum of the weights. */
const statistics = 16;

/** What attention of one query is specialised to. */
export interface QuerySpec {
  /** Of period 1, without dropout. */
  readonly attend: AttendSpec;
  /** Query heads that read a head of keys. */
  readonly group: number;
  readonly k: FloatDtype;
  readonly v: FloatDtype;
}

export const roundUp = (count: number, unit: number): number => Math.ceil(count / unit) * unit;
/** Floats of a head's part of the results, in whole lines of the cache. */
export const partFloats = (E: number): number => roundUp(E, 16) + statistics;

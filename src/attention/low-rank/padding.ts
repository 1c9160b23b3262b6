import { concat, slice } from '../../ops/index.js';
import { scope, type Tensor } from '../../tensor/index.js';
import type { Call } from '../define.js';

/** The first `end` of an axis; no copy where that is all of it. */
export const firstOf = (x: Tensor, axis: number, end: number): Tensor =>
  x.shape.at(axis) === end ? x : slice(x, { axis, end });

/** q, k and v of which every key counts. */
export interface Whole {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** Keys. */
  readonly length: number;
}

/**
 * `body` of the keys that are no padding: at once where there is none, else for each batch row by itself, its keys cut to
 * their length. All queries are kept.
 */
export function withoutPadding({ q, k, v, lengths, shape: { S } }: Call, body: (part: Whole) => Tensor): Tensor {
  if (lengths === undefined || lengths.every((length) => length === S)) return body({ q, k, v, length: S });
  const rows = lengths.map((length, b) =>
    scope(() => {
      const row = (x: Tensor): Tensor => slice(x, { axis: 0, start: b, end: b + 1 });
      const cut = (x: Tensor): Tensor => firstOf(row(x), 2, length);
      return body({ q: row(q), k: cut(k), v: cut(v), length });
    }),
  );
  return concat(rows);
}

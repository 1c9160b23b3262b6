import { concat, slice } from '../ops/index.js';
import { noGradient, operation, zeros, type Tensor } from '../tensor/index.js';

export interface Piece {
  readonly part: Tensor;
  /** Its first row's number in the whole. */
  readonly start: number;
}

/**
 * `x [N, D]` in the fewest pieces of at most `rows` rows, as even as can be. One operation of many results, so that its gradient
 * is written once: slices would each add an `[N, D]` of zeros around theirs.
 */
export function pieces(x: Tensor, rows: number): Piece[] {
  const total = x.shape[0]!;
  const count = Math.ceil(total / rows);
  const starts = Array.from({ length: count + 1 }, (_, i) => Math.floor((i * total) / count));
  const parts = noGradient(() => starts.slice(0, -1).map((start, i) => slice(x, { start, end: starts[i + 1]! })));
  operation('pieces', [x], parts, (cotangents) => [
    concat(cotangents.map((d, i) => d ?? zeros(parts[i]!.shape, { device: x.device }))),
  ]);
  return parts.map((part, i) => ({ part, start: starts[i]! }));
}

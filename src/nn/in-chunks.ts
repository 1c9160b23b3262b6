import { concat, split } from '../ops/index.js';
import type { Tensor } from '../tensor/index.js';
import type { Module } from './module.js';
import { recompute } from './recompute.js';
import { rowsOf } from './rows.js';

/**
 * `part(x)` for a function of each row by itself, `[..., features] → [..., features]`. At most `chunk` rows are taken at a time, and again
 * in the backward pass, which computes what lies within `part` anew: only one chunk of it lives. Without a chunk all are taken at
 * once. `firstRow` is where the rows begin among all. (Kitaev et al. 2020, "Reformer", arXiv 2001.04451, section 3.)
 */
export function inChunks(
  module: Module,
  x: Tensor,
  chunk: number | undefined,
  part: (rows: Tensor, firstRow: number) => Tensor,
): Tensor {
  return rowsOf(x, (rows) => {
    if (chunk === undefined) return part(rows, 0);
    let next = 0;
    const outs = split(rows, evenly(rows.shape[0]!, chunk)).map((piece) => {
      const start = next;
      next += piece.shape[0]!;
      const [out] = recompute(module, (again) => [part(again, start)], [piece]);
      // the checkpoint keeps the piece where there will be a backward pass
      piece.dispose();
      return out!;
    });
    return concat(outs);
  });
}

/** The fewest extents of at most `most` that add up to `total`, as even as can be. */
function evenly(total: number, most: number): number[] {
  const count = Math.ceil(total / most);
  const start = (i: number): number => Math.floor((i * total) / count);
  return Array.from({ length: count }, (_, i) => start(i + 1) - start(i));
}

import { add, matmul, pad, reshape, slice } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';

/** Rows of a block at least: products of fewer are slow. */
const fewestRows = 16;

/** Rows of a block, so that those a block reads are of two: `[count, blocks]`. */
function blocksOf(rows: number, width: number): readonly [number, number] {
  const b = Math.min(rows, Math.max(fewestRows, width - 1));
  return [b, Math.ceil(rows / b)];
}

/** Columns of a single block that are rows of `[of, E]`. */
const within = (rows: number, width: number, first: number, of: number): readonly [number, number] => [
  Math.max(0, -first),
  Math.min(rows + width - 1, of - first),
];

/**
 * `out_i = Σ_o weights_io v_(i + first + o)`, rows of v that are none being 0: `weights` `[..., rows, width]`, `v` `[..., of, E]`. By blocks
 * of rows, each a product of its weights, moved to the diagonal, with the rows of v that it reads.
 */
export function bandProduct(weights: Tensor, v: Tensor, first: number): Tensor | undefined {
  const [rows, width] = weights.shape.slice(-2) as [number, number];
  const [of, E] = v.shape.slice(-2) as [number, number];
  const [b, blocks] = blocksOf(rows, width);
  if (blocks === 1) {
    const [start, end] = within(rows, width, first, of);
    if (start >= end) return undefined;
    const read = slice(v, { axis: -2, start: first + start, end: first + end });
    return matmul(slice(diagonal(weights), { axis: -1, start, end }), read);
  }
  if (first >= of || first + rows + width - 1 <= 0) return undefined;
  const cut = (x: Tensor, count: number): Tensor => reshape(x, [...x.shape.slice(0, -2), count, b, x.shape.at(-1)!]);
  const moved = diagonal(cut(rowsFrom(weights, 0, blocks * b), blocks)); // [..., blocks, b, b + width − 1]
  const read = cut(rowsFrom(v, first, (blocks + 1) * b), blocks + 1); // [..., blocks + 1, b, E]
  const own = matmul(slice(moved, { axis: -1, end: b }), slice(read, { axis: -3, end: blocks }));
  const next = width > 1 && slice(slice(read, { axis: -3, start: 1 }), { axis: -2, end: width - 1 });
  const all = next ? add(own, matmul(slice(moved, { axis: -1, start: b }), next)) : own;
  const flat = reshape(all, [...all.shape.slice(0, -3), blocks * b, E]);
  return blocks * b === rows ? flat : slice(flat, { axis: -2, end: rows });
}

/** Multiply-adds for a column of v. */
export function bandCost(rows: number, width: number, first: number, of: number): number {
  const [b, blocks] = blocksOf(rows, width);
  if (blocks > 1) return first >= of || first + rows + width - 1 <= 0 ? 0 : blocks * b * (b + width - 1);
  const [start, end] = within(rows, width, first, of);
  return rows * Math.max(0, end - start);
}

/** Row i of `[..., b, width]` moved by i columns: `[..., b, b + width − 1]`, by a row that is one number longer and the same memory. */
function diagonal(x: Tensor): Tensor {
  const [b, width] = x.shape.slice(-2) as [number, number];
  const outer = x.shape.slice(0, -2);
  const still = x.shape.slice(0, -1).map(() => [0, 0] as const);
  const flat = reshape(pad(x, [...still, [0, b]]), [...outer, b * (b + width)]);
  return reshape(slice(flat, { axis: -1, end: b * (b + width - 1) }), [...outer, b, b + width - 1]);
}

/** Rows `start … start + count − 1`, of which those that are none are 0. */
function rowsFrom(x: Tensor, start: number, count: number): Tensor {
  const of = x.shape.at(-2)!;
  const [begin, end] = [Math.max(0, start), Math.min(of, start + count)];
  const some = begin === 0 && end === of ? x : slice(x, { axis: -2, start: begin, end });
  const [before, after] = [begin - start, start + count - end];
  if (before === 0 && after === 0) return some;
  const still = x.shape.slice(0, -2).map(() => [0, 0] as const);
  return pad(some, [...still, [before, after], [0, 0]]);
}

import type { Graph, Matrix } from './graph.js';

export interface Blocks {
  readonly block: number;
  /** `soft`: the softmax; `hard`: one unit of a block; `through`: the same, with the gradient of the softmax. */
  readonly mask: 'soft' | 'hard' | 'through';
  /** Added to the logarithms of the softmax where a unit is chosen. */
  readonly noise?: ArrayLike<number> | undefined;
}

/** Jaszczur et al. 2021, arXiv 2111.12763, section 3.1: `relu(x·W₁ᵀ ⊙ m)·W₂ + b₂`, block by block. */
export function oneOfBlocks(g: Graph, x: Matrix, p: (name: string) => Matrix, { block, mask, noise }: Blocks): Matrix {
  const logits = g.add(g.matmul(g.matmul(x, p('reduce.weight')), p('choose.weight')), p('choose.bias'));
  const hidden = logits.columns;
  const masks = Array.from({ length: hidden / block }, (_, b) => {
    const soft = g.softmax(g.columns(logits, b * block, (b + 1) * block));
    if (mask === 'soft') return soft;
    const ones = Array.from({ length: soft.rows }, (__, i) => {
      const scores = Array.from(
        { length: block },
        (___, j) => Math.log(soft.at(i, j)) + (noise?.[i * hidden + b * block + j] ?? 0),
      );
      const best = scores.indexOf(Math.max(...scores));
      return scores.map((____, j) => Number(j === best));
    }).flat();
    const hard = g.constant(ones, soft.rows, block);
    if (mask === 'hard') return hard;
    // the numbers of one, the gradient of the other
    return g.add(
      soft,
      g.constant(
        ones.map((one, i) => one - soft.data[i]!),
        soft.rows,
        block,
      ),
    );
  });
  const units = g.mul(g.matmulT(x, p('up')), g.concatColumns(masks));
  const left = g.map(
    units,
    (u) => Math.max(0, u),
    (u) => Number(u > 0),
  );
  return g.add(g.matmul(left, p('down')), p('bias'));
}

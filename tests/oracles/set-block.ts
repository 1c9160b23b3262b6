import { activated, affine, normalised } from '../nn/formulas.js';
import type { Graph, Matrix } from './graph.js';

export type Parameter = (name: string) => Matrix | undefined;

/** softmax(scale·q kᵀ) v by heads, side by side; row i sees keys up to `last(i)`. */
export function byHeads(
  g: Graph,
  [q, k, v]: readonly [Matrix, Matrix, Matrix],
  heads: number,
  scale: number,
  last: (i: number) => number = () => Infinity,
): Matrix {
  const part = (x: Matrix, h: number): Matrix => g.columns(x, (h * x.columns) / heads, ((h + 1) * x.columns) / heads);
  return g.concatColumns(
    Array.from({ length: heads }, (_, h) => {
      const scores = g.scale(g.matmulT(part(q, h), part(k, h)), scale);
      return g.matmul(
        g.softmax(scores, (i, j) => j <= last(i)),
        part(v, h),
      );
    }),
  );
}

/** MAB(x, y) of Lee et al. 2019, section 3.1, and the released code: norms where there are weights for them. */
export function setBlock(g: Graph, x: Matrix, y: Matrix, p: Parameter, heads: number): Matrix {
  const of = (rows: Matrix, name: string): Matrix => affine(g, rows, p(name)!, p(`${name}Bias`));
  const normed = (rows: Matrix, name: string): Matrix => {
    const weight = p(`${name}Scale`);
    return weight ? g.add(g.mul(normalised(g, rows, true), weight), p(`${name}Bias`)!) : rows;
  };
  const q = of(x, 'query');
  const attended = byHeads(g, [q, of(y, 'key'), of(y, 'value')], heads, q.columns ** -0.5);
  const sum = normed(g.add(q, attended), 'attended');
  return normed(g.add(sum, activated(g, 'relu', of(sum, 'out'))), 'fed');
}

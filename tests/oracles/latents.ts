import { normalised } from '../nn/formulas.js';
import type { Graph, Matrix } from './graph.js';
import { byHeads } from './set-block.js';

type Named = (name: string) => Matrix;

/** Attn(z, x) W_o of two heads, where row i of z sees rows of x up to `last(i)`. */
export function asked(g: Graph, z: Matrix, x: Matrix, p: Named, last?: (i: number) => number): Matrix {
  const [q, k, v] = [g.matmul(z, p('query')), g.matmul(x, p('key')), g.matmul(x, p('value'))];
  return g.matmul(byHeads(g, [q, k, v], 2, (q.columns / 2) ** -0.5, last), p('out'));
}

/** Perceiver AR: the last `count` rows, which see rows up to themselves. */
export function lastAsk(g: Graph, x: Matrix, stream: Matrix, p: Named, count: number): Matrix {
  const first = Math.max(0, x.rows - count);
  const of = (rows: Matrix): Matrix => g.rows(rows, first, x.rows);
  return g.add(
    of(stream),
    asked(g, of(x), x, p, (i) => first + i),
  );
}

/** Perceiver: learned latents, at most `count`. */
export function latentsAsk(g: Graph, x: Matrix, p: Named, count: number): Matrix {
  const z = g.rows(p('latents'), 0, Math.min(count, x.rows));
  return g.add(z, asked(g, z, x, p));
}

/** Perceiver IO: the learned query of each of so many places reads the latents z. */
export function placesAsk(g: Graph, z: Matrix, p: Named, places: number): Matrix {
  const rows = normalised(g, g.rows(p('places'), 0, places), true);
  const queries = g.add(g.mul(rows, p('placesScale')), p('placesBias'));
  return asked(g, queries, z, p);
}

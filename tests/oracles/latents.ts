import { affine, normalised } from '../nn/formulas.js';
import type { Graph, Matrix } from './graph.js';
import { byHeads } from './set-block.js';

type Named = (name: string) => Matrix;

/** Attn(z, x) W_o of two heads, where row i of z sees rows of x up to `last(i)`. */
export function asked(g: Graph, z: Matrix, x: Matrix, p: Named, last?: (i: number) => number): Matrix {
  const of = (rows: Matrix, name: string): Matrix => affine(g, rows, p(name), p(`${name}Bias`));
  const [q, k, v] = [of(z, 'query'), of(x, 'key'), of(x, 'value')];
  return of(byHeads(g, [q, k, v], 2, (q.columns / 2) ** -0.5, last), 'out');
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

/** Perceiver: learned latents, at most `count`, or all of them; normalised before they ask where there are weights for it. */
export function latentsAsk(g: Graph, x: Matrix, p: Named, count?: number): Matrix {
  const all = p('latents');
  const z = count === undefined ? all : g.rows(all, 0, Math.min(count, x.rows));
  const scale = p('latentsScale') as Matrix | undefined;
  const given = scale ? g.add(g.mul(normalised(g, z, true), scale), p('latentsBias')) : z;
  return g.add(z, asked(g, given, x, p));
}

/** Attention of rows to each other, of two heads, queries and keys of `D` columns a head. */
export function eachOther(g: Graph, x: Matrix, p: Named, D: number): Matrix {
  const all = affine(g, x, p('qkv.weight'), p('qkv.bias'));
  const parts = [g.columns(all, 0, 2 * D), g.columns(all, 2 * D, 4 * D), g.columns(all, 4 * D, all.columns)] as const;
  return affine(g, byHeads(g, [...parts], 2, D ** -0.5), p('out.weight'), p('out.bias'));
}

/** Perceiver IO: the learned query of each of so many places reads the latents z. */
export function placesAsk(g: Graph, z: Matrix, p: Named, places: number): Matrix {
  const rows = normalised(g, g.rows(p('places'), 0, places), true);
  const queries = g.add(g.mul(rows, p('placesScale')), p('placesBias'));
  return asked(g, queries, z, p);
}

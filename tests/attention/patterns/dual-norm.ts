import type { Graph, Matrix, OracleProblem } from '../../oracles/graph.js';

/** The layer norm of the features of all heads, one below the other in `heads`: row by row over their concatenation. */
export function normalised<O>(g: Graph, p: OracleProblem<O>, heads: readonly Matrix[], name: string): Matrix[] {
  const x = g.concatColumns(heads);
  const centred = g.sub(x, g.rowMean(x));
  const variance = g.rowMean(g.mul(centred, centred));
  const deviation = g.map(
    variance,
    (a, r) => r(Math.sqrt(r(a + 1e-5))),
    (a) => 0.5 / Math.sqrt(a + 1e-5),
  );
  const scaled = g.mul(g.div(centred, deviation), p.parameter(`${name}Weight`));
  const all = g.add(scaled, p.parameter(`${name}Bias`));
  const columns = heads[0]!.columns;
  return heads.map((_, n) => g.columns(all, n * columns, (n + 1) * columns));
}

import type { Graph, Matrix } from './graph.js';

/**
 * Jaszczur et al. 2021, arXiv 2111.12763, section 3.2, of one sequence: the multiplicative layer, then convolutions over rows (the last of the
 * kernel at the row itself) and modules. Queries, keys and values, `[n × features]` each.
 */
export function factored(
  g: Graph,
  x: Matrix,
  p: (name: string) => Matrix,
  { modules, kernel }: { readonly modules: number; readonly kernel: number },
): readonly [q: Matrix, k: Matrix, v: Matrix] {
  const size = x.columns / modules;
  const us = Array.from({ length: modules }, (_, s) =>
    g.add(
      g.matmul(g.mul(x, g.rows(p('gates'), s, s + 1)), p('product')),
      g.columns(p('bias'), s * size, (s + 1) * size),
    ),
  );
  const none = g.constant(new Float64Array(x.rows * size), x.rows, size);
  const ranges = Array.from({ length: kernel }, (_, i) => i);
  const both = us.map((_, s) => {
    const seen = ranges.flatMap((row) =>
      ranges.map((module) => {
        const u = us[s + module - (kernel - 1) / 2] ?? none;
        const back = kernel - 1 - row;
        return g.gatherRows(
          u,
          Array.from({ length: x.rows }, (__, i) => i - back),
        );
      }),
    );
    return g.add(g.matmul(g.concatColumns(seen), p('queryKey.weight')), p('queryKey.bias'));
  });
  const values = us.map((u) => g.add(g.matmul(u, p('value.weight')), p('value.bias')));
  return [
    g.concatColumns(both.map((one) => g.columns(one, 0, size))),
    g.concatColumns(both.map((one) => g.columns(one, size, 2 * size))),
    g.concatColumns(values),
  ];
}

import { expect, test } from 'vitest';
import { nystromformer } from '../../../src/attention/low-rank/index.js';
import { disposeAll, tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import type { Graph, Matrix, Oracle, OracleProblem } from '../../oracles/graph.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';

interface Options {
  readonly numLandmarks: number;
  readonly iterations: number;
  readonly initial: string;
  readonly convolution: number;
}

/** Means of m segments: the first (s + 1)·m − n have s = ⌊n/m⌋ rows, the others s + 1. */
function means(g: Graph, x: Matrix, m: number): Matrix {
  const s = Math.floor(x.rows / m);
  const parts: Matrix[] = [];
  for (let i = 0, start = 0; i < m; i++) {
    const end = start + (i < (s + 1) * m - x.rows ? s : s + 1);
    parts.push(g.transpose(g.rowMean(g.transpose(g.rows(x, start, end)))));
    start = end;
  }
  return g.concatRows(parts);
}

const largest = (g: Graph, x: Matrix): Matrix => g.rowMax(g.transpose(g.rowMax(x)));

/** The iteration of the paper, from aᵀ/norm. */
function inverse(g: Graph, a: Matrix, norm: Matrix, iterations: number): Matrix {
  const one = Float64Array.from({ length: a.rows ** 2 }, (_, i) => (i % (a.rows + 1) === 0 ? 1 : 0));
  const minus = (c: number, x: Matrix): Matrix =>
    g.sub(
      g.constant(
        one.map((value) => c * value),
        a.rows,
        a.rows,
      ),
      x,
    );
  let z = g.div(g.transpose(a), norm);
  for (let i = 0; i < iterations; i++) {
    const az = g.matmul(a, z);
    const inner = minus(13, g.matmul(az, minus(15, g.matmul(az, minus(7, az)))));
    z = g.scale(g.matmul(z, inner), 0.25);
  }
  return z;
}

/** Σ_t w[t]·v[i + t − (κ − 1)/2], as a product with a band matrix made of shifts. */
function convolved(g: Graph, v: Matrix, kernel: Matrix, rows: number): Matrix {
  const reach = (kernel.columns - 1) / 2;
  const terms = Array.from({ length: kernel.columns }, (_, t) => {
    const places = Array.from({ length: rows }, (__, i) => {
      const place = i + t - reach;
      return i < v.rows && place >= 0 && place < v.rows ? place : -1;
    });
    return g.mul(g.gatherRows(v, places), g.columns(kernel, t, t + 1));
  });
  return terms.reduce((sum, term) => g.add(sum, term));
}

interface Head {
  readonly b: number;
  readonly h: number;
  readonly q: Matrix;
  readonly qm: Matrix;
  readonly km: Matrix;
  readonly a: Matrix;
  readonly k: Matrix;
  readonly v: Matrix;
  readonly exact: boolean;
}

function headOf(g: Graph, p: OracleProblem<Options>, b: number, h: number): Head {
  const length = p.lengths?.[b] ?? p.S;
  const queries = p.L === p.S ? length : p.L;
  // none is as many as tokens
  const m = Math.min(p.options.numLandmarks || length, queries, length);
  const [q, k, v] = [p.q(b, h), g.rows(p.k(b, h), 0, length), g.rows(p.v(b, h), 0, length)];
  const [qm, km] = [means(g, g.rows(q, 0, queries), m), means(g, k, m)];
  const a = g.softmax(g.scale(g.matmulT(qm, km), p.scale));
  return { b, h, q, qm, km, a, k, v, exact: queries === length && m === length };
}

const oracle: Oracle<Options> = (g, p) => {
  const heads = Array.from({ length: p.B * p.H }, (_, n) => headOf(g, p, Math.floor(n / p.H), n % p.H));
  const norms = heads.map(({ a }) => largest(g, g.columnSum(a)));
  return heads.map(({ b, h, q, qm, km, a, k, v, exact }, n) => {
    const weights = (x: Matrix, y: Matrix): Matrix => g.softmax(g.scale(g.matmulT(x, y), p.scale));
    // with padding each batch row is computed by itself
    const together = norms.filter((_, i) => p.lengths === undefined || heads[i]!.b === b);
    const norm = p.options.initial === 'exact' ? norms[n]! : largest(g, g.concatRows(together));
    const approximate = exact
      ? g.matmul(weights(q, k), v)
      : g.matmul(weights(q, km), g.matmul(inverse(g, a, norm, p.options.iterations), g.matmul(weights(qm, k), v)));
    if (p.options.convolution === 0) return approximate;
    const kernel = g.rows(p.parameter('kernel'), h, h + 1);
    return g.add(approximate, convolved(g, v, kernel, p.L));
  });
};

gate(nystromformer, {
  oracle,
  options: [{ numLandmarks: 5 }, { numLandmarks: 4, iterations: 3, convolution: 5 }, {}],
  // rows of the rebuilt weights may have negative numbers, and sum to 1 once the inverse has converged
  weights: 'signed',
  exactWhen: [{ options: { numLandmarks: 17 } }, { options: { numLandmarks: 0 } }, { shape: { L: 1, S: 1 } }],
  draw: (next, { L, S }) => ({
    numLandmarks: 1 + Math.floor(next() * Math.min(8, L, S)),
    iterations: Math.floor(next() * 7),
    initial: next() < 0.5 ? 'exact' : 'original',
    convolution: L === S && next() < 0.5 ? 1 + 2 * Math.floor(next() * 4) : 0,
  }),
  refused: [
    { options: { numLandmarks: 18 } },
    { options: { convolution: 4 } },
    { options: { convolution: 3 }, shape: { L: 20 } },
  ],
});

test('the cost by hand: exact attention where there are as many landmarks as tokens, else three products and the inverse', () => {
  const [B, H, n, D, E] = [2, 3, 8, 4, 5];
  const shape = { B, H, G: H, L: n, S: n, D, E };
  const cost = (options: object) => nystromformer.cost(shape, { convolution: 3, iterations: 2, ...options });
  const convolution = 3 * n * E;
  expect(cost({ numLandmarks: n })).toEqual({
    pairs: H * n * n,
    multiplyAdds: B * H * (n * n * (D + E) + convolution),
  });
  const m = 2;
  // scores of all queries by m landmarks, of m landmarks by all keys, and of the landmarks; four products of m × m an iteration
  const products = n * m * D + m * n * D + m * m * D + m * n * E + m * m * E + n * m * E + 2 * 4 * m ** 3;
  expect(cost({ numLandmarks: m })).toEqual({ pairs: H * 2 * m * n, multiplyAdds: B * H * (products + convolution) });
});

onEveryDevice((on) => {
  const fixture = (): ReturnType<typeof tensor>[] => {
    const create = (width: number, f: (i: number) => number): ReturnType<typeof tensor> =>
      tensor(
        Float32Array.from({ length: 6 * width }, (_, i) => f(i)),
        [1, 1, 6, width],
        { device: on.device },
      );
    return [
      create(4, (i) => Math.sin(1 + i)),
      create(4, (i) => Math.cos(2 + i)),
      create(3, (i) => Math.sin(3 + 0.5 * i)),
    ];
  };

  test.each([
    [6, [-0.163692, -0.290028, -0.345355, -0.010345, -0.189798, -0.322782]],
    [30, [-0.166225, -0.292871, -0.347811, -0.011864, -0.191512, -0.32427]],
  ])('rows of the published fixture, 3 landmarks, %i iterations', async (iterations, want) => {
    const [q, k, v] = fixture() as [ReturnType<typeof tensor>, ReturnType<typeof tensor>, ReturnType<typeof tensor>];
    const { out } = nystromformer.run(q, k, v, { numLandmarks: 3, iterations });
    const got = await out.data();
    // the numbers are printed with six digits
    expectClose('rows 0 and 5', [...got.slice(0, 3), ...got.slice(15)], want, { budget: 5e-6 });
    disposeAll([q, k, v, out]);
  });

  test('as many landmarks as tokens is said to be exact', () => {
    const [q, k, v] = fixture() as [ReturnType<typeof tensor>, ReturnType<typeof tensor>, ReturnType<typeof tensor>];
    const few = nystromformer.run(q, k, v, { numLandmarks: 3 });
    const all = nystromformer.run(q, k, v);
    expect(few.notes).toEqual([]);
    expect(all.notes).toEqual(['as many landmarks as tokens: exact attention']);
    disposeAll([q, k, v, few.out, all.out]);
  });
});

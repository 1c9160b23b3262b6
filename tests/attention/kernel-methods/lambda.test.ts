// of attention/kernel-methods/exponentials

import { expect, test } from 'vitest';
import { bandProduct } from '../../../src/attention/kernel-methods/band.js';
import { lambda } from '../../../src/attention/kernel-methods/index.js';
import { disposeAll, scope, tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import { double, single, type Arithmetic } from '../../oracles/arithmetic.js';
import { Graph, type Matrix } from '../../oracles/graph.js';
import * as oracles from '../../oracles/lambda.js';
import { budgetOf, expectClose, type Numbers } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';
import { readSafetensors } from '../../support/safetensors.js';

const excuse = 'weights of hidden pairs are zeros in a plain product';

gate(lambda, {
  oracle: oracles.lambda,
  options: [{ radius: 3 }, { radius: 40 }, { radius: 1, width: 5 }, { radius: 0 }],
  weights: 'signed',
  nanSpreads: { future: excuse },
  draw: (next) => ({ radius: Math.floor(5 * next()), width: next() < 0.5 ? 0 : 1 + Math.floor(8 * next()) }),
});

const golden = (name: string) => readSafetensors(new URL(`../../fixtures/lambda/${name}.safetensors`, import.meta.url));

type Stored = ReturnType<typeof golden>;

/** Tokens, heads, and sizes of a key and a value. */
const sizes = [36, 2, 4, 6] as const;

/** The stored layer by its formula: queries, keys and values of an image, and `[n, E]` of each head. */
function byFormula(stored: Stored, options: oracles.LambdaOptions, positions: Numbers, arithmetic: Arithmetic) {
  const [n, H, D, E] = sizes;
  const g = new Graph(arithmetic);
  const numbers = (name: string): Numbers => stored[`param.${name}`]!.data;
  const inputs = stored['in.x']!.shape[1]!;
  const x = g.transpose(g.input(stored['in.x']!.data, inputs, n));
  const through = (name: 'q' | 'k' | 'v', columns: number): Matrix =>
    g.matmulT(x, g.input(numbers(`to_${name}.weight`), columns, inputs));
  // a batch norm as in evaluation
  const normed = (y: Matrix, norm: string): Matrix => {
    const row = (what: string): Matrix => g.input(numbers(`${norm}.${what}`), 1, y.columns);
    const deviation = g.map(
      row('running_var'),
      (v, r) => Math.sqrt(r(v + 1e-5)),
      () => 0,
    );
    return g.add(g.mul(g.div(g.sub(y, row('running_mean')), deviation), row('weight')), row('bias'));
  };
  const q = normed(through('q', H * D), 'norm_q');
  const [k, v] = [through('k', D), normed(through('v', E), 'norm_v')];
  const heads = Array.from({ length: H }, (_, h) => g.columns(q, h * D, (h + 1) * D));
  const out = oracles.lambda(g, {
    B: 1,
    H,
    G: 1,
    L: n,
    S: n,
    D,
    E,
    causal: false,
    scale: 1,
    options,
    seed: 0,
    q: (_, h) => heads[h]!,
    k: () => k,
    v: () => v,
    parameter: () => g.input(positions, positions.length / D, D),
    input: () => k,
    allowed: () => true,
  });
  // theirs adds a bias to every λᵖ of a convolution, which adds q·bias to every number of a row
  const bias = stored['param.pos_conv.bias'] && g.input(numbers('pos_conv.bias'), 1, D);
  const rows = out.map((head, h) => (bias ? g.add(head, g.matmulT(heads[h]!, bias)) : head));
  const joined = (parts: readonly Matrix[]): number[] => parts.flatMap(({ data }) => [...data]);
  return { q: joined(heads), k: k.data, v: v.data, out: joined(rows), bias };
}

onEveryDevice((on) => {
  test.each([
    ['global', 5, 'rel_pos_emb'],
    ['local', 1, 'pos_conv.weight'],
  ] as const)(
    'an image of 6 × 6 is as in another implementation (lambda-networks), %s',
    async (name, radius, table) => {
      const { device } = on;
      const stored = golden(name);
      const [n, H, D, E] = sizes;
      const vectors = stored[`param.${table}`]!.data;
      const offsets = (2 * radius + 1) ** 2;
      // a convolution has its channels first
      const positions = Float64Array.from({ length: offsets * D }, (_, at) =>
        name === 'global' ? vectors[at]! : vectors[(at % D) * offsets + Math.floor(at / D)]!,
      );
      const options = { radius, width: 6 };
      const exact = byFormula(stored, options, positions, double);
      const make = (x: Numbers, shape: readonly number[]) => tensor(Float32Array.from(x), shape, { device });
      const out = scope(
        () =>
          lambda.run(make(exact.q, [1, H, n, D]), make(exact.k, [1, 1, n, D]), make(exact.v, [1, 1, n, E]), {
            ...options,
            parameters: { positions: make(positions, [1, offsets, D]) },
          }).out,
      );
      const bias = Array.from(exact.bias?.data ?? []);
      const ours = Array.from(await out.data(), (x, at) =>
        bias.reduce((sum, y, d) => sum + y * exact.q[Math.floor(at / E) * D + d]!, x),
      );
      // theirs has tokens last
      const tokensLast = (rows: Numbers): number[] =>
        Array.from({ length: H * E * n }, (_, at) => {
          const [h, e, token] = [Math.floor(at / (E * n)), Math.floor(at / n) % E, at % n];
          return rows[(h * n + token) * E + e]!;
        });
      const [formula, plain] = [exact, byFormula(stored, options, positions, single)].map(({ out: rows }) =>
        tokensLast(rows),
      ) as [number[], number[]];
      const want = stored['out.o']!.data;
      expectClose('theirs and the formula', want, formula, { budget: plain });
      // theirs is float32 too, so both may be off
      expectClose('ours and theirs', tokensLast(ours), want, { budget: 2 * budgetOf(formula, plain) });
      disposeAll(out);
    },
  );

  test('bands are products of each row by itself', async () => {
    for (const [rows, width, first, of] of [
      [50, 7, -3, 50],
      [50, 1, 0, 50],
      [9, 30, -12, 9],
      [40, 5, 35, 60],
      [40, 5, -50, 40],
    ] as const) {
      const [w, v] = [normal(1, rows * width), normal(2, of * 3)];
      const out = scope(() =>
        bandProduct(tensor(w, [rows, width], { device: on.device }), tensor(v, [of, 3], { device: on.device }), first),
      );
      const want = Array.from({ length: rows * 3 }, (_, at) => {
        const [i, e] = [Math.floor(at / 3), at % 3];
        return Array.from({ length: width }, (__, o) => {
          const j = i + first + o;
          return j >= 0 && j < of ? w[i * width + o]! * v[j * 3 + e]! : 0;
        }).reduce((a, b) => a + b, 0);
      });
      if (out === undefined) expect(want.every((x) => x === 0)).toBe(true);
      else expectClose(`${rows} rows of ${width}`, await out.data(), want, { budget: 1e-5 });
      disposeAll(out ?? []);
    }
  });

  test('a text is an image of one row, and a table that reaches further changes nothing', async () => {
    const { device } = on;
    const [n, D] = [23, 8];
    const make = (seed: number, columns: number) => tensor(normal(seed, n * columns), [1, 1, n, columns], { device });
    const [q, k, v] = [make(1, D), make(2, D), make(3, D)];
    const table = (radius: number): Float32Array => {
      const all = normal(4, (2 * n + 1) * D);
      return all.slice((n - radius) * D, (n + radius + 1) * D);
    };
    const run = async (radius: number, width: number): Promise<Float32Array> => {
      const out = scope(() => {
        const side = 2 * radius + 1;
        const numbers = new Float32Array(side ** (width > 0 ? 2 : 1) * D);
        numbers.set(table(radius), width > 0 ? radius * side * D : 0);
        const positions = tensor(numbers, [1, numbers.length / D, D], { device });
        return lambda.run(q, k, v, { radius, width, parameters: { positions } }).out;
      });
      const got = (await out.data()) as Float32Array;
      out.dispose();
      return got;
    };
    const text = await run(n - 1, 0);
    expectClose('wider', await run(n, 0), text, { budget: 1e-5 });
    expectClose('image', await run(n - 1, n), text, { budget: 1e-5 });
    disposeAll([q, k, v]);
  });
});

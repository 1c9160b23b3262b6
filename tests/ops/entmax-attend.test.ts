// of kernels/entmax/{backward-keys,backward-queries,forward,kept,panel,spec,threshold}, ops/entmax-attend/launch

import { expect, test } from 'vitest';
import { entmaxAttend } from '../../src/ops/index.js';
import { dilated } from '../../src/masks/index.js';
import { disposeAll, full, gradients, scope, tensor, zeros, type Tensor } from '../../src/tensor/index.js';
import { double, single } from '../oracles/arithmetic.js';
import { entmax } from '../oracles/entmax.js';
import { Graph } from '../oracles/graph.js';
import { budgetOf, expectClose } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { normal } from '../support/random.js';

onEveryDevice((on) => {
  const given = (...shape: number[]): Tensor => zeros(shape, { device: on.device });

  test('refuses what it does not take, with every reason', () => {
    scope(() => {
      const [q, k] = [given(1, 2, 3, 4), given(1, 2, 5, 4)];
      expect(() => entmaxAttend(q, k, k, { alpha: 1 })).toThrow('entmaxAttend: alpha must be');
      expect(() => entmaxAttend(q, k, k, { alpha: 2.5 })).toThrow('from 1.01 to 2');
      expect(() => entmaxAttend(q, k, k, { excess: 3 as never })).toThrow('excess must be an f32 tensor');
      expect(() => entmaxAttend(q, k, k, { excess: given(3) })).toThrow(
        'excess must be [H], one for each of the 2 heads',
      );
      expect(() => entmaxAttend(q, given(1, 2, 5, 3), k)).toThrow('head size D');
      expect(() => entmaxAttend(q, k, k, { score: 1 } as never)).toThrow('score');
    });
  });

  test('a mask on a grid runs on its residue classes', async () => {
    const [n, D] = [45, 3];
    const [q, k, v] = [1, 2, 3].map((seed) => normal(seed, n * D)) as [Float32Array, Float32Array, Float32Array];
    const byFormula = (g: Graph): Float64Array => {
      const less = g.constant([0.5], 1, 1);
      const x = g.scale(g.matmulT(g.input(q, n, D), g.input(k, n, D)), 0.5 * D ** -0.5);
      const seen = (i: number, j: number): boolean => Math.abs(i - j) <= 20 && (i - j) % 5 === 0;
      return g.matmul(entmax(g, x, less, seen), g.input(v, n, D)).data;
    };
    const exact = byFormula(new Graph(double));
    const budget = Math.max(...[0, 1, 2, 3].map((order) => budgetOf(exact, byFormula(new Graph(single, order)))));
    const out = scope(() => {
      const [a, b, c] = [q, k, v].map((x) => tensor(x, [1, 1, n, D], { device: on.device })) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      return entmaxAttend(a, b, c, { mask: dilated({ radiusSlots: 4, dilation: 5 }) });
    });
    expectClose('out', await out.data(), exact, { budget });
    disposeAll(out);
  });

  test('NaN reaches the rows that see it, and no others', async () => {
    const n = 40;
    const given = (seed: number, at: number): Tensor =>
      tensor(
        normal(seed, n).map((x, i) => (i === at ? NaN : x)),
        [1, 1, n, 1],
        { device: on.device, requiresGradient: true },
      );
    const cases = [
      { q: 5, k: -1, reaches: (i: number) => i === 5 },
      { q: -1, k: 21, reaches: (i: number) => i >= 21 },
    ];
    for (const { q, k, reaches } of cases) {
      const leaves = [given(1, q), given(2, k), given(3, -1)] as [Tensor, Tensor, Tensor];
      const out = entmaxAttend(...leaves, { causal: true });
      expect(Array.from(await out.data(), Number.isNaN)).toEqual(Array.from({ length: n }, (_, i) => reaches(i)));
      // a row of NaN weights gives NaN to all values that it sees
      const dout = full([1, 1, n, 1], 1, { device: on.device });
      const [dv] = gradients([out], [leaves[2]], [dout]);
      const seen = (j: number): boolean => Array.from({ length: n - j }, (_, i) => j + i).some(reaches);
      expect(Array.from(await dv!.data(), Number.isNaN)).toEqual(Array.from({ length: n }, (_, j) => seen(j)));
      disposeAll([...leaves, dout, out, dv]);
    }
  });

  test('weights on all keys, of more rows than the pass over keys holds at once: exactly the mean', async () => {
    const n = 256;
    const whole = (seed: number): Float32Array => normal(seed, n).map((x) => Math.round(8 * x));
    const make = (x: Float32Array): Tensor => tensor(x, [1, 1, n, 1], { device: on.device, requiresGradient: true });
    const [values, cotangents] = [whole(1), whole(2)];
    const mean = (x: Float32Array): Float32Array => new Float32Array(n).fill(x.reduce((a, b) => a + b) / n);
    const leaves = [make(new Float32Array(n)), make(whole(3)), make(values)] as [Tensor, Tensor, Tensor];
    const dout = tensor(cotangents, [1, 1, n, 1], { device: on.device });
    const out = entmaxAttend(...leaves, { alpha: 2 });
    const [dv] = gradients([out], [leaves[2]], [dout]);
    expect(await out.data()).toEqual(mean(values));
    expect(await dv!.data()).toEqual(mean(cotangents));
    disposeAll([...leaves, dout, out, dv]);
  });
});

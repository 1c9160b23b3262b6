// of kernels/matmul/{grouped,grouped-launch,grouped-plan}

import { expect, test } from 'vitest';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import { groupedMatmul, reluOf, type GroupedMatmulOptions } from '../../src/ops/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { double, single } from '../oracles/arithmetic.js';
import { Graph } from '../oracles/graph.js';
import { grouped } from '../oracles/grouped-matmul.js';
import { storedAs } from '../oracles/storage.js';
import { budgetOf, expectClose, expectSameBits } from '../support/compare.js';
import { fewNatively, onEveryDevice, withThreads } from '../support/devices.js';
import { uniform } from '../support/random.js';

interface Case {
  readonly K: number;
  readonly N: number;
  readonly count: number;
  readonly ends: readonly number[];
  readonly options?: { readonly bias?: true; readonly transposeWeights?: true; readonly activation?: true };
}

/** The matrices of a stack `[E × rows × columns]`, each as its transpose. */
function turned(data: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(data, (_, at) => {
    const [matrix, rest] = [Math.floor(at / (rows * columns)), at % (rows * columns)];
    return data[matrix * rows * columns + (rest % rows) * columns + Math.floor(rest / rows)]!;
  });
}

const dataOf = ({ K, N, count, ends, options = {} }: Case) => ({
  x: uniform(1, count * K),
  weights: uniform(2, ends.length * K * N),
  bias: options.bias && uniform(3, ends.length * N),
  d: uniform(4, count * N),
});

onEveryDevice((on) => {
  async function check(one: Case): Promise<void> {
    const { K, N, count, ends, options = {} } = one;
    const E = ends.length;
    const given = dataOf(one);
    const who = JSON.stringify(one);
    const evaluate = (g: Graph) => {
      const [x, w] = [g.input(given.x, count, K), g.input(given.weights, E * K, N)];
      const bias = given.bias && g.input(given.bias, E, N);
      const sums = grouped(g, x, w, ends, bias);
      const out = options.activation
        ? g.map(
            sums,
            (z) => Math.max(z, 0),
            (z) => Number(z > 0),
          )
        : sums;
      return [out.data, ...g.gradients([out], [given.d], [x, w, ...(bias ? [bias] : [])])];
    };
    const exact = evaluate(new Graph(double));
    const plain = Array.from({ length: 4 }, (_, order) => evaluate(new Graph(single, order)));
    const before = on.device.counters.multiplyAdds;
    const found = scope(() => {
      const leaf = (data: Float32Array, shape: readonly number[]): Tensor =>
        tensor(data, shape, { device: on.device, requiresGradient: true });
      const stored = options.transposeWeights ? turned(given.weights, K, N) : given.weights;
      const [x, w] = [leaf(given.x, [count, K]), leaf(stored, options.transposeWeights ? [E, N, K] : [E, K, N])];
      const bias = given.bias && leaf(given.bias, [E, N]);
      const out = groupedMatmul(x, w, tensor(Int32Array.from(ends), [E], { device: on.device }), {
        ...(bias && { bias }),
        ...(options.transposeWeights && { transposeWeights: true }),
        ...(options.activation && { activation: reluOf }),
      });
      const cotangent = tensor(given.d, [count, N], { device: on.device });
      return [out, ...gradients([out], [x, w, ...(bias ? [bias] : [])], [cotangent])];
    });
    // the bias takes one multiply-add for each of its sums
    expect([who, on.device.counters.multiplyAdds - before]).toEqual([
      who,
      3 * count * K * N + (options.bias ? count * N : 0),
    ]);
    for (const [i, one] of found.entries()) {
      const want = exact[i]!;
      const budget = Math.max(...plain.map((run) => budgetOf(want, run[i])));
      const got = (await one.data()) as Float32Array;
      const straight = i === 2 && options.transposeWeights ? turned(got, N, K) : got;
      expectClose(`${['out', 'dx', 'dweights', 'dbias'][i]!} ${who}`, straight, want, { budget });
    }
    disposeAll(found);
  }

  // one group, empty ones first, between and last, rows of none; tiles of every kind, packed once and not; one step of the sum, several
  const cases: readonly Case[] = [
    { K: 5, N: 7, count: 9, ends: [2, 2, 9], options: { bias: true, activation: true } },
    { K: 20, N: 70, count: 400, ends: [0, 390, 395], options: { bias: true, activation: true } },
    { K: 4, N: 3, count: 1, ends: [1] },
    { K: 3, N: 4, count: 5, ends: [0, 0, 0, 0, 0, 0, 0] },
    { K: 20, N: 70, count: 90, ends: [0, 3, 40, 40, 83], options: { transposeWeights: true, bias: true } },
    { K: 300, N: 9, count: 45, ends: [45, 45], options: { transposeWeights: true, activation: true } },
    { K: 11, N: 130, count: 700, ends: [310, 660, 700], options: { activation: true } },
    { K: 130, N: 33, count: 611, ends: [600, 611] },
  ];
  test.each(fewNatively(on.kind, cases, 3))('%j', check);

  test('ends that fall move no row to two groups, and what is out of range is refused', async () => {
    const x = uniform(1, 8 * 3);
    const weights = uniform(2, 4 * 3 * 2);
    const run = (ends: number[]): Tensor =>
      scope(() =>
        groupedMatmul(
          tensor(x, [8, 3], { device: on.device }),
          tensor(weights, [4, 3, 2], { device: on.device }),
          tensor(Int32Array.from(ends), [4], { device: on.device }),
        ),
      );
    const [fallen, risen] = [run([5, 2, 6, 1]), run([5, 5, 6, 6])];
    expectSameBits('fallen', await fallen.data(), await risen.data());
    disposeAll([fallen, risen]);
    expect(() => run([1, 2, 3, 9])).toThrow('groupedMatmul: ends must be from 0 to 8 (8 rows); got 9 at [3].');
  });

  test('16-bit operands are exact inputs of an f32 sum', async () => {
    const [count, K, N, ends] = [30, 40, 20, [11, 25]];
    const [x, w] = [uniform(1, count * K), uniform(2, 2 * K * N)];
    const rounded = [x, w].map((data) => Float32Array.from(data, (one) => storedAs.bf16(one)));
    const run = (g: Graph) =>
      grouped(g, g.constant(rounded[0]!, count, K), g.constant(rounded[1]!, 2 * K, N), ends).data;
    const half = (data: Float32Array, shape: readonly number[]): Tensor =>
      tensor(data, shape, { device: on.device, dtype: 'bf16' });
    const [out, stored] = scope(() => {
      const given = [
        half(x, [count, K]),
        half(w, [2, K, N]),
        tensor(Int32Array.from(ends), [2], { device: on.device }),
      ] as const;
      return [groupedMatmul(...given, { dtype: 'f32' }), groupedMatmul(...given)];
    });
    const want = run(new Graph(double));
    expectClose('f32', await out.data(), want, { budget: run(new Graph(single)) });
    expect(stored.dtype).toBe('bf16');
    expectClose('bf16', await stored.data(), want, { budget: 2 ** -8 * Math.max(...want.map(Math.abs)) + 1e-5 });
    disposeAll([out, stored]);
  });

  test('a NaN stays in its row and its group', async () => {
    const weights = uniform(2, 2 * 30 * 9);
    weights[0] = NaN;
    const x = uniform(1, 40 * 30);
    x[39 * 30 + 3] = NaN;
    const out = scope(() =>
      groupedMatmul(
        tensor(x, [40, 30], { device: on.device }),
        tensor(weights, [2, 30, 9], { device: on.device }),
        tensor(Int32Array.of(7, 35), [2], { device: on.device }),
      ),
    );
    const got = await out.data();
    got.forEach((value, at) => {
      const [row, column] = [Math.floor(at / 9), at % 9];
      expect([row, column, Number.isNaN(value)]).toEqual([row, column, row < 7 && column === 0]);
    });
    expect(got.slice(35 * 9).every((value) => value === 0)).toBe(true);
    out.dispose();
  });

  test('the same bits for every number of threads', async () => {
    const one: Case = { K: 150, N: 140, count: 900, ends: [100, 100, 620, 880], options: { activation: true } };
    const given = dataOf(one);
    const results = await withThreads(on.kind, [1, 2, 3], async (device) => {
      const found = scope(() => {
        const leaf = (data: Float32Array, shape: readonly number[]): Tensor =>
          tensor(data, shape, { device, requiresGradient: true });
        const [x, w] = [leaf(given.x, [900, 150]), leaf(given.weights, [4, 150, 140])];
        const out = groupedMatmul(x, w, tensor(Int32Array.from(one.ends), [4], { device }), { activation: reluOf });
        return [out, ...gradients([out], [x, w], [tensor(given.d, [900, 140], { device })])];
      });
      const numbers = await Promise.all(found.map((each) => each.data()));
      disposeAll(found);
      return numbers;
    });
    for (const threads of [1, 2]) {
      results[threads]!.forEach((got, i) => expectSameBits(`${threads + 1} threads, ${i}`, got, results[0]![i]!));
    }
  });

  test('what it refuses', () =>
    scope(() => {
      const zeros = (...shape: number[]): Tensor =>
        tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape, { device: on.device });
      const ends = tensor(Int32Array.of(1, 2), [2], { device: on.device });
      const refused =
        (x: Tensor, w: Tensor, options: GroupedMatmulOptions = {}, at = ends) =>
        () =>
          groupedMatmul(x, w, at, options);
      expect(refused(zeros(2, 3), zeros(2, 4, 5), { bias: zeros(2, 4) })).toThrow(
        new ShapeError(
          'groupedMatmul: x and weights must have one K, not 3 and 4; bias must be [E,N]=[2,5]; ' +
            'got x=[2,3], weights=[2,4,5], ends=[2], bias=[2,4].',
        ),
      );
      expect(refused(zeros(2, 3), zeros(3, 5))).toThrow('x must be [R,K] and weights [E,K,N]');
      expect(refused(zeros(2, 3), zeros(3, 3, 5))).toThrow('ends must be [E]=[3]');
      expect(refused(zeros(2, 3), zeros(2, 3, 5), {}, zeros(2))).toThrow('groupedMatmul: ends must be i32; got f32[2]');
      expect(refused(zeros(2, 3), zeros(2, 3, 5), { activation: (x) => x.lt(0) })).toThrow(OptionError);
      expect(refused(zeros(2, 3), zeros(2, 3, 5), { transposeB: true } as GroupedMatmulOptions)).toThrow(
        'groupedMatmul: unknown option "transposeB"',
      );
    }));
});

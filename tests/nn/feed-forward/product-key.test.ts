import { expect, test } from 'vitest';
import { ProductKeyMemory, productKey, type ProductKeyOptions } from '../../../src/nn/feed-forward/product-key.js';
import { usageOf } from '../../../src/nn/feed-forward/memory-usage.js';
import { nearestProducts } from '../../../src/nn/feed-forward/nearest-products.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import type { Graph, Matrix } from '../../oracles/graph.js';
import { batchNormed, productKeys } from '../../oracles/product-key.js';
import { expectClose, expectSameBits } from '../../support/compare.js';
import { onEveryDevice, withThreads } from '../../support/devices.js';
import { uniform } from '../../support/random.js';
import { checkModule, fill, resultsOf } from '../check.js';
import { affine, normalised } from '../formulas.js';

const features = 6;
const small: ProductKeyOptions = { keys: 5, heads: 2, knn: 3, keyDim: 8, norm: 'none', sparse: true };
const step = { seed: 1, step: 1 };

onEveryDevice((on) => {
  const check = (options: Partial<ProductKeyOptions>, lengths?: readonly number[]) => {
    const own = { ...small, ...options };
    const module = new ProductKeyMemory(features, own);
    if (own.norm === 'batch') module.train(step);
    const half = own.keyDim / 2;
    const normed = (g: Graph, q: Matrix, p: (name: string) => Matrix): Matrix => {
      if (own.norm === 'batch') return batchNormed(g, q, p('norm.weight'), p('norm.bias'), 1e-5);
      if (own.norm !== 'layer') return q;
      return g.concatColumns(
        Array.from({ length: 2 * own.heads }, (_, at) =>
          g.add(
            g.mul(normalised(g, g.columns(q, at * half, (at + 1) * half), true, 1e-5), p('norm.weight')),
            p('norm.bias'),
          ),
        ),
      );
    };
    return checkModule(on.device, {
      name: JSON.stringify(options),
      module,
      shape: [2, 4, features],
      run: (memory, x) => memory.forward(x, { lengths }).stream,
      oracle: (g, x, p) =>
        productKeys(g, normed(g, affine(g, x, p('query.weight'), p('query.bias')), p), p('keys'), p('values'), own),
    });
  };

  test.each([
    {},
    { norm: 'layer' },
    { norm: 'batch', heads: 1 },
    { sparse: false },
    { knn: 1, keys: 7 },
    { keys: 1, knn: 1, heads: 3 },
    // every pair: a softmax over all values
    { keys: 3, knn: 9, keyDim: 4 },
  ] as const)('%j: values and gradients', (options) => check(options));

  test('pairs are the best of all pairs, also where many are equal', async () => {
    const [H, T, n] = [2, 7, 9];
    for (const [kind, numbers] of [
      ['distinct', uniform(3, H * 2 * T * n)],
      ['equal', uniform(4, H * 2 * T * n, -2, 2).map((x) => Math.round(x) + 0)],
    ] as const) {
      for (const knn of [1, 2, 5, 9, 20, 81]) {
        const found = scope(() => nearestProducts(tensor(numbers, [H, 2, T, n], { device: on.device }), knn));
        const [sums, pairs] = [await found.sums.data(), await found.pairs.data()];
        disposeAll(found);
        for (let row = 0; row < H * T; row++) {
          const [h, t] = [Math.floor(row / T), row % T];
          const at = (half: number, key: number): number => numbers[((2 * h + half) * T + t) * n + key]!;
          const all = Array.from({ length: n * n }, (_, pair) =>
            Math.fround(at(0, Math.floor(pair / n)) + at(1, pair % n)),
          );
          const want = [...all].sort((a, b) => b - a).slice(0, knn);
          expect(Array.from(sums.subarray(row * knn, (row + 1) * knn)), `${kind} ${knn}`).toEqual(want);
          const own = Array.from(pairs.subarray(row * knn, (row + 1) * knn));
          expect(new Set(own).size).toBe(knn);
          expect(own.map((pair) => all[pair])).toEqual(want);
        }
      }
    }
  });

  test('weights of each head sum to 1', async () => {
    const memory = new ProductKeyMemory(features, { ...small, heads: 3 });
    fill(memory, on.device, 3);
    scope(() =>
      memory.values.set(tensor(new Float32Array(25 * features).fill(1), [25, features], { device: on.device })),
    );
    const out = scope(
      () => memory.forward(tensor(uniform(5, 8 * features), [8, features], { device: on.device })).stream,
    );
    expectClose('out', await out.data(), new Array<number>(8 * features).fill(3), { budget: 3 * 2 ** -21 });
    out.dispose();
    memory.dispose();
  });

  test('padding changes neither the rows nor the statistics of a batch', async () => {
    const run = async (rows: number, lengths: readonly number[] | undefined, poison: number) => {
      const memory = new ProductKeyMemory(features, { ...small, norm: 'batch' }).train(step);
      fill(memory, on.device, 3);
      const real = uniform(5, 3 * features);
      const x = Float32Array.from({ length: rows * features }, (_, i) => real[i] ?? poison);
      const given = scope(() => memory.forward(tensor(x, [1, rows, features], { device: on.device }), { lengths }));
      const updates = await Promise.all([...given.updates!.values()].map((one) => one.data()));
      const stream = (await given.stream.data()).slice(0, 3 * features);
      disposeAll([given.stream, given.updates]);
      memory.dispose();
      return { stream, updates };
    };
    const alone = await run(3, undefined, 0);
    for (const poison of [1e9, NaN]) {
      const padded = await run(5, [3], poison);
      expectSameBits('rows', padded.stream, alone.stream);
      alone.updates.forEach((one, i) => expectSameBits('statistics', padded.updates[i]!, one));
    }
  });

  test('says how much of the memory a batch read, and how evenly, without its padding', async () => {
    const count = 8;
    const said = async (weights: readonly number[], slots: readonly number[]) => {
      const of = scope(() =>
        usageOf(
          tensor(weights, [weights.length], { device: on.device }),
          tensor(Int32Array.from(slots), [slots.length], { device: on.device }),
          count,
        ),
      );
      const numbers = [await of['used']!.item(), await of['usageKl']!.item()];
      disposeAll(of);
      return numbers;
    };
    expectClose('one value', await said([0.3, 0.7], [5, 5]), [1 / 8, Math.log(8)]);
    expectClose('all', await said(new Array<number>(8).fill(0.5), [0, 1, 2, 3, 4, 5, 6, 7]), [1, 0], {
      budget: 2 ** -20,
    });
    // shares of 1/4 and 3/4; what has no weight is not read
    const want = [2 / 8, Math.log(8) + 0.25 * Math.log(0.25) + 0.75 * Math.log(0.75)];
    expectClose('two', await said([1, 1, 2, 0], [1, 2, 2, 3]), want, { budget: 2 ** -20 });
    const memory = new ProductKeyMemory(features, { ...small, keys: 20 });
    fill(memory, on.device, 3);
    const used = async (rows: number, lengths?: readonly number[]) => {
      const x = uniform(5, 6 * features).subarray(0, rows * features);
      const outcome = scope(() =>
        memory.forward(tensor(x, [1, rows, features], { device: on.device }), { lengths, losses: true }),
      );
      const share = await outcome.statistics!['used']!.item();
      disposeAll([outcome.stream, outcome.statistics]);
      return share;
    };
    expect(await used(6, [3])).toBe(await used(3));
    expect(await used(6)).toBeGreaterThan(await used(3));
    memory.dispose();
  });

  test('equal bits for every number of threads', async () => {
    const shape = [300, 32];
    const run = async (device: Parameters<Parameters<typeof withThreads>[2]>[0]) => {
      const memory = new ProductKeyMemory(32, { keys: 40, heads: 2, knn: 8, keyDim: 16, norm: 'layer', sparse: true });
      fill(memory, device, 3);
      const x = uniform(5, 300 * 32);
      const results = await resultsOf(device, memory, (rows) => memory.forward(rows).stream, { x, shape });
      memory.dispose();
      return results;
    };
    const [one, three] = await withThreads(on.kind, [1, 3], run);
    for (const [name, numbers] of Object.entries(one!)) expectSameBits(name, three![name]!, numbers);
  });

  test('rows of 16 bits give rows of 16 bits', () => {
    scope(() => {
      const memory = new ProductKeyMemory(features, { ...small, norm: 'layer' });
      fill(memory, on.device, 3);
      const x: Tensor = tensor(uniform(5, 8 * features), [2, 4, features], { device: on.device, dtype: 'bf16' });
      expect(memory.forward(x).stream.dtype).toBe('bf16');
      memory.dispose();
    });
  });

  test('the gradient of values is of rows, or of all', () => {
    for (const sparse of [true, false]) {
      scope(() => {
        const memory = new ProductKeyMemory(features, { ...small, keys: 20, sparse });
        fill(memory, on.device, 3);
        const { stream } = memory.forward(tensor(uniform(5, 8 * features), [8, features], { device: on.device }));
        const [found] = gradients([stream], [memory.values.value], [stream], { rows: true });
        expect(found instanceof Object && 'indices' in found).toBe(sparse);
        memory.dispose();
      });
    }
  });
});

const sizes = {
  features,
  hidden: 24,
  activation: 'gelu',
  gated: false,
  chunk: 0,
  length: 8,
  causal: true,
  share: 1,
} as const;

test('its cost is counted', () => {
  // queries, two searches, values
  const options = { keys: 10, heads: 2, knn: 3, keyDim: 4 };
  expect(productKey.cost(sizes, options)).toEqual({ multiplyAdds: 8 * (6 * 8 + 2 * 2 * 10 * 2 + 2 * 3 * 6) });
});

test('refusals', () => {
  const create =
    (options: Readonly<Record<string, unknown>>, causal = true) =>
    () =>
      productKey.create({ ...sizes, causal }, options);
  expect(create({ keys: 3, knn: 10 })).toThrow('product-key: knn must be at most 9, the pairs of 3 keys; got 10.');
  expect(create({ keyDim: 7 })).toThrow('keyDim must be even, for it is two halves; got 7');
  expect(create({ norm: 'batch' })).toThrow('norm batch takes statistics of later tokens too; take layer or past');
  expect(create({ norm: 'batch' }, false)).not.toThrow();
  expect(create({ keys: 50_000 })).toThrow('keys² · width must be below 2^31; got 50000² · 6: take fewer keys');
  expect(create({ norm: 'instance' })).toThrow('norm must be');
  expect(() => productKey.create({ ...sizes, chunk: 4 }, {})).toThrow('takes no chunk');
});

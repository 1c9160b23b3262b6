// of kernels/sort/{chunks,keys,launch,radix,rows}

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sampleOf } from '../../src/kernels/sort/top-k.js';
import { argsort, sort, type SortOptions } from '../../src/ops/sort.js';
import { topK } from '../../src/ops/top-k.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectSameBits, type Numbers } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { generator, uniform } from '../support/random.js';

/** A NaN is larger than every number, −0 equals 0. */
function compare(a: number, b: number): number {
  const [aNaN, bNaN] = [Number.isNaN(a), Number.isNaN(b)];
  if (aNaN || bNaN) return Number(aNaN) - Number(bNaN);
  return a < b ? -1 : Number(a > b);
}

/** The order of every row, equal elements by index. */
function oracle(x: Numbers, length: number, { descending = false }: SortOptions): Int32Array {
  const order = new Int32Array(x.length);
  for (let start = 0; start < x.length; start += length) {
    const row = Array.from({ length }, (_, i) => i);
    row.sort((i, j) => (descending ? -1 : 1) * compare(x[start + i]!, x[start + j]!) || i - j);
    order.set(row, start);
  }
  return order;
}

const taken = (x: Numbers, order: Int32Array, length: number, count = length): Float64Array =>
  Float64Array.from(order, (i, at) => x[Math.floor(at / count) * length + i]!);

const directions = [{}, { descending: true }] as const;
const special = [NaN, -NaN, Infinity, -Infinity, 0, -0, 1, -1, 1e-40, -1e-40, 3e38, -3e38];

/** Few distinct values, so that there are ties. */
function rough(seed: number, count: number): Float32Array {
  const next = generator(seed);
  return Float32Array.from({ length: count }, () => {
    const kind = next();
    if (kind < 0.2) return special[Math.floor(next() * special.length)]!;
    return kind < 0.6 ? Math.floor(next() * 7) - 3 : (next() - 0.5) * 10 ** (next() * 20 - 10);
  });
}

onEveryDevice((on) => {
  const floats = (data: Float32Array, shape: readonly number[], requiresGradient = false): Tensor =>
    tensor(data, shape, { device: on.device, requiresGradient });

  async function check(data: Float32Array | Int32Array, rows: number): Promise<void> {
    const length = data.length / rows;
    for (const options of directions) {
      const { values, indices } = scope(() => sort(tensor(data, [rows, length], { device: on.device }), options));
      const want = oracle(data, length, options);
      const who = `${rows}×${length} ${JSON.stringify(options)}`;
      expectSameBits(who, await indices.data(), want);
      expectSameBits(who, await values.data(), taken(data, want, length));
      disposeAll([values, indices]);
    }
  }

  // by shifting, by digits, by digits in chunks
  test.each([
    [1, 1],
    [3, 2],
    [5, 31],
    [4, 32],
    [3, 33],
    [70, 257],
    [2, 5_003],
    [1, 70_001],
    [3, 66_000],
  ])('%i rows of %i floats and integers', async (rows, length) => {
    await check(rough(rows, rows * length), rows);
    const next = generator(length);
    await check(
      Int32Array.from({ length: rows * length }, () => Math.floor((next() - 0.5) * 2 ** 32)),
      rows,
    );
    await check(
      Int32Array.from({ length: rows * length }, () => Math.floor((next() - 0.5) * 9)),
      rows,
    );
  });

  test('random rows', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.float(), { minLength: 1, maxLength: 90 }), (row) =>
        check(Float32Array.from(row), 1),
      ),
      { seed: 3, numRuns: 60 },
    ));

  test('other dtypes', async () => {
    const bytes = scope(() => argsort(tensor(Uint8Array.of(7, 255, 7, 0), [4], { device: on.device })));
    expect([...(await bytes.data())]).toEqual([3, 0, 2, 1]);
    const half = scope(() => sort(tensor([0.5, -2, 4], [3], { device: on.device, dtype: 'f16' })).values);
    expect([half.dtype, ...(await half.data())]).toEqual(['f16', -2, 0.5, 4]);
    disposeAll([bytes, half]);
  });

  test('gradients of sorted and of largest values go to where they came from', async () => {
    const data = uniform(1, 60);
    const cotangent = uniform(2, 60);
    const x = floats(data, [3, 20], true);
    const sorted = sort(x);
    const seed = floats(cotangent, [3, 20]);
    const [dx] = gradients([sorted.values], [x], [seed]);
    const want = new Float32Array(60);
    oracle(data, 20, {}).forEach((i, at) => (want[Math.floor(at / 20) * 20 + i] = cotangent[at]!));
    expectSameBits('sort', await dx!.data(), want);

    const top = topK(x, 4);
    const topSeed = floats(cotangent.subarray(0, 12), [3, 4]);
    const [dtop] = gradients([top.values], [x], [topSeed]);
    const wantTop = new Float32Array(60);
    const order = oracle(data, 20, { descending: true });
    for (let at = 0; at < 12; at++)
      wantTop[Math.floor(at / 4) * 20 + order[Math.floor(at / 4) * 20 + (at % 4)]!] = cotangent[at]!;
    expectSameBits('topK', await dtop!.data(), wantTop);
    disposeAll([x, sorted.values, sorted.indices, seed, dx, top.values, top.indices, topSeed, dtop]);
  });

  test.each([
    [1, 1, 1],
    [4, 9, 3],
    [3, 100, 100],
    [5, 1_000, 40],
    [2, 20_011, 77],
  ])('topK of %i rows of %i: the first %i of the descending order', async (rows, length, count) => {
    for (const data of [
      rough(7, rows * length),
      Int32Array.from(rough(8, rows * length), (x) => (Number.isNaN(x) ? 5 : x)),
    ]) {
      const { values, indices } = scope(() => topK(tensor(data, [rows, length], { device: on.device }), count));
      const want = oracle(data, length, { descending: true }).filter((_, at) => at % length < count);
      expectSameBits('indices', await indices.data(), want);
      expectSameBits('values', await values.data(), taken(data, want, length, count));
      disposeAll([values, indices]);
    }
  });

  test('topK of rows whose sample holds all of the largest, none of them, or one number', async () => {
    const [length, count] = [4_000, 30];
    const { stride, rank } = sampleOf(length, count);
    expect(rank).toBeGreaterThan(0);
    const small = uniform(9, 4 * length);
    const data = small.map((value, i) => {
      const inSample = (i % length) % stride === 0;
      const row = Math.floor(i / length);
      return row === 3 ? 7 : row === 2 ? value : inSample === (row === 0) ? 10 + value : value;
    });
    const { values, indices } = scope(() => topK(floats(data, [4, length]), count));
    const want = oracle(data, length, { descending: true }).filter((_, at) => at % length < count);
    expectSameBits('indices', await indices.data(), want);
    disposeAll([values, indices]);
  });

  test('the same bits for every number of threads', async () => {
    const data = rough(5, 200_000);
    const results = await withThreads(on.kind, [1, 2, 3], async (device) => {
      const order = scope(() => argsort(tensor(data, [2, 100_000], { device })));
      const indices = await order.data();
      order.dispose();
      return indices;
    });
    expectSameBits('1 thread', results[0]!, oracle(data, 100_000, {}));
    expectSameBits('2 threads', results[1]!, results[0]!);
    expectSameBits('3 threads', results[2]!, results[0]!);
  });

  test('what they refuse', () =>
    scope(() => {
      const x = floats(new Float32Array(6), [2, 3]);
      expect(() => topK(x, 0)).toThrow(
        'topK: count must be a whole number from 1 to 3, the last axis of x=[2,3]; got 0.',
      );
      expect(() => topK(x, 4)).toThrow(/got 4/);
      expect(() => topK(x, 1.5)).toThrow(/got 1.5/);
      expect(() => argsort(floats(new Float32Array(1), []))).toThrow(
        'argsort: takes a tensor with at least one axis; got []. Reshape it to [1].',
      );
      expect(() => sort(x, { decending: true } as SortOptions)).toThrow(/did you mean "descending"/);
    }));
});

// of kernels/gather/{launch,rows}

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ShapeError } from '../../src/core/errors.js';
import type { Dtype } from '../../src/core/dtype.js';
import { embedding } from '../../src/ops/embedding.js';
import { gather, scatterAdd, takeAlong } from '../../src/ops/gather.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectClose, expectSameBits, type Numbers } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { generator, uniform } from '../support/random.js';

const product = (shape: readonly number[]): number => shape.reduce((x, y) => x * y, 1);

/** Where `gather` reads: the flat index into x of every element of the result. */
function sources(shape: readonly number[], indices: Numbers, axis: number): number[] {
  const [outer, inner] = [product(shape.slice(0, axis)), product(shape.slice(axis + 1))];
  const at: number[] = [];
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < indices.length; i++) {
      for (let c = 0; c < inner; c++) at.push((o * shape[axis]! + indices[i]!) * inner + c);
    }
  }
  return at;
}

function randomIndices(seed: number, count: number, bound: number): Int32Array {
  const next = generator(seed);
  return Int32Array.from({ length: count }, () => Math.floor(next() * bound));
}

/** `x` with `updates` added at `at`, in order; `round` after every addition. */
function added(x: Numbers, updates: Numbers, at: readonly number[], round = (v: number): number => v): Float64Array {
  const out = Float64Array.from(x);
  at.forEach((place, i) => (out[place] = round(out[place]! + updates[i]!)));
  return out;
}

onEveryDevice((on) => {
  const floats = (data: ArrayLike<number>, shape: readonly number[], requiresGradient = false): Tensor =>
    tensor(Float32Array.from(data), shape, { device: on.device, requiresGradient });
  const integers = (data: Int32Array, shape: readonly number[] = [data.length]): Tensor =>
    tensor(data, shape, { device: on.device });

  async function checkGather(
    shape: readonly number[],
    axis: number,
    indexShape: readonly number[],
    dtype: Dtype,
  ): Promise<void> {
    const data = Float32Array.from({ length: product(shape) }, (_, i) => i % 251);
    const indices = randomIndices(3, product(indexShape), shape[axis]!);
    const out = scope(() =>
      gather(tensor(data, shape, { device: on.device, dtype }), integers(indices, indexShape), { axis }),
    );
    expect(out.shape).toEqual([...shape.slice(0, axis), ...indexShape, ...shape.slice(axis + 1)]);
    expect(out.dtype).toBe(dtype);
    const want = sources(shape, indices, axis).map((at) => data[at]!);
    expectSameBits(`${dtype}[${shape.join()}] axis ${axis}`, await out.data(), want);
    out.dispose();
  }

  test('any axis, any dtype, rows of any number of bytes', async () => {
    for (const dtype of ['f32', 'f16', 'bf16', 'i32', 'u8'] as const) {
      await checkGather([5, 7], 0, [4], dtype);
      await checkGather([5, 7], 1, [2, 3], dtype);
      await checkGather([3, 4, 5], 1, [1], dtype);
      await checkGather([1, 1], 0, [], dtype);
    }
    await checkGather([2, 3, 40000], 1, [5], 'f32');
    await checkGather([9], 0, [70000], 'u8');
  });

  test('random shapes', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
        fc.nat(3),
        fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 2 }),
        fc.constantFrom('f32' as const, 'f16' as const, 'u8' as const),
        (shape, axis, indexShape, dtype) => checkGather(shape, axis % shape.length, indexShape, dtype),
      ),
      { seed: 11, numRuns: 60 },
    ));

  test.each([
    [[6, 5], 0, 40],
    [[3, 4, 7], 1, 9],
    [[2, 9], 1, 30],
    [[4, 100], 0, 5],
  ] as const)(
    'the gradient of gather adds up what was read more than once: %j, axis %i',
    async (shape, axis, count) => {
      const data = uniform(1, product(shape));
      const indices = randomIndices(5, count, shape[axis]);
      const [x, index] = [floats(data, shape, true), integers(indices)];
      const out = gather(x, index, { axis });
      const cotangent = uniform(2, out.size);
      const seed = floats(cotangent, out.shape);
      const [dx] = gradients([out], [x], [seed]);
      const at = sources(shape, indices, axis);
      const zeros = new Float64Array(data.length);
      expectClose('dx', await dx!.data(), added(zeros, cotangent, at), {
        budget: added(zeros, cotangent, at, Math.fround),
      });
      disposeAll([x, index, out, seed, dx]);
    },
  );

  test('scatterAdd and its gradients', async () => {
    for (const [shape, axis, count] of [
      [[6, 5], 0, 11],
      [[3, 4, 7], 1, 9],
      [[50], 0, 400],
      [[2, 300, 3], 1, 77],
    ] as const) {
      const updateShape = shape.map((extent, i) => (i === axis ? count : extent));
      const [data, updates] = [uniform(1, product(shape)), uniform(2, product(updateShape))];
      const indices = randomIndices(5, count, shape[axis]!);
      const [x, index, update] = [floats(data, shape, true), integers(indices), floats(updates, updateShape, true)];
      const out = scatterAdd(x, index, update, { axis });
      const at = sources(shape, indices, axis);
      expectClose('out', await out.data(), added(data, updates, at), { budget: added(data, updates, at, Math.fround) });
      const cotangent = uniform(3, out.size);
      const seed = floats(cotangent, out.shape);
      const [dx, dupdates] = gradients([out], [x, update], [seed]);
      expectSameBits('dx', await dx!.data(), cotangent);
      expectSameBits(
        'dupdates',
        await dupdates!.data(),
        Float32Array.from(at, (place) => cotangent[place]!),
      );
      disposeAll([x, index, update, out, seed, dx, dupdates]);
    }
  });

  test('takeAlong reads with indices of each row, and sends gradients back there', async () => {
    const [shape, indexShape] = [
      [3, 2, 6],
      [3, 2, 4],
    ];
    const data = uniform(1, 36);
    const indices = randomIndices(8, 24, 6);
    const [x, index] = [floats(data, shape, true), integers(indices, indexShape)];
    const out = takeAlong(x, index);
    const at = [...indices].map((i, place) => Math.floor(place / 4) * 6 + i);
    expectSameBits(
      'out',
      await out.data(),
      Float32Array.from(at, (place) => data[place]!),
    );
    const cotangent = uniform(3, 24);
    const seed = floats(cotangent, indexShape);
    const [dx] = gradients([out], [x], [seed]);
    const zeros = new Float64Array(36);
    expectClose('dx', await dx!.data(), added(zeros, cotangent, at), {
      budget: added(zeros, cotangent, at, Math.fround),
    });
    disposeAll([x, index, out, seed, dx]);
  });

  test('embedding: rows of a table, their gradients summed', async () => {
    const data = uniform(1, 20);
    const [table, index] = [floats(data, [4, 5], true), integers(Int32Array.of(3, 0, 3, 3, 1, 0), [2, 3])];
    const out = embedding(table, index);
    expect(out.shape).toEqual([2, 3, 5]);
    const ones = floats(new Float32Array(30).fill(1), [2, 3, 5]);
    const [dtable] = gradients([out], [table], [ones]);
    expect([...(await dtable!.data())]).toEqual([2, 1, 0, 3].flatMap((count) => new Array<number>(5).fill(count)));
    disposeAll([table, index, out, ones, dtable]);
  });

  test('the same bits for every number of threads', async () => {
    const indices = randomIndices(4, 5000, 30);
    const updates = uniform(2, 5000 * 96);
    const results = await withThreads(on.kind, [1, 2, 3], (device) =>
      scope(async () => {
        const x = tensor(new Float32Array(30 * 96), [30, 96], { device });
        const out = scatterAdd(x, tensor(indices, [5000], { device }), tensor(updates, [5000, 96], { device }));
        const data = await out.data();
        disposeAll([x, out]);
        return data;
      }),
    );
    expectSameBits('2 threads', results[1]!, results[0]!);
    expectSameBits('3 threads', results[2]!, results[0]!);
  });

  test('an index out of range is named with its position and the bound', () =>
    scope(() => {
      const x = floats(new Float32Array(15), [5, 3]);
      const bad = integers(Int32Array.of(0, 4, 5, 1), [2, 2]);
      expect(() => gather(x, bad)).toThrow('gather: indices must be from 0 to 4 (axis 0 of x=[5,3]); got 5 at [1,0].');
      expect(() => gather(x, integers(Int32Array.of(1, -1)), { axis: 1 })).toThrow(
        'gather: indices must be from 0 to 2 (axis 1 of x=[5,3]); got -1 at [1].',
      );
      expect(() => embedding(x, bad)).toThrow(
        'embedding: indices must be from 0 to 4 (axis 0 of table=[5,3]); got 5 at [1,0].',
      );
      expect(() => scatterAdd(x, integers(Int32Array.of(9)), floats([1, 2, 3], [1, 3]))).toThrow(
        /scatterAdd: indices must be from 0 to 4/,
      );
      expect(() => takeAlong(x, integers(new Int32Array(5).fill(3), [5, 1]))).toThrow(
        /takeAlong: indices must be from 0 to 2/,
      );
      // among many, the first
      const many = new Int32Array(200_000);
      many[150_000] = 77;
      expect(() => gather(x, integers(many))).toThrow(/got 77 at \[150000\]/);
    }));

  test('what they refuse', () =>
    scope(() => {
      const x = floats(new Float32Array(15), [5, 3]);
      const index = integers(Int32Array.of(1));
      expect(() => gather(x, floats([1], [1]))).toThrow('gather: indices must be i32; got f32[1]. Use cast first.');
      expect(() => gather(x, index, { axis: 2 })).toThrow(/gather: there is no axis 2 in shape \[5,3\]/);
      expect(() => scatterAdd(x, index, floats([1, 2], [1, 2]))).toThrow(
        new ShapeError(
          'scatterAdd: indices must be [m] and updates [1,3], as x with m at axis 0; got x=[5,3], indices=[1], updates=[1,2].',
        ),
      );
      expect(() => takeAlong(x, index)).toThrow(ShapeError);
      expect(() => embedding(floats([1], [1]), index)).toThrow(/table must be \[V,D\]; got table=\[1\]/);
    }));
});

// of kernels/copy/{cpu,plan}, tensor/copy

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Dtype } from '../../src/core/dtype.js';
import { broadcastTo, concat, detach, pad, reshape, slice, split, transpose } from '../../src/ops/index.js';
import { gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { uniform } from '../support/random.js';

type Shape = readonly number[];
const sizeOf = (shape: Shape): number => shape.reduce((size, extent) => size * extent, 1);
const stridesOf = (shape: Shape): number[] => shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));

/** Index vectors of a shape in row-major order. */
function* indices(shape: Shape): Generator<number[]> {
  for (let flat = 0; flat < sizeOf(shape); flat++) {
    yield shape.map((extent, axis) => Math.floor(flat / sizeOf(shape.slice(axis + 1))) % extent);
  }
}

/** For every element of the result, the index it comes from; −1 for none. */
function sourcesOf(shape: Shape, out: Shape, from: (index: number[]) => readonly number[] | undefined): number[] {
  const strides = stridesOf(shape);
  return Array.from(
    indices(out),
    (index) => from(index)?.reduce((flat, at, axis) => flat + at * strides[axis]!, 0) ?? -1,
  );
}

const shapeOf = (rank: number): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: 1, max: 11 }), { minLength: rank, maxLength: rank });

onEveryDevice((on) => {
  /** Values must be moved exactly, and gradients back along the same way, in each dtype. */
  async function check(
    name: string,
    shape: Shape,
    run: (x: Tensor) => Tensor,
    sources: readonly number[],
    otherwise = 0,
  ): Promise<void> {
    const { device } = on;
    for (const dtype of ['f32', 'f16', 'u8', 'i32'] as const satisfies readonly Dtype[]) {
      const data = Int32Array.from({ length: sizeOf(shape) }, (_, i) => (i * 7 + 1) % 251);
      const y = scope(() => run(tensor(data, shape, { device, dtype })));
      expectSameBits(
        `${name} ${dtype}`,
        await y.data(),
        sources.map((at) => (at < 0 ? otherwise : data[at]!)),
      );
      expect(y.dtype).toBe(dtype);
      y.dispose();
    }
    const d = uniform(1, sources.length);
    const [dx] = scope(() => {
      const x = tensor(uniform(2, sizeOf(shape)), shape, { device, requiresGradient: true });
      const y = run(x);
      return gradients([y], [x], [tensor(d, y.shape, { device })]);
    });
    // repeated elements add up, in another order than here
    const [want, plain] = [new Float64Array(sizeOf(shape)), new Float32Array(sizeOf(shape))];
    sources.forEach((at, i) => {
      if (at < 0) return;
      want[at]! += d[i]!;
      plain[at]! += d[i]!;
    });
    expectClose(`${name} gradient`, await dx!.data(), want, { budget: plain });
    dx!.dispose();
  }

  test('transpose: any permutation', async () => {
    const cases = fc
      .integer({ min: 1, max: 4 })
      .chain((rank) =>
        fc.tuple(shapeOf(rank), fc.shuffledSubarray([...Array(rank).keys()], { minLength: rank, maxLength: rank })),
      );
    const one = async ([shape, order]: readonly [Shape, Shape]): Promise<void> => {
      const out = order.map((axis) => shape[axis]!);
      const sources = sourcesOf(shape, out, (index) => order.map((_, axis) => index[order.indexOf(axis)]!));
      await check(`transpose [${shape.join()}] by [${order.join()}]`, shape, (x) => transpose(x, order), sources);
    };
    await fc.assert(fc.asyncProperty(cases, one), { numRuns: 25, seed: 1 });
    await one([
      [100, 70],
      [1, 0],
    ]);
    await one([
      [2, 65, 3, 66],
      [0, 2, 3, 1],
    ]);
    await one([
      [3, 20_000],
      [1, 0],
    ]);
  });

  test('slice: any axis, start, end and step', async () => {
    const cases = fc
      .tuple(
        fc.integer({ min: 1, max: 4 }).chain(shapeOf),
        fc.nat(),
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 1, max: 3 }),
      )
      .map(([shape, a, b, c, step]) => {
        const axis = a % shape.length;
        const start = b % shape[axis]!;
        return { shape, axis, start, end: start + 1 + (c % (shape[axis]! - start)), step };
      });
    await fc.assert(
      fc.asyncProperty(cases, async ({ shape, axis, start, end, step }) => {
        const out = shape.map((extent, i) => (i === axis ? Math.ceil((end - start) / step) : extent));
        const sources = sourcesOf(shape, out, (index) => index.map((at, i) => (i === axis ? start + at * step : at)));
        await check(`slice [${shape.join()}]`, shape, (x) => slice(x, { axis, start, end, step }), sources);
      }),
      { numRuns: 25, seed: 2 },
    );
    await check('from the end', [2, 5], (x) => slice(x, { axis: -1, start: -3, end: -1 }), [2, 3, 7, 8]);
    await check(
      'long',
      [50_000],
      (x) => slice(x, { start: 1 }),
      Array.from({ length: 49_999 }, (_, i) => i + 1),
    );
  });

  test('concat and split undo each other, on any axis', async () => {
    const cases = fc.tuple(
      fc.integer({ min: 1, max: 3 }).chain(shapeOf),
      fc.nat(),
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ([base, a, extents]) => {
        const axis = a % base.length;
        const shape = base.map((extent, i) => (i === axis ? extents.reduce((x, y) => x + y) : extent));
        const all = Array.from({ length: sizeOf(shape) }, (_, i) => i);
        await check('round trip', shape, (x) => concat(split(x, extents, { axis }), { axis }), all);
      }),
      { numRuns: 20, seed: 3 },
    );
    const out = scope(() => {
      const x = tensor([1, 2, 3], [1, 3], { device: on.device });
      return concat([x, tensor([4, 5, 6, 7, 8, 9], [2, 3], { device: on.device }), x]);
    });
    expect([...(await out.data())]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3]);
    out.dispose();
  });

  test('pad', async () => {
    const cases = fc
      .integer({ min: 1, max: 3 })
      .chain((rank) =>
        fc.tuple(shapeOf(rank), fc.array(fc.tuple(fc.nat(3), fc.nat(3)), { minLength: rank, maxLength: rank })),
      );
    await fc.assert(
      fc.asyncProperty(cases, async ([shape, widths]) => {
        const out = shape.map((extent, i) => extent + widths[i]![0] + widths[i]![1]);
        const sources = sourcesOf(shape, out, (index) => {
          const inside = index.map((at, i) => at - widths[i]![0]);
          return inside.every((at, i) => at >= 0 && at < shape[i]!) ? inside : undefined;
        });
        await check('pad', shape, (x) => pad(x, widths, { value: 9 }), sources, 9);
      }),
      { numRuns: 20, seed: 4 },
    );
  });

  test('reshape and broadcastTo', async () => {
    const all = Array.from({ length: 24 }, (_, i) => i);
    await check('reshape', [2, 3, 4], (x) => reshape(x, [4, -1]), all);
    await check('broadcastTo', [3, 1], (x) => broadcastTo(x, [2, 3, 2]), [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]);
    await check('broadcastTo itself', [3], (x) => broadcastTo(x, [1, 3]), [0, 1, 2]);
  });

  test('a reshape shares memory, and outlives what it was made from', async () => {
    const { device } = on;
    const x = tensor([1, 2, 3, 4], [2, 2], { device });
    const before = device.ledger.live();
    const y = reshape(x, [4]);
    expect(device.ledger.live()).toBe(before);
    x.dispose();
    expect([...(await y.data())]).toEqual([1, 2, 3, 4]);
    const leaf = tensor([1], [1], { device, requiresGradient: true });
    const cut = detach(leaf);
    expect(cut.requiresGradient).toBe(false);
    const own = detach(cut, { requiresGradient: true });
    const [d] = scope(() => gradients([reshape(own, [])], [own]));
    expect(await d!.item()).toBe(1);
    for (const one of [y, leaf, cut, own, d!]) one.dispose();
  });

  test('bits do not depend on the number of threads', async () => {
    const x = uniform(8, 200 * 300);
    const [one, two, three] = await withThreads(on.kind, [1, 2, 3], async (device) => {
      const y = scope(() => transpose(tensor(x, [200, 300], { device })));
      const values = await y.data();
      y.dispose();
      return values;
    });
    expectSameBits('2 threads', two!, one!);
    expectSameBits('3 threads', three!, one!);
  });

  test('refusals', () => {
    scope(() => {
      const x = tensor([1, 2, 3, 4, 5, 6], [2, 3], { device: on.device });
      expect(() => reshape(x, [4, -1])).toThrow('reshape: [2,3] has 6 elements, which [4,-1] does not hold');
      expect(() => transpose(x, [0, 0])).toThrow(
        'transpose: the permutation must name each axis of [2,3] once; got [0,0].',
      );
      expect(() => slice(x, { axis: 1, start: 2, end: 2 })).toThrow(
        '0 ≤ start < end ≤ 3, the extent of axis 1 of [2,3]; got start=2, end=2.',
      );
      expect(() => slice(x, { axis: 1, start: 0.5 })).toThrow('start must be a whole number');
      expect(() => split(x, [1, 1], { axis: 1 })).toThrow(
        'split: extents must be whole numbers of at least 1 that add up to 3, axis 1 of [2,3]; got [1,1].',
      );
      expect(() => concat([x, transpose(x)])).toThrow(
        'concat: shapes must be equal except on axis 0; got [2,3], [3,2].',
      );
      expect(() => pad(x, [[0, 1]])).toThrow('pad: takes one pair');
      expect(() => broadcastTo(x, [3])).toThrow('broadcastTo');
      expect(() => broadcastTo(x, [4, 3])).toThrow('equal or 1 on every axis');
    });
  });
});

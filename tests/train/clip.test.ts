// of kernels/squares

import { expect, test } from 'vitest';
import { cast } from '../../src/ops/index.js';
import { disposeAll, share, tensor, zeros, type Tensor } from '../../src/tensor/index.js';
import { clipGradients } from '../../src/train/clip.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { uniform } from '../support/random.js';

onEveryDevice((on) => {
  const make = (data: ArrayLike<number>): Tensor => tensor(data, [data.length], { device: on.device });

  test('gradients of 3 and 4 have the norm 5, and are scaled to the limit', async () => {
    const [a, b] = [make([3]), make([0, -4])];
    const named = [
      ['a', a],
      ['unused', undefined],
      ['b', b],
    ] as const;
    expect(await clipGradients(named, Infinity)).toEqual({ norm: 5, factor: 1, nonFinite: undefined });
    expect(await clipGradients(named, 5)).toEqual({ norm: 5, factor: 1, nonFinite: undefined });
    expectSameBits('within the limit', await b.data(), [0, -4]);
    expect(await clipGradients(named, 2.5)).toEqual({ norm: 5, factor: 0.5, nonFinite: undefined });
    expectSameBits('a', await a.data(), [1.5]);
    expectSameBits('b', await b.data(), [0, -2]);
    expect(await clipGradients([], 1)).toEqual({ norm: 0, factor: 1, nonFinite: undefined });
    disposeAll([a, b]);
  });

  test('the norm of many numbers, in more than one part', async () => {
    const [a, b] = [uniform(1, 50_001), uniform(2, 77, 5, 9)];
    let [squares, plain] = [0, 0];
    for (const x of [...a, ...b]) {
      squares += x * x;
      plain = Math.fround(plain + Math.fround(x * x));
    }
    const named: [string, Tensor][] = [
      ['a', make(a)],
      ['b', make(b)],
    ];
    const { norm, factor } = await clipGradients(named, 1);
    expectClose('norm', [norm], [Math.sqrt(squares)], { budget: [Math.fround(Math.sqrt(plain))] });
    expect(factor).toBe(1 / norm);
    expectClose(
      'scaled',
      await named[1]![1].data(),
      Float64Array.from(b, (x) => x / Math.sqrt(squares)),
    );
    disposeAll(named);
  });

  // 1e-38 is subnormal, which a GPU may take for 0
  test.each([1e30, 1e-30, 3e38, ...(on.kind === 'webgpu' ? [] : [1e-38])])(
    'numbers of %d, whose squares f32 does not hold',
    async (size) => {
      const named = [
        ['a', make([3 * size, -4 * size].map((x) => x / 5))],
        ['b', make([0])],
      ] as const;
      const { norm, nonFinite } = await clipGradients(named, Infinity);
      expectClose('norm', [norm / size], [1]);
      expect(nonFinite).toBeUndefined();
      disposeAll(named);
    },
  );

  test('zeros have the norm 0', async () => {
    const named = [['a', zeros([3, 2], { device: on.device })]] as const;
    expect(await clipGradients(named, 1)).toEqual({ norm: 0, factor: 1, nonFinite: undefined });
    disposeAll(named);
  });

  test.each([NaN, Infinity, -Infinity])('%d is found, and nothing is scaled', async (bad) => {
    const named = [
      ['good', make([1e30, 5])],
      ['first', make(Float32Array.from({ length: 40_000 }, (_, i) => (i === 33_333 ? bad : 1)))],
      ['second', make([NaN])],
    ] as const;
    const { norm, factor, nonFinite } = await clipGradients(named, 1);
    expect([Number.isFinite(norm), factor, nonFinite]).toEqual([false, 1, 'first']);
    expectSameBits('good', await named[0][1].data(), Float32Array.of(1e30, 5));
    disposeAll(named);
  });

  test('gradients on the same memory are scaled once', async () => {
    const one = make([3, 4]);
    const same = share(one, [2, 1]);
    const { norm } = await clipGradients(
      [
        ['one', one],
        ['same', same],
      ],
      5 / Math.SQRT2,
    );
    expectClose('norm', [norm], [5 * Math.SQRT2]);
    expectClose('scaled', await one.data(), [1.5, 2]);
    disposeAll([one, same]);
  });

  test('gradients of a scaled loss: norm, limit and factor are those of the loss itself, in one pass', async () => {
    const scale = 2 ** 16;
    const data = uniform(4, 1000);
    const squares = data.reduce((total, x) => total + x * x, 0);
    for (const limit of [1, 1e9, Infinity]) {
      const [plain, scaled] = [make(data), make(data.map((x) => scale * x))];
      const want = await clipGradients([['a', plain]], limit);
      expectClose('norm', [want.norm], [Math.sqrt(squares)]);
      // by a power of two nothing is rounded
      expect(await clipGradients([['a', scaled]], limit, { unscale: scale })).toEqual(want);
      expectSameBits('gradients', await scaled.data(), await plain.data());
      disposeAll([plain, scaled]);
    }
    const one = make([6, 8]);
    expect(await clipGradients([['a', one]], 2.5, { unscale: 2 })).toEqual({
      norm: 5,
      factor: 0.5,
      nonFinite: undefined,
    });
    expectSameBits('unscaled, then clipped', await one.data(), [1.5, 2]);
    // where the limit takes what the scale gives, nothing is to be done
    expect((await clipGradients([['a', one]], 5, { unscale: 0.5 })).norm).toBe(5);
    expectSameBits('as it was', await one.data(), [1.5 / 0.5, 2 / 0.5]);
    one.dispose();
  });

  test('a scaled gradient that is not finite leaves all scaled, and is named', async () => {
    const named = [
      ['good', make([4])],
      ['bad', make([Infinity])],
    ] as const;
    const { norm, factor, nonFinite } = await clipGradients(named, 1, { unscale: 4 });
    expect([norm, factor, nonFinite]).toEqual([Infinity, 1, 'bad']);
    expectSameBits('good', await named[0][1].data(), [4]);
    disposeAll(named);
  });

  test('equal bits for any number of threads', async () => {
    const data = uniform(3, 100_000);
    const norms = await withThreads(on.kind, [1, 3], async (device) => {
      const gradient = tensor(data, [100_000], { device });
      const { norm } = await clipGradients([['a', gradient]], Infinity);
      gradient.dispose();
      return norm;
    });
    expect(norms[0]).toBe(norms[1]);
  });

  test('a wrong limit and wrong dtypes are told at once', async () => {
    const one = make([1]);
    const half = cast(one, 'f16');
    await expect(clipGradients([['h', half]], 0)).rejects.toThrow(
      'clipGradients: gradient h must be f32; got f16[1]; limit must be a number above 0, or Infinity to measure only; got 0.',
    );
    await expect(clipGradients([], NaN)).rejects.toThrow('got NaN');
    await expect(clipGradients([], 1, { unscale: 0 })).rejects.toThrow('unscale must be a number above 0; got 0');
    disposeAll([one, half]);
    await expect(clipGradients([['a', one]], 1)).rejects.toThrow('was disposed');
  });
});

// of kernels/fourier/{butterflies,columns,launch,plan,rows}

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { fourier, fourierMix, fourierMixCost } from '../../src/ops/fourier.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { fourierColumns, fourierMix as oracle } from '../oracles/fourier.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { checkOperation } from '../support/operation.js';
import { uniform } from '../support/random.js';
import { full } from '../support/full.js';

onEveryDevice((on) => {
  const floats = (data: ArrayLike<number>, shape: readonly number[], requiresGradient = false): Tensor =>
    tensor(Float32Array.from(data), shape, { device: on.device, requiresGradient });

  // one number, powers of two and four, odd primes, mixed, features or lengths with a large prime, several passes
  test.each([[[1, 1]], [[2, 3]], [[3, 16, 32]], [[17, 33]], [[20, 18]], [[3, 67]], [[67, 2]], [[1, 61]], [[61, 1]]])(
    'fourierMix %j: values and gradients',
    async (shape) => {
      const [n, D] = shape.slice(-2) as [number, number];
      await checkOperation(on.device, {
        name: 'fourierMix',
        shapes: [shape],
        run: fourierMix,
        forward: (r, x) => oracle(x, n, D, r),
        // Re(F X F) is its own adjoint
        backward: (r, d) => [oracle(d, n, D, r)],
      });
    },
  );

  test.each([
    [134, 71],
    [1100, 3],
    [1031, 2],
  ])('fourierMix of %i rows of %i, more passes than one: values and gradients', async (n, D) => {
    const [data, cotangent] = [uniform(1, n * D), uniform(2, n * D)];
    const [y, dx] = scope(() => {
      const x = floats(data, [n, D], true);
      const out = fourierMix(x);
      return [out, ...gradients([out], [x], [floats(cotangent, [n, D])])] as [Tensor, Tensor];
    });
    expectClose('values', await y.data(), oracle(data, n, D), { budget: oracle(data, n, D, Math.fround) });
    expectClose('dx', await dx.data(), oracle(cotangent, n, D), { budget: oracle(cotangent, n, D, Math.fround) });
    disposeAll([y, dx]);
    const { counters } = on.device;
    const before = counters.multiplyAdds;
    scope(() => void fourierMix(floats(data, [n, D])));
    expect(counters.multiplyAdds - before).toBe(fourierMixCost(1, n, D));
  });

  test('products by hand: 16 rows of 4 numbers', () => {
    // 2 complex columns of 16 points, two stages of radix 4 and the pass's factors; 9 rows of 4 points, one stage
    expect(fourierMixCost(3, 16, 4)).toBe(3 * (2 * 16 * (3 + 3 + 4) + 9 * 4 * 3));
  });

  test('random shapes', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 90 }),
        fc.integer({ min: 1, max: 90 }),
        async (batches, n, D) => {
          const data = uniform(n * 100 + D, batches * n * D);
          const out = scope(() => fourierMix(floats(data, [batches, n, D])));
          const plain = oracle(data, n, D, Math.fround);
          expectClose(`[${batches},${n},${D}]`, await out.data(), oracle(data, n, D), { budget: plain });
          out.dispose();
        },
      ),
      { seed: 3, numRuns: full ? 30 : 12 },
    ));

  test.each([
    [[5, 8], 0],
    [[5, 8], 1],
    [[3, 20, 17], 1],
    [[4, 3, 5], 1],
    [[131, 2], 0],
    [[67], 0],
  ])('fourier %j along axis %i: values and gradients of both parts', async (shape, axis) => {
    const n = shape[axis]!;
    const [before, after] = [shape.slice(0, axis), shape.slice(axis + 1)].map((s) => s.reduce((x, y) => x * y, 1));
    const [re, im, dre, dim] = [1, 2, 3, 4].map((seed) => uniform(seed, before! * n * after!));
    const every = (a: Float32Array, b: Float32Array, round?: (x: number) => number): [number[], number[]] => {
      const [reals, imaginaries]: [number[], number[]] = [[], []];
      for (let start = 0; start < a.length; start += n * after!) {
        const parts = [a, b].map((part) => part.subarray(start, start + n * after!)) as [Float32Array, Float32Array];
        const found = fourierColumns(...parts, n, after!, round);
        reals.push(...found[0]);
        imaginaries.push(...found[1]);
      }
      return [reals, imaginaries];
    };
    const got = scope(() => {
      const x = { re: floats(re!, shape, true), im: floats(im!, shape, true) };
      const out = fourier(x, { axis });
      const d = gradients([out.re, out.im], [x.re, x.im], [floats(dre!, shape), floats(dim!, shape)]);
      const [alone] = gradients([out.im], [x.re], [floats(dim!, shape)]);
      return [out.re, out.im, ...d, alone!];
    });
    const data = await Promise.all(got.map((one) => one.data()));
    const [want, plain] = [every(re!, im!), every(re!, im!, Math.fround)];
    for (const part of [0, 1] as const) expectClose(`part ${part}`, data[part]!, want[part], { budget: plain[part] });
    // ⟨d, F x⟩ = ⟨conj(F) d, x⟩, and conj(F) exchanges the parts before and after
    const [back, backPlain] = [every(dim!, dre!), every(dim!, dre!, Math.fround)];
    for (const part of [0, 1] as const)
      expectClose(`gradient ${part}`, data[2 + part]!, back[1 - part]!, { budget: backPlain[1 - part]! });
    const zeros = new Float32Array(dim!.length);
    expectClose('one part', data[4]!, every(dim!, zeros)[1], { budget: every(dim!, zeros, Math.fround)[1] });
    disposeAll(got);
  });

  test('by hand', async () => {
    const golden = Float64Array.from({ length: 18 }, (_, i) => Math.sin(3 + 0.5 * i));
    const delta = scope(() => fourierMix(floats([1, ...new Array<number>(34).fill(0)], [5, 7])));
    expect([...(await delta.data())]).toEqual(new Array<number>(35).fill(1));
    const mixed = scope(() => fourierMix(floats(golden, [6, 3])));
    const rows = [-3.252116, 0.657954, 0.657954, -6.583696, 1.383768, -0.175605];
    expectClose('rows 0 and 1', (await mixed.data()).slice(0, 6), rows, { budget: 2e-6 });
    disposeAll([delta, mixed]);
  });

  test('mixing twice gives (nD/2)·(X + X mirrored)', async () => {
    const [n, D] = [12, 10];
    const x = uniform(5, n * D);
    const twice = scope(() => fourierMix(fourierMix(floats(x, [n, D]))));
    const want = Float64Array.from(x, (value, i) => {
      const [row, column] = [Math.floor(i / D), i % D];
      return ((n * D) / 2) * (value + x[((n - row) % n) * D + ((D - column) % D)]!);
    });
    const plain = oracle(oracle(x, n, D, Math.fround), n, D, Math.fround);
    expectClose('mix(mix(x))', await twice.data(), want, { budget: plain });
    twice.dispose();
  });

  test('n = 65,536 with many features: four sums by hand, in four times the input’s memory', async () => {
    const [n, D] = [65_536, full ? 256 : 32];
    const { device } = on;
    const data = new Float32Array(n * D);
    // two waves: every other number of the result is 0
    for (let i = 0; i < n; i++)
      for (let c = 0; c < D; c++)
        data[i * D + c] = Math.fround(Math.cos((2 * Math.PI * ((5 * i) % n)) / n + (2 * Math.PI * 3 * c) / D));
    const x = floats(data, [n, D]);
    device.ledger.mark();
    const y = scope(() => fourierMix(x));
    // on a GPU each of the takers in flight has a workspace for its pass
    const workspaces = device.info.gpu ? device.info.threads * 2 ** 17 : 0;
    expect(device.ledger.peak).toBeLessThan(4.1 * x.byteLength + workspaces);
    const got = await y.data();
    const want = new Float64Array(n * D);
    want[5 * D + 3] = want[(n - 5) * D + (D - 3)] = (n * D) / 2;
    // every number carries the rounding of the input, a sum of n·D errors of at most 2⁻²⁵, and of the transform's stages
    expectClose('waves', got, want, { budget: n * D * 2 ** -25 });
    disposeAll([x, y]);
  });

  test('the same bits for every number of threads; f16 keeps its dtype', async () => {
    const data = uniform(4, 2 * 130 * 66);
    const results = await withThreads(on.kind, [1, 2, 3], async (device) => {
      const out = scope(() => fourierMix(tensor(data, [2, 130, 66], { device })));
      const numbers = await out.data();
      out.dispose();
      return numbers;
    });
    expectSameBits('2 threads', results[1]!, results[0]!);
    expectSameBits('3 threads', results[2]!, results[0]!);
    const half = scope(() => fourierMix(tensor([1, 2, 3, 4], [2, 2], { device: on.device, dtype: 'f16' })));
    expect(half.dtype).toBe('f16');
    expect([...(await half.data())]).toEqual([10, -2, -4, 0]);
    half.dispose();
  });

  test('what it refuses', () =>
    scope(() => {
      expect(() => fourierMix(floats([1], [1]))).toThrow('fourierMix: x must be [...,n,D], two axes or more; got [1].');
      expect(() => fourierMix(tensor(Int32Array.of(1), [1, 1], { device: on.device }))).toThrow('takes f32');
      const [re, im] = [floats([1, 2], [2]), floats([1, 2], [1, 2])];
      expect(() => fourier({ re, im })).toThrow('fourier: re and im must have one shape; got re=[2], im=[1,2].');
      expect(() => fourier({ re }, { axis: 1 })).toThrow('there is no axis 1');
    }));
});

// of kernels/convolve/{launch,rows,weights}

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { convolve } from '../../src/ops/convolve.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { convolve as oracle, convolveGradients } from '../oracles/convolve.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { checkOperation } from '../support/operation.js';
import { uniform } from '../support/random.js';

onEveryDevice((on) => {
  const floats = (data: ArrayLike<number>, shape: readonly number[], requiresGradient = false): Tensor =>
    tensor(Float32Array.from(data), shape, { device: on.device, requiresGradient });

  const check = (shape: readonly number[], taps: number): Promise<void> =>
    checkOperation(on.device, {
      name: `convolve [${shape.join()}] κ=${taps}`,
      shapes: [shape, [shape[1]!, taps]],
      run: convolve,
      forward: (r, x, w) => oracle(shape, x, w, r),
      backward: (r, d, x, w) => convolveGradients(shape, d, x, w, r),
    });

  // one row, a window longer than the rows, one tap, more rows than a chunk of the weights' gradient, odd columns
  test.each([
    [[1, 1, 1, 1], 1],
    [[2, 3, 5, 4], 9],
    [[1, 2, 33, 7], 1],
    [[2, 2, 64, 16], 3],
    [[1, 2, 100, 33], 5],
    [[1, 1, 600, 9], 33],
    [[1, 2, 80, 17], 65],
  ])('%j with %i taps: values and gradients', check);

  test('random shapes', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 2 }),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(8),
        ([B, H], n, D, reach) => check([B!, H!, n, D], 2 * reach + 1),
      ),
      { seed: 2, numRuns: 30 },
    ));

  test('a NaN reaches the rows whose window holds it and no others', async () => {
    const data = new Float32Array(64 * 3).fill(1);
    data[30 * 3 + 1] = NaN;
    const out = scope(() => convolve(floats(data, [1, 1, 64, 3]), floats(new Float32Array(9).fill(1), [1, 9])));
    const got = await out.data();
    const rows = [...got.keys()].filter((i) => Number.isNaN(got[i])).map((i) => [Math.floor(i / 3), i % 3]);
    expect(rows).toEqual([26, 27, 28, 29, 30, 31, 32, 33, 34].map((row) => [row, 1]));
    out.dispose();
  });

  test('the same bits for every number of threads; counted products', async () => {
    const shape = [2, 2, 700, 24];
    const [x, w, d] = [uniform(1, 2 * 2 * 700 * 24), uniform(2, 2 * 9), uniform(3, 2 * 2 * 700 * 24)];
    const results = await withThreads(on.kind, [1, 2, 3], async (device) => {
      const before = device.counters.multiplyAdds;
      const outs = scope(() => {
        const leaves = [tensor(x, shape, { device, requiresGradient: true })];
        leaves.push(tensor(w, [2, 9], { device, requiresGradient: true }));
        const y = convolve(leaves[0]!, leaves[1]!);
        return [y, ...gradients([y], leaves, [tensor(d, shape, { device })])];
      });
      expect(device.counters.multiplyAdds - before).toBe(3 * 2 * 2 * 700 * 24 * 9);
      const numbers = await Promise.all(outs.map((out) => out.data()));
      disposeAll(outs);
      return numbers.flatMap((values) => Array.from(values));
    });
    expectSameBits('2 threads', results[1]!, results[0]!);
    expectSameBits('3 threads', results[2]!, results[0]!);
  });

  test('narrow storage, and what it refuses', () =>
    scope(() => {
      const x = floats([1, 2, 3, 4], [1, 2, 2, 1]);
      const narrow = tensor([1, 2], [1, 1, 2, 1], { device: on.device, dtype: 'bf16' });
      expect(convolve(narrow, floats([1], [1, 1])).dtype).toBe('bf16');
      const rule = 'convolve: x must be [B,H,n,D] and weight [H,κ] with the same H and κ odd;';
      expect(() => convolve(x, floats([1, 2, 3, 4], [2, 2]))).toThrow(`${rule} got x=[1,2,2,1], weight=[2,2].`);
      expect(() => convolve(x, floats([1, 2, 3], [1, 3]))).toThrow(`${rule} got x=[1,2,2,1], weight=[1,3].`);
      const integers = tensor(Int32Array.of(1, 1), [2, 1], { device: on.device });
      expect(() => convolve(x, integers)).toThrow('convolve: takes f32, f16 or bf16; got x f32, weight i32.');
    }));
});

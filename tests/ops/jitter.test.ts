// of kernels/noise

import { expect, test } from 'vitest';
import { philox, purposeWords } from '../../src/core/random.js';
import { mul, sum } from '../../src/ops/index.js';
import { jitter } from '../../src/ops/jitter.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';

const place = { seed: 11, purpose: 'jitter 3 layers.1' };

/** The factor of an element: word j of block b of a group of 64 columns is column 16·j + b, by the counter of column block and row. */
function factorOf(row: number, column: number, epsilon: number): number {
  const [group, within] = [Math.floor(column / 64), column % 64];
  const [block, word] = [16 * group + (within % 16), Math.floor(within / 16)];
  const drawn = philox([block, row, ...purposeWords(place.purpose)], [place.seed, 0]);
  return 1 + epsilon * (2 * (drawn[word]! >>> 8) * 2 ** -24 - 1);
}

onEveryDevice((on) => {
  const x = (data: Float32Array, columns: number): Tensor =>
    tensor(data, [data.length / columns, columns], { device: on.device, requiresGradient: true });

  test.each([1, 5, 64, 150])(
    'every element of %i columns by a number of its own, and its gradient by the same',
    async (columns) => {
      const data = uniform(1, 7 * columns);
      const [out, gradient] = scope(() => {
        const leaf = x(data, columns);
        const noisy = jitter(leaf, { epsilon: 0.25, ...place });
        return [noisy, gradients([sum(noisy)], [leaf])[0]!];
      });
      const [got, slopes] = [await out.data(), await gradient.data()];
      const factors = new Set<number>();
      data.forEach((value, at) => {
        const want = factorOf(Math.floor(at / columns), at % columns, 0.25);
        factors.add(want);
        expect(Math.abs(slopes[at]! - want)).toBeLessThanOrEqual(2 ** -23);
        expect(Math.abs(got[at]! - value * want)).toBeLessThanOrEqual(2 ** -23);
      });
      expect([...factors].every((one) => one >= 0.75 && one < 1.25)).toBe(true);
      expect(factors.size).toBe(data.length);
      disposeAll([out, gradient]);
    },
  );

  test('a part of the rows is changed as it is within all, and not at all by nothing', async () => {
    const data = uniform(1, 6 * 70);
    const whole = scope(() => jitter(x(data, 70), { epsilon: 0.1, ...place }));
    const part = scope(() => jitter(x(data.slice(140), 70), { epsilon: 0.1, firstRow: 2, ...place }));
    expectSameBits('part', await part.data(), (await whole.data()).slice(140));
    const same = x(data, 70);
    expect(jitter(same, { epsilon: 0, ...place })).toBe(same);
    expect(() => jitter(same, { epsilon: 1, ...place })).toThrow('jitter: epsilon must be a number from 0 to below 1');
    const integers = tensor(Int32Array.of(1, 2), [2], { device: on.device });
    expect(() => jitter(integers, { epsilon: 0.1, ...place })).toThrow('takes f32, f16 or bf16; got i32');
    const other = scope(() => mul(jitter(same, { ...place, epsilon: 0.1, purpose: 'another' }), 1));
    expect(await other.data()).not.toEqual(await whole.data());
    disposeAll([whole, part, same, integers, other]);
  });
});

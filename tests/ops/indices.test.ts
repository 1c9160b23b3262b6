// of kernels/gather/check

import { expect, test } from 'vitest';
import {
  argmax,
  argsort,
  broadcastTo,
  cast,
  concat,
  crossEntropy,
  gather,
  gatherRows,
  map,
  pad,
  reshape,
  scatterAdd,
  slice,
  split,
  takeAlong,
  topK,
  transpose,
} from '../../src/ops/index.js';
import { integersOf } from '../../src/tensor/integers.js';
import { gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { onEveryDevice } from '../support/devices.js';

onEveryDevice((on) => {
  const integers = (numbers: readonly number[], shape = [numbers.length]): Tensor =>
    tensor(Int32Array.from(numbers), shape, { device: on.device });
  /** The same numbers, of which the host knows nothing. */
  const unknown = (numbers: readonly number[]): Tensor => {
    const out = map((x) => x, integers(numbers)).pipe(cast, 'i32');
    expect(integersOf(out)).toBeUndefined();
    return out;
  };

  test('what the host made, its parts, and what operations number are known without a look', () =>
    scope(() => {
      const known = integers([3, -100, 7, -100, 0, 2], [2, 3]);
      expect(integersOf(known)).toMatchObject({ high: 7, highAt: 2 });
      expect(integersOf(known)!.negatives).toEqual(new Map([[-100, { count: 2, at: 1 }]]));
      expect(integersOf(reshape(known, [6]))).toBe(integersOf(known));
      for (const part of [
        slice(known, { end: 1 }),
        ...split(known, [1, 2], { axis: 1 }),
        gather(known, integers([1])),
      ]) {
        expect(integersOf(part)).toMatchObject({ high: 7, highAt: undefined });
      }
      const x = tensor([3, 1, 2], [3], { device: on.device });
      for (const own of [argsort(x), topK(x, 2).indices, argmax(x)]) {
        expect(integersOf(own)).toMatchObject({ high: 2, negatives: new Map() });
      }
    }));

  test('what is put together is known by all of its parts, or not at all', async () => {
    const x = tensor([10, 20, 30], [3], { device: on.device });
    const made: ((part: Tensor) => Tensor)[] = [
      (part) => pad(part, [[1, 1]]),
      (part) => concat([integers([0]), part]),
      (part) => broadcastTo(part, [2, part.size]),
      (part) => transpose(reshape(part, [1, part.size])),
      (part) => gather(part, integers([1, 0])),
      (part) => takeAlong(part, integers([1, 0])),
      (part) => gatherRows(reshape(part, [1, part.size, 1]), integers([1, 0], [1, 2])),
    ];
    for (const make of made) {
      for (const part of [(numbers: readonly number[]) => integers(numbers), unknown]) {
        expect(await scope(async () => gather(x, make(part([2, 1]))).data())).toContain(30);
        await expect(scope(async () => gather(x, make(part([1, 3]))).data())).rejects.toThrow('must be from 0 to 2');
      }
    }
    x.dispose();
  });

  test('indices that nobody knows are checked by the device, whatever reads with them', async () => {
    const x = tensor([10, 20, 30], [3], { device: on.device });
    const rows = reshape(x, [1, 3, 1]);
    const calls: ((indices: Tensor) => Tensor)[] = [
      (indices) => gather(x, indices),
      (indices) => gatherRows(rows, reshape(indices, [1, indices.size])),
      (indices) => scatterAdd(x, indices, gather(x, integers([0, 0]))),
    ];
    for (const call of calls) {
      expect([...(await scope(async () => call(unknown([2, 1])).data()))].length).toBeGreaterThan(1);
      for (const bad of [3, -1, 2 ** 30]) {
        await expect(scope(async () => call(unknown([1, bad])).data())).rejects.toThrow(
          new RegExp(`must be from 0 to 2 .*; got ${bad} at \\[(0,)?1\\]`),
        );
      }
    }
    x.dispose();
    rows.dispose();
  });

  test('a mean over targets that nobody knows is that over the same targets from the host', async () => {
    const bits = async (targets: (numbers: readonly number[]) => Tensor, numbers: readonly number[]) =>
      scope(async () => {
        const logits = tensor([1, 2, 3, 4, 6, 5, 9, 8, 7], [3, 3], { device: on.device, requiresGradient: true });
        const loss = crossEntropy(logits, targets(numbers), { ignoreIndex: -100 });
        const [d] = gradients([loss], [logits]);
        return [...(await loss.data()), ...(await d!.data())];
      });
    expect(await bits(unknown, [2, -100, 0])).toEqual(await bits((numbers) => integers(numbers), [2, -100, 0]));
    await expect(bits(unknown, [-100, -100, -100])).rejects.toThrow('all 3 targets are ignoreIndex -100');
    await expect(bits(unknown, [0, 3, 0])).rejects.toThrow('got 3 at [1]');
  });
});

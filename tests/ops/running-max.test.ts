// of kernels/linear-attend/running-max

import { expect, test } from 'vitest';
import { runningMax } from '../../src/ops/index.js';
import { disposeAll, scope, tensor } from '../../src/tensor/index.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';

onEveryDevice((on) => {
  test.each([
    [[1], false],
    [[5, 37], true],
    [[2, 3, 101], false],
  ] as const)('%j, with an initial value: %s', async (shape, starts) => {
    const n = shape.at(-1)!;
    const x = uniform(
      1,
      shape.reduce<number>((a, b) => a * b, 1),
    );
    const first = uniform(2, x.length / n);
    const [top, fall] = [new Float32Array(x.length), new Float32Array(x.length)];
    x.forEach((value, i) => {
      const before = i % n > 0 ? top[i - 1]! : starts ? first[Math.floor(i / n)]! : value;
      top[i] = Math.max(before, value);
      fall[i] = before - top[i];
    });
    const got = scope(() => {
      const initial = tensor(first, shape.slice(0, -1), { device: on.device });
      return runningMax(tensor(x, shape, { device: on.device }), starts ? { initial } : {});
    });
    expectSameBits('top', await got.top.data(), top);
    expectSameBits('fall', await got.fall.data(), fall);
    disposeAll(got);
  });

  test('NaN stays from where it appears', async () => {
    const got = scope(() => runningMax(tensor([1, NaN, 5], [3], { device: on.device })));
    expect([...(await got.top.data())]).toEqual([1, NaN, NaN]);
    disposeAll(got);
  });

  test('refusals', () =>
    scope(() => {
      const x = tensor([1, 2], [1, 2], { device: on.device });
      expect(() => runningMax(x, { initial: x })).toThrow(
        'runningMax: x must be [..., n] and initial [...]; got [1,2] and [1,2].',
      );
      expect(() => runningMax(tensor(Int32Array.of(1), [1], { device: on.device }))).toThrow('takes f32; got i32');
    }));
});

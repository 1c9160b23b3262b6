import { test } from 'vitest';
import { adafactor } from '../../../src/train/optimisers/index.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import * as reference from './reference.js';
import { checkAgainst, oneStep } from './run.js';

const rms = (numbers: readonly number[]): number =>
  Math.sqrt(numbers.reduce((total, x) => total + x * x, 0) / numbers.length);

onEveryDevice((on) => {
  test.each([
    [true, 1, 0.1],
    [true, 0.5, 0],
    [false, 1, 0.1],
  ])('20 steps agree with the formulas: relative step %s, threshold %d, decay %d', (relativeStep, d, weightDecay) =>
    checkAgainst(
      on.device,
      (parameters) => adafactor(parameters, { relativeStep, clipThreshold: d, weightDecay }),
      (shape) => reference.adafactor(relativeStep, d, shape.length >= 2 ? weightDecay : 0),
    ),
  );

  test('the first step of a vector is its size times the rate, in the direction of the signs', async () => {
    const start = [3, -4, 0, 0];
    const after = await oneStep(on.device, adafactor, start, [[1e-4, -0.5, 300, -7]], 0.125);
    const step = rms(start) * 0.125;
    expectClose('first step', after, [3 - step, -4 + step, -step, step]);
  });

  test('squares that are a product of rows and columns are kept exactly', async () => {
    const rows = [1, -20, 0.3];
    const columns = [5, 0.1, -1, 70];
    const gradient = rows.flatMap((row) => columns.map((column) => row * column));
    const start = new Array<number>(12).fill(0);
    const after = await oneStep(on.device, adafactor, start, [gradient], 0.125, [3, 4]);
    const want = gradient.map((g) => -1e-3 * 0.125 * Math.sign(g));
    expectClose('first step', after, want, { budget: 1e-3 * 0.125 * 2 ** -20 });
  });

  test('an update above the threshold is scaled down', async () => {
    // β = 1 − 2^−0.8 of 1 and the rest of 100²: the second update is 1.32, which the threshold makes 1
    const make = (parameters: Parameters<typeof adafactor>[0]): ReturnType<typeof adafactor> =>
      adafactor(parameters, { relativeStep: false });
    const after = await oneStep(
      on.device,
      make,
      [0, 0],
      [
        [1, 1],
        [100, 100],
      ],
      0.25,
    );
    expectClose('second step', after, [-0.5, -0.5]);
  });

  test('rows and columns without a gradient stay, beside large gradients', async () => {
    const gradient = [0, 0, 0, 0, 1e6, 0];
    const after = await oneStep(on.device, adafactor, [1, 1, 1, 1, 1, 1], [gradient, gradient], 0.125, [2, 3]);
    // one number of six is a product of its row and column: U is its sign
    const first = 1 - 0.125;
    const second = first - 0.125 * rms([1, 1, 1, 1, 1, first]);
    expectClose('sparse', after, [1, 1, 1, 1, second, 1], { budget: 8 * 2 ** -22 });
  });
});

import { expect, test } from 'vitest';
import { BatchNorm } from '../../src/nn/batch-norm.js';
import { gather, reshape } from '../../src/ops/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { batchNormed } from '../oracles/product-key.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';
import { checkModule } from './check.js';

const features = 5;
const step = { seed: 1, step: 1 };

onEveryDevice((on) => {
  test.each([
    ['all rows', undefined],
    ['the real rows of each sequence', [4, 2]],
  ] as const)('training normalises by %s: values and gradients', async (_, lengths) => {
    const module = new BatchNorm(features).train(step);
    const real = [0, 1, 2, 3, 4, 5, 6, 7].filter(
      (row) => lengths === undefined || row % 4 < lengths[Math.floor(row / 4)]!,
    );
    await checkModule(on.device, {
      name: 'BatchNorm',
      module,
      shape: [2, 4, features],
      run: (norm, x) => {
        const { stream } = norm.forward(x, lengths);
        // rows of padding are normalised too, and nobody reads them
        return lengths === undefined ? stream : takeRows(stream, real);
      },
      oracle: (g, x, p) => batchNormed(g, g.gatherRows(x, real), p('weight'), p('bias'), 1e-5),
    });
  });

  /** Runs on other numbers, and gives the stream and what the moving statistics become. */
  const run = async (norm: BatchNorm, x: ArrayLike<number>, shape: readonly number[], lengths?: readonly number[]) => {
    const given = scope(() => norm.forward(tensor(x, shape, { device: on.device }), lengths));
    const numbers = async (one: Tensor | undefined) => one && ((await one.data()) as Float32Array);
    const { stream, updates } = given;
    const result = {
      stream: (await numbers(stream))!,
      mean: await numbers(updates?.get(norm.mean)),
      variance: await numbers(updates?.get(norm.variance)),
    };
    disposeAll([stream, updates]);
    return result;
  };

  test('moving statistics come nearer by a tenth, the variance unbiased; padding is not counted', async () => {
    const norm = new BatchNorm(1).initialise({ device: on.device, seed: 1 }).train(step);
    const { mean, variance } = await run(norm, [1, 2, 3, 6, 1e9, NaN], [2, 3, 1], [3, 1]);
    // of 1, 2, 3, 6: mean 3, variance 14 / 3
    expectClose('mean', mean!, [0.3]);
    expectClose('variance', variance!, [0.9 + (0.1 * 14) / 3]);
    norm.dispose();
  });

  test('outside of training, and of the past in training, the moving ones are taken', async () => {
    for (const past of [true, false]) {
      const norm = new BatchNorm(2, { past, epsilon: 0.25 }).initialise({ device: on.device, seed: 1 });
      scope(() => {
        norm.mean.set(tensor([1, 2], [2], { device: on.device }));
        norm.variance.set(tensor([0.75, 3.75], [2], { device: on.device }));
      });
      const want = [0, 0.5, 2, -1];
      const evaluated = await run(norm, [1, 3, 3, 0], [2, 2]);
      expectClose('eval', evaluated.stream, want);
      expect(evaluated.mean).toBeUndefined();
      norm.train(step);
      const trained = await run(norm, [1, 3, 3, 0], [2, 2]);
      if (past) expectSameBits('training', trained.stream, evaluated.stream);
      else expect(Math.abs(trained.stream[0]! - want[0]!)).toBeGreaterThan(0.1);
      expectClose('mean', trained.mean!, [0.9 + 0.2, 1.8 + 0.15]);
      norm.dispose();
    }
  });

  test('one row has no variance', async () => {
    const norm = new BatchNorm(2).initialise({ device: on.device, seed: 1 }).train(step);
    const { stream, variance } = await run(norm, [7, -3], [1, 2]);
    expect([...stream]).toEqual([0, 0]);
    expectClose('variance', variance!, [0.9, 0.9]);
    norm.dispose();
  });

  test('refusals', () => {
    expect(() => new BatchNorm(2, { momentum: 1.5 })).toThrow('BatchNorm: momentum must be');
    const norm = new BatchNorm(2).initialise({ device: on.device, seed: 1 });
    scope(() => {
      const x = tensor(uniform(1, 4), [2, 2], { device: on.device });
      expect(() => norm.forward(x, [1])).toThrow('lengths must be one for each of [B,L,2]; got 1 for [2,2].');
      expect(() => norm.forward(tensor([1, 2, 3], [1, 3], { device: on.device }))).toThrow(
        'x must be [...,2]; got [1,3]',
      );
    });
    norm.dispose();
  });
});

/** Rows of `[B, L, D]` by number, `[n, D]`. */
function takeRows(x: Tensor, rows: readonly number[]): Tensor {
  const flat = reshape(x, [x.shape[0]! * x.shape[1]!, x.shape[2]!]);
  return gather(flat, tensor(Int32Array.from(rows), [rows.length], { device: x.device }));
}

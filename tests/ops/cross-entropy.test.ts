// of kernels/cross-entropy, ops/count-targets

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { crossEntropy, type CrossEntropyOptions } from '../../src/ops/cross-entropy.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectClose, expectSameBits, type Numbers } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { centralDifferences } from '../support/gradient.js';
import { generator, normal, uniform } from '../support/random.js';

type Round = (x: number) => number;

/** The formula; `round` after every operation makes it plain float32 code. */
function oracle(
  logits: Numbers,
  targets: Numbers,
  options: CrossEntropyOptions,
  round: Round = (x) => x,
): Float64Array {
  const { ignoreIndex, labelSmoothing: s = 0, reduction = 'mean' } = options;
  const V = logits.length / targets.length;
  const losses = Float64Array.from(targets, (target, row) => {
    if (target === ignoreIndex) return 0;
    const x = Array.from({ length: V }, (_, v) => logits[row * V + v]!);
    const top = Math.max(...x);
    const sum = x.reduce((total, value) => round(total + round(Math.exp(round(value - top)))), 0);
    const logsumexp = round(top + round(Math.log(sum)));
    const mean = round(x.reduce((total, value) => round(total + value), 0) / V);
    return round(round(logsumexp - round((1 - s) * x[target]!)) - round(s * mean));
  });
  if (reduction === 'none') return losses;
  const total = losses.reduce((sum, loss) => round(sum + loss), 0);
  const counted = Array.from(targets).filter((target) => target !== ignoreIndex).length;
  return Float64Array.of(reduction === 'sum' ? total : round(total / counted));
}

/** Targets of which some are to be ignored, never the first. */
function randomTargets(seed: number, rows: number, classes: number, ignoreIndex?: number): Int32Array {
  const next = generator(seed);
  return Int32Array.from({ length: rows }, (_, row) => {
    if (row > 0 && ignoreIndex !== undefined && next() < 0.3) return ignoreIndex;
    return Math.floor(next() * classes);
  });
}

const variants = [
  {},
  { reduction: 'sum' },
  { reduction: 'none' },
  { labelSmoothing: 0.1 },
  { ignoreIndex: -100 },
  { ignoreIndex: 0, labelSmoothing: 0.3, reduction: 'none' },
  { labelSmoothing: 1 },
] as const satisfies readonly CrossEntropyOptions[];

onEveryDevice((on) => {
  const floats = (data: ArrayLike<number>, shape: readonly number[], requiresGradient = false): Tensor =>
    tensor(Float32Array.from(data), shape, { device: on.device, requiresGradient });
  const integers = (data: Int32Array, shape: readonly number[] = [data.length]): Tensor =>
    tensor(data, shape, { device: on.device });

  async function check(rows: number, classes: number, options: CrossEntropyOptions): Promise<void> {
    const logits = normal(1, rows * classes, 3);
    const targets = randomTargets(2, rows, classes, options.ignoreIndex);
    const [x, t] = [floats(logits, [rows, classes], true), integers(targets)];
    const loss = crossEntropy(x, t, options);
    const who = `${rows}×${classes} ${JSON.stringify(options)}`;
    // a row's loss is a difference of numbers as large as its logits, and sums add up what rows are off
    const want = oracle(logits, targets, options);
    const each = { ...options, reduction: 'none' } as const;
    const [exact, plain] = [oracle(logits, targets, each), oracle(logits, targets, each, Math.fround)];
    const error = Math.max(...plain.map((value, i) => Math.abs(value - exact[i]!)));
    const largest = Math.max(...logits.map(Math.abs), ...want.map(Math.abs));
    const budget = 2 * (options.reduction === 'sum' ? rows : 1) * (error + 2 ** -24 * largest);
    expectClose(who, await loss.data(), want, { budget });

    const cotangent = uniform(5, loss.size);
    const seed = floats(cotangent, loss.shape);
    const [dx] = gradients([loss], [x], [seed]);
    const [numeric] = centralDifferences((values) => oracle(values, targets, options), [logits], cotangent);
    const steepest = Math.max(...numeric!.map(Math.abs));
    expectClose(`gradient of ${who}`, await dx!.data(), numeric!, {
      budget: 1e-6 * (steepest + Math.max(...cotangent.map(Math.abs))),
    });
    disposeAll([x, t, loss, seed, dx]);
  }

  test.each(variants)('loss and gradient: %j', async (options) => {
    await check(1, 1, options);
    await check(5, 7, options);
    await check(3, 67, options);
  });

  test('random shapes', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 2, max: 40 }),
        fc.constantFrom(...variants),
        (rows, classes, options) => check(rows, classes, options),
      ),
      { seed: 9, numRuns: 25 },
    ));

  test('rows before the last axis, and large logits', async () => {
    const x = floats([1000, 0, 0, 1000, -1000, -1001], [1, 3, 2], true);
    const t = integers(Int32Array.of(0, 1, 1), [1, 3]);
    const loss = crossEntropy(x, t, { reduction: 'none' });
    expect(loss.shape).toEqual([1, 3]);
    expectClose('large', await loss.data(), [0, 0, Math.log1p(Math.E)], { budget: 1e-4 });
    disposeAll([x, t, loss]);
  });

  test('f16 logits', async () => {
    const logits = Float32Array.from({ length: 40 }, (_, i) => ((i * 7) % 13) / 4 - 1.5);
    const targets = randomTargets(3, 4, 10);
    const loss = scope(() =>
      crossEntropy(tensor(logits, [4, 10], { device: on.device, dtype: 'f16' }), integers(targets)),
    );
    expectClose('f16', await loss.data(), oracle(logits, targets, {}), {
      budget: oracle(logits, targets, {}, Math.fround),
    });
    loss.dispose();
  });

  test('keeps nothing as large as the logits', () => {
    const { ledger } = on.device;
    const [x, t] = [floats(new Float32Array(256 * 1000), [256, 1000], true), integers(new Int32Array(256))];
    const before = ledger.mark();
    const loss = crossEntropy(x, t);
    expect(ledger.peak - before).toBeLessThan(16 * 1024);
    disposeAll([x, t, loss]);
  });

  test('the same bits for every number of threads', async () => {
    const logits = normal(1, 300 * 257, 2);
    const targets = randomTargets(2, 300, 257);
    const results = await withThreads(on.kind, [1, 2, 3], (device) =>
      scope(async () => {
        const x = tensor(logits, [300, 257], { device, requiresGradient: true });
        const loss = crossEntropy(x, tensor(targets, [300], { device }));
        const [dx] = gradients([loss], [x]);
        const data = [...(await loss.data()), ...(await dx!.data())];
        disposeAll([x, loss, dx]);
        return data;
      }),
    );
    expectSameBits('2 threads', results[1]!, results[0]!);
    expectSameBits('3 threads', results[2]!, results[0]!);
  });

  test('what it refuses', () =>
    scope(() => {
      const x = floats(new Float32Array(6), [2, 3]);
      const t = integers(Int32Array.of(0, 2));
      expect(() => crossEntropy(x, integers(Int32Array.of(0, 3)))).toThrow(
        'crossEntropy: targets must be from 0 to 2 (logits=[2,3]); got 3 at [1].',
      );
      expect(() => crossEntropy(x, integers(Int32Array.of(-7, 3)), { ignoreIndex: -7 })).toThrow(
        /or -7 to be ignored .*; got 3 at \[1\]/,
      );
      expect(() => crossEntropy(x, integers(Int32Array.of(1)))).toThrow(
        'crossEntropy: logits must be [...,V] and targets [...]; got logits=[2,3], targets=[1].',
      );
      expect(() => crossEntropy(x, integers(Int32Array.of(-1, -1)), { ignoreIndex: -1 })).toThrow(
        /all 2 targets are ignoreIndex -1/,
      );
      expect(() => crossEntropy(x, t, { labelSmoothing: 1.5 })).toThrow(
        /labelSmoothing must be a number from 0 to 1; got 1.5/,
      );
      expect(() => crossEntropy(x, t, { ignoreIndex: 0.5 })).toThrow(/ignoreIndex must be a 32-bit whole number/);
      expect(() => crossEntropy(x, t, { reduction: 'avg' as 'mean' })).toThrow(/"mean", "sum" or "none"; got "avg"/);
      expect(() => crossEntropy(x, floats([0, 1], [2]))).toThrow(/targets must be i32/);
    }));
});

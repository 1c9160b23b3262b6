import { expect, test } from 'vitest';
import { Linear } from '../../src/nn/index.js';
import { cast, mul, sum } from '../../src/ops/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { clipGradients } from '../../src/train/clip.js';
import { lossScaler, type LossScaler } from '../../src/train/loss-scale.js';
import { sgd } from '../../src/train/optimisers/index.js';
import { storedAs } from '../oracles/storage.js';
import { onEveryDevice } from '../support/devices.js';

const good = (scaler: LossScaler, steps: number): void => {
  for (let i = 0; i < steps; i++) scaler.update(false);
};

test('an overflow halves the scale and begins the count anew; 2000 good steps in a row double it', () => {
  const scaler = lossScaler();
  expect(scaler.scale).toBe(65536);
  good(scaler, 1999);
  expect(scaler.scale).toBe(65536);
  good(scaler, 1);
  expect([scaler.scale, scaler.state()]).toEqual([131072, { scale: 131072, goodSteps: 0 }]);
  good(scaler, 1999);
  scaler.update(true);
  expect(scaler.state()).toEqual({ scale: 65536, goodSteps: 0 });
  good(scaler, 1999);
  expect(scaler.scale).toBe(65536);
  good(scaler, 1);
  expect(scaler.scale).toBe(131072);
});

test('it does not fall below its minimum, nor grow out of f32', () => {
  const scaler = lossScaler({ initial: 4, minimum: 2, growthInterval: 1 });
  expect(scaler.canFall).toBe(true);
  scaler.update(true);
  expect([scaler.scale, scaler.canFall]).toEqual([2, false]);
  scaler.update(true);
  expect(scaler.scale).toBe(2);
  good(scaler, 1000);
  expect([scaler.scale, Number.isFinite(Math.fround(scaler.scale))]).toEqual([2 ** 127, true]);
});

test('other factors; a static scale neither grows nor falls', () => {
  const quick = lossScaler({ initial: 1, growthFactor: 8, backoffFactor: 0.25, growthInterval: 2, minimum: 2 ** -10 });
  good(quick, 4);
  expect(quick.scale).toBe(64);
  quick.update(true);
  expect(quick.scale).toBe(16);
  const fixed = lossScaler({ initial: 1024, growthInterval: Infinity, backoffFactor: 1 });
  good(fixed, 5000);
  fixed.update(true);
  expect([fixed.scale, fixed.canFall]).toEqual([1024, false]);
});

test('a state goes through JSON and round; one that is none changes nothing', () => {
  const scaler = lossScaler({ growthInterval: 10 });
  scaler.update(true);
  good(scaler, 7);
  const again = lossScaler({ growthInterval: 10 });
  again.load(JSON.parse(JSON.stringify(scaler.state())));
  expect(again.state()).toEqual({ scale: 32768, goodSteps: 7 });
  good(again, 3);
  expect(again.scale).toBe(65536);
  for (const wrong of [undefined, null, 3, {}, { scale: 3, goodSteps: 0 }, { scale: 0.5, goodSteps: 0 }]) {
    expect(() => again.load(wrong)).toThrow('lossScaler: a state is { scale, goodSteps }');
  }
  expect(() => again.load({ scale: 2, goodSteps: 10 })).toThrow(
    'a whole number below 10; got {"scale":2,"goodSteps":10}.',
  );
  expect(again.state()).toEqual({ scale: 65536, goodSteps: 0 });
});

test('all that is wrong is told at once', () => {
  expect(() =>
    lossScaler({ initial: 3, growthFactor: 0.5, backoffFactor: 2, growthInterval: 0.5, minimum: 2 ** -127 }),
  ).toThrow(
    'lossScaler: initial must be a power of two; got 3; growthFactor must be a power of two of at least 1; got 0.5; ' +
      'backoffFactor must be a power of two of at most 1; got 2; ' +
      'growthInterval must be a whole number of at least 1, or Infinity; got 0.5; minimum must be a power of two; got',
  );
  expect(() => lossScaler({ initial: 1, minimum: 2 })).toThrow('initial must be at least minimum; got 1 and 2');
});

onEveryDevice((on) => {
  /** A step of training `sum(x·weight · c)` in f16, as a trainer takes it. */
  async function step(linear: Linear, scaler: LossScaler, x: number, learningRate: number): Promise<number> {
    const parameters = [...linear.namedParameters()].map(([name, { value }]) => [name, value] as const);
    const optimiser = sgd(parameters);
    const [loss, found] = scope(() => {
      const input = cast(tensor([x], [1, 1], { device: on.device }), 'f16');
      const total = sum(cast(linear.forward(input), 'f32'));
      const leaves = parameters.map(([, value]) => value);
      return [total, gradients([mul(total, scaler.scale)], leaves)] as const;
    });
    const value = await loss.item();
    const named = found.map((gradient, i): [string, Tensor] => [parameters[i]![0], gradient]);
    const { nonFinite } = await clipGradients(named, Infinity, { unscale: scaler.scale });
    const overflowed = nonFinite !== undefined || !Number.isFinite(value);
    if (!overflowed) optimiser.step(found, { learningRate });
    scaler.update(overflowed);
    disposeAll([loss, found]);
    optimiser.dispose();
    return value;
  }

  const one = (): Linear => {
    const linear = new Linear(1, 1, { bias: false });
    scope(() => linear.load(new Map([['weight', tensor([1], [1, 1], { device: on.device })]])));
    return linear;
  };
  const weightOf = async (linear: Linear): Promise<number> => (await linear.weight.value.data())[0]!;

  test('an update that f16 would lose stays in the f32 weight', async () => {
    const linear = one();
    const scaler = lossScaler();
    await step(linear, scaler, 1, 1e-5);
    const weight = await weightOf(linear);
    expect(weight).toBe(Math.fround(1 - Math.fround(1e-5)));
    // the nearest f16 is what it was
    expect(storedAs.f16(weight)).toBe(1);
    // a hundred of them are seen by f16 too
    for (let i = 0; i < 100; i++) await step(linear, scaler, 1, 1e-5);
    expect(storedAs.f16(await weightOf(linear))).toBeLessThan(1);
    linear.dispose();
  });

  test('an overflow of the gradient skips the step and halves the scale; the next one is taken', async () => {
    const linear = one();
    // 2^127 times the gradient 4 is no f32
    const scaler = lossScaler({ initial: 2 ** 127, backoffFactor: 2 ** -3 });
    expect(await step(linear, scaler, 4, 0.25)).toBe(4);
    expect([await weightOf(linear), scaler.scale]).toEqual([1, 2 ** 124]);
    await step(linear, scaler, 4, 0.125);
    expect([await weightOf(linear), scaler.scale]).toEqual([0.5, 2 ** 124]);
    linear.dispose();
  });

  test('an overflow of f16 in the forward pass is a loss that is not finite, at any scale', async () => {
    const linear = one();
    const scaler = lossScaler({ initial: 4 });
    scope(() => linear.load(new Map([['weight', tensor([2], [1, 1], { device: on.device })]])));
    for (const canFall of [true, true, false]) {
      expect(scaler.canFall).toBe(canFall);
      // 40000 is an f16, and 80000 is none
      expect(await step(linear, scaler, 40000, 1)).toBe(Infinity);
      expect(await weightOf(linear)).toBe(2);
    }
    expect(scaler.scale).toBe(1);
    linear.dispose();
  });
});

// of train/optimisers/refusals

import { describe, expect, test } from 'vitest';
import { OptionError, ShapeError } from '../../../src/core/errors.js';
import { cast } from '../../../src/ops/index.js';
import { disposeAll, scope, share, tensor, zeros, type Tensor } from '../../../src/tensor/index.js';
import { adafactor, adamW, lion, sgd, type OptimiserState } from '../../../src/train/optimisers/index.js';
import { cosine } from '../../../src/train/schedules.js';
import { expectSameBits, type Numbers } from '../../support/compare.js';
import { onEveryDevice, withThreads } from '../../support/devices.js';
import { dataOf, gradientsOf, parametersOf, steps, type Make } from './run.js';

const decay = { weightDecay: 0.1 };
const makers: readonly (readonly [string, Make])[] = [
  ['adamW', (parameters) => adamW(parameters, decay)],
  ['adafactor', (parameters) => adafactor(parameters, decay)],
  ['lion', (parameters) => lion(parameters, decay)],
  ['sgd', (parameters) => sgd(parameters, { momentum: 0.9, nesterov: true, ...decay })],
];

onEveryDevice((on) => {
  describe.each(makers)('%s', (_, make) => {
    test('equal bits for any number of threads', async () => {
      const [one, three] = await withThreads(on.kind, [1, 3], async (device) => {
        // more than one task of every kernel
        const parameters = parametersOf(device, [[130, 257], [33000]]);
        const optimiser = make(parameters);
        steps(optimiser, parameters, 1, 2);
        const after = await dataOf(parameters);
        optimiser.dispose();
        disposeAll(parameters);
        return after;
      });
      one!.forEach((numbers, i) => expectSameBits(`parameter ${i}`, three![i]!, numbers));
    });

    test('a run that was saved and loaded ends with the same bits', async () => {
      const shapes = [[5, 7], [3]];
      const whole = parametersOf(on.device, shapes);
      const uninterrupted = make(whole);
      steps(uninterrupted, whole, 1, 6);

      const parameters = parametersOf(on.device, shapes);
      const first = make(parameters);
      steps(first, parameters, 1, 3);
      const saved = await copyOf(first.state());
      first.dispose();
      const second = make(parameters);
      second.load(saved);
      expect(second.steps).toBe(3);
      steps(second, parameters, 4, 6);
      const [got, want] = [await dataOf(parameters), await dataOf(whole)];
      got.forEach((numbers, i) => expectSameBits(`parameter ${i}`, numbers, want[i]!));
      disposeAll([saved, whole, parameters]);
      for (const one of [second, uninterrupted]) one.dispose();
    });

    test('finds the bottom of a quadratic bowl', async () => {
      // f = ½(x − c)ᵀA(x − c)
      const [a, b, d] = [3, 1, 1.5];
      const [cx, cy] = [0.5, -1];
      const parameter = tensor([2, 2], [2], { device: on.device });
      const optimiser = make([['x', parameter]]);
      const rate = cosine({ peak: 0.3, steps: 200, warmUp: 5 });
      for (let step = 1; step <= 200; step++) {
        const [x, y] = (await parameter.data()) as Float32Array;
        const [u, v] = [x! - cx, y! - cy];
        const gradient = tensor([a * u + b * v, b * u + d * v], [2], { device: on.device });
        optimiser.step([gradient], { learningRate: rate(step) });
        gradient.dispose();
      }
      const [x, y] = (await parameter.data()) as Float32Array;
      // it began 3.35 away
      expect(Math.hypot(x! - cx, y! - cy)).toBeLessThan(0.01);
      optimiser.dispose();
      parameter.dispose();
    });

    test('a parameter without a gradient stays, and is corrected as at a start when it has one', async () => {
      const parameters = parametersOf(on.device, [
        [5, 7],
        [5, 6],
      ]);
      const before = await dataOf(parameters);
      const optimiser = make(parameters);
      const given = gradientsOf(on.device, parameters, 1);
      optimiser.step([given[0], undefined], { learningRate: 0.01 });
      expectSameBits('unused', await parameters[1]![1].data(), before[1]!);
      optimiser.step(given, { learningRate: 0.01 });
      expect(optimiser.state().updates).toEqual({ p5x7: 2, p5x6: 1 });
      // the same single update from the same start
      const twin: [string, Tensor][] = [['p', tensor(before[1]!, [5, 6], { device: on.device })]];
      const fresh = make(twin);
      fresh.step([given[1]], { learningRate: 0.01 });
      expectSameBits('late', await parameters[1]![1].data(), await twin[0]![1].data());
      for (const one of [optimiser, fresh]) one.dispose();
      disposeAll([parameters, given, twin]);
    });

    test('a learning rate of 0 changes no parameter', async () => {
      const parameters = parametersOf(on.device, [[5, 7]]);
      const before = await dataOf(parameters);
      const optimiser = make(parameters);
      steps(optimiser, parameters, 1, 2, 0);
      expectSameBits('parameter', (await dataOf(parameters))[0]!, before[0]!);
      optimiser.dispose();
      disposeAll(parameters);
    });
  });

  test.each([
    ['adamW', adamW, 2 * (64 * 128 + 100)],
    ['lion', lion, 64 * 128 + 100],
    ['sgd', sgd, 0],
    ['sgd with momentum', (parameters) => sgd(parameters, { momentum: 0.9 }), 64 * 128 + 100],
    ['adafactor', adafactor, 64 + 128 + 100],
  ] satisfies [string, Make, number][])('memory of %s', (_, make, numbers) => {
    const { ledger } = on.device;
    const parameters = parametersOf(on.device, [[64, 128], [100]]);
    const gradients = gradientsOf(on.device, parameters, 1);
    const before = ledger.live();
    const optimiser = make(parameters);
    expect(ledger.live() - before).toBe(4 * numbers);
    const held = ledger.mark();
    optimiser.step(gradients, { learningRate: 0.1 });
    expect(ledger.live()).toBe(held);
    // adafactor: the direction of one parameter, and numbers per row, column and task
    const workspace = make === adafactor ? 4 * 64 * 128 + 8 * (64 + 128) + 4096 : 0;
    expect(ledger.peak - held).toBeLessThanOrEqual(workspace);
    optimiser.dispose();
    optimiser.dispose();
    expect(ledger.live()).toBe(before);
    disposeAll([parameters, gradients]);
  });

  test('the state outlives the scope it was made in', () => {
    const parameters = parametersOf(on.device, [[2, 3]]);
    const optimiser = scope(() => ({ made: adamW(parameters) })).made;
    steps(optimiser, parameters, 1, 1);
    expect(optimiser.state().tensors.map(([name]) => name)).toEqual(['p2x3.mean', 'p2x3.square']);
    optimiser.dispose();
    disposeAll(parameters);
  });

  test('all that is wrong with options and parameters is told at once', () => {
    const { device } = on;
    const [w, i, gone] = [zeros([2, 3], { device }), zeros([4], { device, dtype: 'bf16' }), zeros([1], { device })];
    const tied = share(w, [3, 2]);
    gone.dispose();
    const named = [
      ['w', w],
      ['tied', tied],
      ['w', i],
      ['gone', gone],
    ] as const;
    const wrong = { beta1: 1, epsilon: -1, weigthDecay: 0.1, decays: 3 as never };
    const message = messageOf(OptionError, () => adamW(named, wrong));
    expect(message).toMatch(
      /^adamW: beta1 must be a number from 0 to below 1; got 1; epsilon must be a number above 0/,
    );
    for (const part of [
      'unknown option "weigthDecay" (did you mean "weightDecay"?)',
      'decays must be a function; got 3',
      'parameters w and tied share their memory',
      'two parameters are called w',
      'parameter w is bf16[4]; updates need f32',
      'parameter gone [1] was disposed',
    ]) {
      expect(message).toContain(part);
    }
    expect(messageOf(OptionError, () => lion([]))).toContain('at least one parameter');
    expect(messageOf(OptionError, () => sgd([['w', w]], { nesterov: true }))).toContain('nesterov needs a momentum');
    disposeAll([w, i, tied]);
  });

  test('a step that does not fit is refused whole', async () => {
    const parameters = parametersOf(on.device, [[2, 3], [4]]);
    const before = await dataOf(parameters);
    const optimiser = adamW(parameters);
    const [whole, vector] = gradientsOf(on.device, parameters, 1) as [Tensor, Tensor];
    const wrong = [share(whole, [3, 2]), cast(vector, 'bf16')];
    const learningRate = 0.1;
    expect(messageOf(ShapeError, () => optimiser.step(wrong, { learningRate }))).toBe(
      'adamW.step: the gradient of p2x3 must be f32[2,3]; got f32[3,2]; the gradient of p4 must be f32[4]; got bf16[4].',
    );
    expect(messageOf(ShapeError, () => optimiser.step([whole], { learningRate }))).toContain('got 1 for 2 parameters');
    const own = [parameters[0]![1], undefined];
    expect(messageOf(ShapeError, () => optimiser.step(own, { learningRate }))).toContain('memory of parameter p2x3');
    for (const rate of [-1, NaN, Infinity, undefined as never]) {
      expect(messageOf(OptionError, () => optimiser.step([whole, vector], { learningRate: rate }))).toContain(
        'learningRate',
      );
    }
    expect(messageOf(OptionError, () => optimiser.step([whole, vector], { learningRate: 101 }))).toContain('101·0.01');
    expect(optimiser.steps).toBe(0);
    expectSameBits('parameter', (await dataOf(parameters))[0]!, before[0]!);
    optimiser.dispose();
    expect(messageOf(OptionError, () => optimiser.step([whole, vector], { learningRate }))).toContain('disposed');
    disposeAll([parameters, whole, vector, wrong]);
  });

  test('a state that does not fit names everything', () => {
    const { device } = on;
    const [here, there] = [parametersOf(device, [[2, 3], [4]]), parametersOf(device, [[3, 2], [5]])];
    const optimiser = adamW(here);
    const other = lion([['p2x3', there[0]![1]], there[1]!]);
    steps(other, there, 1, 1);
    const state = other.state();
    const message = messageOf(OptionError, () => optimiser.load({ ...state, updates: { p2x3: 2 } }));
    for (const part of [
      'adamW.load: it is the state of lion',
      'the updates of p2x3 must be a whole number from 0 to steps; got 2',
      'the count of updates of p4 is missing',
      'p2x3.mean f32[2,3] is missing',
      'p4.square f32[4] is missing',
      'p2x3.momentum [3,2] belongs to nothing',
      'p5.momentum [5] belongs to nothing',
    ]) {
      expect(message).toContain(part);
    }
    const fits = optimiser.state();
    const [first, ...rest] = fits.tensors;
    const reshaped = share(first![1], [3, 2]);
    const wrong = { ...fits, steps: 0.5, tensors: [['p2x3.mean', reshaped] as const, ...rest, rest[0]!] };
    const both = messageOf(OptionError, () => optimiser.load(wrong));
    expect(both).toContain('p2x3.mean must be f32[2,3]; got f32[3,2]');
    expect(both).toContain('p2x3.square is there twice');
    expect(both).toContain('steps must be a whole number of at least 0; got 0.5');
    const none = [undefined, null, 7, {}, { updates: {} }, { updates: null, tensors: [] }, { tensors: [] }];
    for (const value of [...none, { updates: {}, tensors: 3 }, { updates: 3, tensors: [] }]) {
      expect(messageOf(OptionError, () => optimiser.load(value as never))).toContain('what state() gave');
    }
    for (const one of [optimiser, other]) one.dispose();
    disposeAll([here, there, reshaped]);
  });
});

/** The state on tensors of its own, as from a file. */
async function copyOf(state: OptimiserState): Promise<OptimiserState> {
  const tensors = await Promise.all(
    state.tensors.map(async ([name, one]): Promise<[string, Numbers, Tensor]> => [name, await one.data(), one]),
  );
  return {
    ...(JSON.parse(JSON.stringify({ ...state, tensors: [] })) as OptimiserState),
    tensors: tensors.map(([name, data, { shape, device }]) => [name, tensor(data, shape, { device })]),
  };
}

function messageOf(kind: new (message: string) => Error, act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(kind);
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

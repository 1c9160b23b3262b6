import { expect, test } from 'vitest';
import { constantOf, defineAttention, drawn, flash, learned, type ForwardResult } from '../../src/attention/index.js';
import { mean } from '../../src/ops/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';
import { centred } from './centred.js';

const shape = [2, 2, 5, 4];
const size = 80;

onEveryDevice((on) => {
  const made = (seed: number, requiresGradient = false): Tensor =>
    tensor(uniform(seed, size), shape, { device: on.device, requiresGradient });
  const training = { seed: 3, purpose: 'step 1' };

  test('a call gives what was asked for: losses, what it has of the text, and updates in training', async () => {
    const all = scope(() => {
      const [q, k, v] = [made(1, true), made(2, true), made(3, true)] as const;
      const first = centred.run(q, k, v);
      expect(Object.keys(first).sort()).toEqual(['drawn', 'logsumexp', 'notes', 'out', 'seed', 'state']);
      const next = centred.run(q, k, v, { state: first.state!, losses: true, training });
      expect([next.losses!['distance']!.requiresGradient, next.out.requiresGradient]).toEqual([true, true]);
      expect([next.state!['last']!.requiresGradient, next.updates!.centre!.requiresGradient]).toEqual([false, false]);
      return { first, next, again: centred.run(q, k, v, { state: first.state!, training }) };
    });
    const [first, next, again] = [await all.first.out.data(), await all.next.out.data(), await all.again.out.data()];
    const last = await all.first.state!['last']!.data();
    const noise = next.map((value, i) => value - first[i]! - last[i % 4]! / 2);
    expect(noise.every((value) => Math.abs(value) <= 0.5 + 2 ** -22) && Math.max(...noise) > 0.25).toBe(true);
    expectSameBits('the same step', again, next);
    const k = uniform(2, size);
    const centre = Float64Array.from({ length: 8 }, (_, at) => {
      const rows = Array.from(
        { length: 10 },
        (__, i) => k[40 * Math.floor(i / 5) + 20 * Math.floor(at / 4) + 4 * (i % 5) + (at % 4)]!,
      );
      return (0.25 + rows.reduce((sum, one) => sum + one, 0) / 10) / 2;
    });
    expectClose('centre', await all.next.updates!.centre!.data(), centre, { budget: 2 ** -22 });
    disposeAll(all);
  });

  test('what a forward must not return is refused in one sentence, and nothing is left', () => {
    const bad = (give: (x: Tensor) => Omit<ForwardResult<'centre'>, 'out'>): (() => unknown) => {
      const { definition } = flash;
      const mechanism = defineAttention({
        ...definition,
        name: 'bad',
        parameters: () => ({ centre: drawn([2], constantOf(0)), weight: learned([2], constantOf(0)) }),
        forward: ({ q }) => ({ out: q, ...give(q) }),
      });
      return () => scope(() => mechanism.run(made(1), made(2), made(3)));
    };
    expect(bad((x) => ({ losses: { far: x }, state: { last: 3 as never }, updates: { centre: mean(x) } }))).toThrow(
      'bad: its forward must return losses.far []; got [2,2,5,4], and state.last, a tensor; got number, and updates.centre [2]; got [].',
    );
    expect(bad((x) => ({ updates: { weight: x } as never }))).toThrow(
      'updates of its drawn parameters (centre); got weight',
    );
    expect(bad(() => ({ losses: 3 as never }))).toThrow('losses, tensors by name; got number');
  });

  test('wrong options of the call are refused, and a decoder takes none of them', () => {
    scope(() => {
      const [q, k, v] = [made(1), made(2), made(3)];
      const wrong = { losses: 1, training: { seed: -1 }, state: { last: 3 } } as never;
      expect(() => centred.run(q, k, v, wrong)).toThrow(
        /losses must be true or false; got 1; training must be a step, such as .*; state\.last must be a tensor; got 3/,
      );
      expect(() => centred.run(q, k, v, { state: 3 as never })).toThrow(
        'state must be an object of tensors by name; got 3',
      );
      expect(() => centred.decoder({ maxLength: 8, losses: true })).toThrow('it takes no losses: those are of run');
      const decoder = centred.decoder({ maxLength: 8 });
      const step = decoder.step(q, k, v);
      expect(step.state).toBeUndefined();
      decoder.dispose();
    });
  });
});

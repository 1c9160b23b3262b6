// of nn/feed-forward/experts/{glam,gshard,mixtral,nllb,options,second,st-moe,switch}

import { expect, test } from 'vitest';
import { Groups } from '../../../src/nn/feed-forward/experts/groups.js';
import { route, type RoutePolicy } from '../../../src/nn/feed-forward/experts/route.js';
import { lossesOf, statisticsOf } from '../../../src/nn/feed-forward/experts/says.js';
import { feedForward } from '../../../src/nn/feed-forward/registry.js';
import { disposeAll, scope, tensor } from '../../../src/tensor/index.js';
import { expectClose, expectSameBits } from '../../support/compare.js';
import { onEveryDevice, withThreads } from '../../support/devices.js';
import { uniform } from '../../support/random.js';
import { readSafetensors, type StoredTensor } from '../../support/safetensors.js';
import { fill } from '../check.js';
import { sizes } from './experts-check.js';

const fixture = (name: string): Record<string, StoredTensor> =>
  readSafetensors(new URL(`../../fixtures/experts/${name}.safetensors`, import.meta.url));
const top1: RoutePolicy = {
  experts: 4,
  active: 1,
  renormalise: false,
  capacity: undefined,
  later: { policy: 'all', threshold: 0 },
};
/** Half a unit in the last place of a stored f32 below 1, and what f32 softmax adds to it. */
const ROUNDED = 2 ** -22;

type Name = 'weights' | 'places' | 'ends' | 'balance' | 'routerZ' | 'load' | 'dropped' | 'entropy';

onEveryDevice((on) => {
  interface Run {
    readonly policy?: RoutePolicy;
    readonly group?: 'sequence' | 'batch';
    readonly lengths?: readonly number[];
    readonly counts?: 'first' | 'all';
  }
  /** Logits `[B, L, E]`, routed: what came out as lists of numbers. */
  const routed = async (data: ArrayLike<number>, [B, L, E]: readonly number[], run: Run = {}) => {
    const { policy = top1, group = 'sequence', lengths, counts = 'first' } = run;
    const given = scope(() => {
      const groups = new Groups(B!, L!, { group, groupSize: 0 }, lengths);
      const logits = tensor(Float32Array.from(data), [groups.count, groups.size, E!], { device: on.device });
      const { order, ...rest } = route(logits, groups, { ...policy, experts: E! }, undefined);
      const losses = lossesOf(logits, { ...rest, order }, groups, { balance: 1, zLoss: 1, counts });
      return { ...rest, ...order, ...losses, ...statisticsOf({ ...rest, order }, groups) };
    });
    const numbers = await Promise.all(
      Object.entries(given).map(async ([name, one]) => [name, await one.data()] as const),
    );
    disposeAll(given);
    const all = Object.fromEntries(numbers) as unknown as Record<Name, Float32Array>;
    // which expert each choice of a token went to, −1 for none
    const experts = Array.from(all.places, (place) => Array.from(all.ends).findIndex((end) => place < end));
    return { ...all, experts };
  };

  test.each(['encoder.1', 'encoder.3', 'decoder.1', 'decoder.3'])(
    'switch: experts, probabilities and tokens without room are those of the published code (%s)',
    async (name) => {
      const all = fixture('switch');
      const [logits, expert, kept, prob] = ['logits', 'expert', 'kept', 'prob'].map((what) => all[`${name}.${what}`]!);
      const found = await routed(logits!.data, logits!.shape, { policy: { ...top1, capacity: () => 5 } });
      expect(found.experts).toEqual(Array.from(expert!.data, (e, i) => (kept!.data[i] === 1 ? e : -1)));
      if (name.startsWith('encoder')) expect(found.experts).toContain(-1);
      const want = Array.from(prob!.data, (p, i) => p * kept!.data[i]!);
      expectClose('weights', found.weights, want, { budget: ROUNDED });
      // with room for all none is dropped
      const roomy = await routed(logits!.data, logits!.shape);
      expect(roomy.experts).toEqual([...expert!.data]);
      expectClose('weights', roomy.weights, prob!.data, { budget: ROUNDED });
      expect(roomy.dropped[0]).toBe(0);
    },
  );

  test.each(['encoder', 'decoder'])('switch: both losses are those of the published code (%s)', async (stack) => {
    const all = fixture('switch');
    const [one, two] = [1, 3].map((layer) => all[`${stack}.${layer}.logits`]!) as [StoredTensor, StoredTensor];
    // they are of the logits of both layers, one after the other in each sequence
    const [B, L, E] = one.shape as [number, number, number];
    const rows = (of: StoredTensor, b: number): number[] => Array.from(of.data.slice(b * L * E, (b + 1) * L * E));
    const joined = Array.from({ length: B }, (_, b) => [...rows(one, b), ...rows(two, b)]).flat();
    const found = await routed(joined, [B, 2 * L, E]);
    expectClose('balance', found.balance, all[`${stack}.aux`]!.data, { budget: 4 * ROUNDED });
    expectClose('z', found.routerZ, all[`${stack}.z`]!.data, { budget: 8 * ROUNDED * all[`${stack}.z`]!.data[0]! });
  });

  test.each([
    ['olmoe', 3, false],
    ['qwen2_moe', 2, true],
  ] as const)(
    '%s: experts, weights and the balance are those of the published code',
    async (name, active, renormalise) => {
      const all = fixture(name);
      const policy = { ...top1, active, renormalise };
      for (const layer of [0, 1]) {
        const [logits, experts, weights] = ['logits', 'experts', 'weights'].map((what) => all[`${layer}.${what}`]!);
        const found = await routed(logits!.data, [1, ...logits!.shape], { policy });
        expect(found.experts).toEqual([...experts!.data]);
        expectClose('weights', found.weights, weights!.data, { budget: ROUNDED });
      }
      const joined = [0, 1].flatMap((layer) => [...all[`${layer}.logits`]!.data]);
      const E = all['0.logits']!.shape[1]!;
      const { balance } = await routed(joined, [1, joined.length / E, E], { policy, counts: 'all' });
      expectClose('balance', balance, all['aux']!.data, { budget: 8 * ROUNDED });
    },
  );

  test.each([
    ['encoder', 12],
    ['decoder', 6],
  ] as const)(
    'nllb: first choices are kept and dropped as in the published code, over the whole batch (%s)',
    async (stack, room) => {
      const all = fixture('nllb_moe');
      const [logits, kept] = [all[`${stack}.logits`]!, all[`${stack}.top1_kept`]!];
      const [count, E] = logits.shape as [number, number];
      const policy = { ...top1, active: 2, renormalise: true, capacity: () => room };
      const found = await routed(logits.data, [2, count / 2, E], { policy, group: 'batch' });
      const want = Array.from({ length: count }, (_, t) => kept.data.slice(t * E, (t + 1) * E).indexOf(1));
      expect(found.experts.filter((_, i) => i % 2 === 0)).toEqual(want);
    },
  );

  test('even routers have a balance of 1, zero logits a z loss of (ln E)², and one expert takes all', async () => {
    const zero = await routed(new Float32Array(2 * 6 * 8), [2, 6, 8]);
    expectClose('z', zero.routerZ, [Math.log(8) ** 2], { budget: 1e-6 });
    expect(zero.routerZ[0]).toBeCloseTo(4.324, 3);
    expectClose('entropy', zero.entropy, [Math.log(8)], { budget: 1e-6 });
    // each expert is the choice of as many tokens, and as likely on average
    const even = Float32Array.from({ length: 8 * 8 }, (_, i) => (i % 8 === Math.floor(i / 8) ? 2 : 0));
    const fair = await routed(even, [1, 8, 8]);
    expectClose('balance', fair.balance, [1], { budget: 1e-6 });
    expect([...fair.load].every((share) => Math.abs(share - 1 / 8) < 1e-6)).toBe(true);
    // all tokens to one expert that is sure of them: the worst there is
    const worst = await routed(
      Float32Array.from({ length: 8 * 8 }, (_, i) => (i % 8 === 3 ? 40 : 0)),
      [1, 8, 8],
      { policy: { ...top1, capacity: () => 2 } },
    );
    expectClose('balance', worst.balance, [8], { budget: 1e-5 });
    expectClose('dropped', worst.dropped, [6 / 8], { budget: 1e-6 });
    expect([...worst.load]).toEqual([0, 0, 0, 1, 0, 0, 0, 0]);
    const single = await routed(uniform(1, 12), [1, 12, 1]);
    expect([...single.weights]).toEqual(new Array(12).fill(1));
  });

  test('padding takes no room and counts for nothing: as if it were not there', async () => {
    const data = uniform(3, 2 * 9 * 3, -2, 2);
    const policy = { ...top1, capacity: (tokens: number) => Math.ceil(tokens / 3) };
    const padded = await routed(data, [2, 9, 3], { policy, lengths: [9, 4] });
    const first = await routed(data.slice(0, 27), [1, 9, 3], { policy });
    const second = await routed(data.slice(27, 39), [1, 4, 3], { policy });
    expect(padded.experts.slice(0, 9)).toEqual(first.experts);
    expect(padded.experts.slice(9, 13)).toEqual(second.experts);
    expect(padded.experts.slice(13)).toEqual([-1, -1, -1, -1, -1]);
    const mean = (name: 'balance' | 'routerZ' | 'entropy'): number[] => [
      (9 * first[name][0]! + 4 * second[name][0]!) / 13,
    ];
    for (const name of ['balance', 'routerZ', 'entropy'] as const) {
      expectClose(name, padded[name], mean(name), { budget: 1e-5 });
    }
  });

  test.each([
    ['switch', { experts: 3, evaluationCapacity: 3 }],
    ['mixtral', { experts: 3, active: 2 }],
  ] as const)('%s of equal experts is one of them, times the weights of a token', async (name, options) => {
    const all = { ...sizes, gated: true, activation: 'silu' as const };
    const [many, one] = [
      feedForward(name).create(all, options),
      feedForward('mixtral').create(all, { experts: 1, active: 1 }),
    ];
    const own = fill(one, on.device, 4);
    fill(many, on.device, 4);
    const [got, each] = scope(() => {
      const state = new Map(
        [...many.stateDict()].map(([key, value]) => {
          const data = Float32Array.from({ length: value.size }, (_, i) => own.get(key)![i % own.get(key)!.length]!);
          return [key, key === 'router' ? value : tensor(data, value.shape, { device: on.device })] as const;
        }),
      );
      many.load(state);
      const x = tensor(uniform(8, 12 * 5), [1, 12, 5], { device: on.device });
      return [many, one].map((layer) => (layer.forward(x, {}) as { stream: typeof x }).stream) as [typeof x, typeof x];
    });
    const [out, single] = [await got.data(), await each.data()];
    for (let t = 0; t < 12; t++) {
      const scale = out[5 * t]! / single[5 * t]!;
      // the largest of three probabilities, or both weights together
      if (name === 'mixtral') expect(scale).toBeCloseTo(1, 4);
      expect(scale).toBeGreaterThan(1 / 3);
      expect(scale).toBeLessThan(1 + 1e-4);
      for (let c = 0; c < 5; c++) expect(out[5 * t + c]).toBeCloseTo(scale * single[5 * t + c]!, 4);
    }
    disposeAll([got, each]);
    many.dispose();
    one.dispose();
  });

  test('the same bits for every number of threads', async () => {
    const results = await withThreads(on.kind, [1, 3], async (device) => {
      const layer = feedForward('gshard').create({ ...sizes, features: 24, hidden: 40, length: 200 }, { experts: 7 });
      layer.initialise({ device, seed: 2 }).train({ seed: 3, step: 1 });
      const given = scope(() => {
        const x = tensor(uniform(1, 2 * 200 * 24), [2, 200, 24], { device });
        const { stream, losses, statistics } = layer.forward(x, { losses: true }) as unknown as Record<string, object>;
        return [stream, ...Object.values(losses!), ...Object.values(statistics!)] as (typeof x)[];
      });
      const numbers = await Promise.all(given.map((one) => one.data()));
      disposeAll(given);
      layer.dispose();
      return numbers;
    });
    results[1]!.forEach((got, i) => expectSameBits(`3 threads, ${i}`, got, results[0]![i]!));
  });
});

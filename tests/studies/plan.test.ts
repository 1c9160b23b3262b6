// of studies/reach

import { describe, expect, test } from 'vitest';
import {
  mechanism,
  mechanisms,
  rehearse,
  type AnyOptions,
  type Exactness,
  type Rehearsal,
} from '../../src/attention/index.js';
import { createDevice } from '../../src/devices/index.js';
import { byHand } from '../../src/studies/by-hand.js';
import { secondsOf, type Rates } from '../../src/studies/calibrate.js';
import { foretell } from '../../src/studies/foretell.js';
import { variant } from '../../src/studies/mechanisms.js';
import { plan, type PlanOptions } from '../../src/studies/plan.js';
import { disposeAll, full, gradients, tensor, type Tensor } from '../../src/tensor/index.js';
import { normal } from '../support/random.js';
import { full as everyLength } from '../support/full.js';

const everything: readonly Exactness[] = ['exact', 'exact on its support', 'unbiased', 'biased', 'learned'];
const rates: Rates = {
  multiplyAdds: new Map([['matmul', 1e9]]),
  bytes: new Map(),
  other: { multiplyAdds: 1e9, bytes: 1e10 },
  dispatch: 0,
};
const named = (name: string) => variant(mechanism(name));
const asked: PlanOptions = {
  length: 4096,
  heads: 12,
  headDim: 64,
  layers: 1,
  batch: 1,
  causal: false,
  training: false,
  memoryLimit: undefined,
  exactness: everything,
  variants: ['standard', 'flash', 'chunked'].map(named),
  seed: 0,
  rates,
  like: { width: 16, threads: 1 },
};

const rowsOf = (options: Partial<PlanOptions> = {}) =>
  new Map(plan({ ...asked, ...options }).rows.map((row) => [row.mechanism, row]));

describe('arithmetic of the book chapter', () => {
  test('what holds: scores, projections, full attention, a window of 512, rank 256', () => {
    expect(byHand({ length: 4096, heads: 12, headDim: 64 })).toEqual({
      scoreBytesPerHead: 67_108_864,
      // the chapter prints 67.1 MB a layer, which is one head
      scoreBytes: 805_306_368,
      projectionBytes: 37_748_736,
      fullMultiplyAdds: 25_769_803_776,
      windowMultiplyAdds: 3_221_225_472,
      lowRankMultiplyAdds: 3_221_225_472,
    });
    // printed as 151 GB for 144 heads; it is 154.6
    expect(144 * byHand({ length: 16384, heads: 1, headDim: 64 }).scoreBytesPerHead).toBe(154_618_822_656);
  });

  test('full attention costs that here too, and standard attention holds two such matrices', () => {
    const { multiplyAdds, bytes } = rowsOf().get('standard')!;
    expect(multiplyAdds).toBe(25_769_803_776);
    expect(bytes.workspace).toBeGreaterThan(2 * 805_306_368);
    expect(bytes.workspace).toBeLessThan(2.05 * 805_306_368);
    expect(bytes.activations).toBe(37_748_736 + 37_748_736 / 3);
  });

  test('a reversible or recomputing kernel keeps row statistics only', () => {
    const { bytes } = rowsOf({ training: true }).get('flash')!;
    // one logsumexp a row and head, and a flag
    expect(bytes.saved).toBeLessThan(4 * 12 * 4096 * 1.01);
  });
});

describe('bytes of training', () => {
  const [B, H, L, D, layers] = [2, 3, 256, 8, 5];
  const small = { length: L, heads: H, headDim: D, layers, batch: B, training: true };
  const tensorBytes = 4 * B * H * L * D;

  test.each([
    // beside q, k, v and out: a logsumexp for each row; the weights, and out once more; keys and values of 64 rows, their weights
    ['flash', 4 * B * H * L, 0],
    ['standard', 4 * B * H * L * L + tensorBytes, 0],
    ['linformer', 2 * 4 * B * H * 64 * D + 4 * B * H * L, 2 * 4 * L * 64],
  ])('%s: what is kept is of every layer, gradients of one at a time', (name, saved, parameters) => {
    const own = variant(mechanism(name), name === 'linformer' ? { projectedLength: 64 } : {});
    const { bytes } = rowsOf({ ...small, variants: [own] }).get(own.name)!;
    expect(bytes).toMatchObject({
      parameters: layers * parameters,
      activations: layers * 4 * tensorBytes,
      saved: layers * saved,
      // of q, k, v and out, and of what is learned
      gradients: 4 * tensorBytes + parameters,
    });
  });
});

describe('what fits and what is recommended', () => {
  test('layers multiply what is kept in training, and only work otherwise', () => {
    const [one, twelve] = [rowsOf().get('flash')!, rowsOf({ layers: 12 }).get('flash')!];
    expect(twelve.bytes).toEqual(one.bytes);
    expect(twelve.seconds).toBeCloseTo(12 * one.seconds!, 9);
    const [single, many] = [1, 12].map((layers) => rowsOf({ layers, training: true }).get('flash')!);
    expect(many!.bytes.activations).toBe(12 * single!.bytes.activations);
    expect(many!.bytes.workspace).toBe(single!.bytes.workspace);
  });

  test('the fastest exact mechanism that fits', () => {
    const { recommended, rows } = plan({ ...asked, memoryLimit: 100e6 });
    expect(rows.find(({ mechanism: name }) => name === 'standard')!.fits).toBe(false);
    expect(['flash', 'chunked']).toContain(recommended.mechanism);
    expect(recommended.why).toContain('fit');
  });

  test('nothing fits: every need is named at once', () => {
    expect(() => plan({ ...asked, memoryLimit: 1000 })).toThrow(
      /^plan: nothing fits into 1000 bytes; needed are flash \d+, chunked \d+, standard \d+\. Raise the limit/,
    );
  });

  test('a mechanism that cannot take the shape is told apart from one that is too large', () => {
    const five = variant(mechanism('standard'), { headsAtATime: 5 });
    const { refused } = plan({ ...asked, variants: [five, ...asked.variants] });
    expect(refused).toEqual([{ mechanism: five.name, why: expect.stringContaining('headsAtATime must divide') }]);
    expect(() => plan({ ...asked, variants: [five] })).toThrow(
      /no mechanism can be used. standard:headsAtATime=5: headsAtATime/,
    );
  });

  test.each(everyLength ? [512, 65536, 2 ** 20, 2 ** 31] : [512, 2 ** 31])(
    'every mechanism is planned at %d positions, or says why not',
    (length) => {
      const shape = { length, heads: 4, variants: mechanisms.map((one) => variant(one)), training: true, causal: true };
      if (length === 2 ** 31) {
        // one reason for most of them is told once
        expect(() => plan({ ...asked, ...shape })).toThrow(
          /^plan: no mechanism can be used. \w[^:]*, flash[^:]*, axial/,
        );
        return;
      }
      const { rows, refused } = plan({ ...asked, ...shape });
      expect(rows.length + refused.length).toBe(mechanisms.length);
      for (const { mechanism: name, bytes, multiplyAdds, rehearsed } of rows) {
        for (const part of Object.values(bytes)) expect(part).toBeGreaterThanOrEqual(0);
        expect(multiplyAdds).toBeGreaterThanOrEqual(0);
        expect(rehearsed).toBeLessThanOrEqual(mechanism(name).definition.pattern ? 2 ** 17 : 2 ** 20);
      }
    },
  );

  test('what is extended from shorter texts is what the whole one takes', () => {
    const like = { width: 16, threads: 1 };
    /** Peaks are at most `most` times too high. */
    const at = (name: string, L: number, options: AnyOptions, most = 1): void => {
      const shape = { B: 1, H: 1, G: 1, L, S: L, D: 16, E: 16 };
      const { taken, rehearsed } = foretell(mechanism(name), shape, options, { training: false, like });
      const whole = rehearse(mechanism(name), shape, options, { training: false, like, countPairs: false });
      expect(rehearsed).toBeLessThan(L);
      const counts = ({ multiplyAdds, dispatches }: Rehearsal) => [multiplyAdds, dispatches];
      expect(counts(taken)).toEqual(counts(whole));
      expect(taken.peakBytes).toBeGreaterThanOrEqual(whole.peakBytes);
      expect(taken.peakBytes).toBeLessThanOrEqual(most * whole.peakBytes);
    };
    // too long, and of too many kernels
    at('flash', 2 ** 21, { causal: false });
    // the peak of chunks is the larger of several sums, so no parabola
    if (everyLength) at('chunked', 8192, { causal: true, queryChunk: 64, keyChunk: 64 }, 1.2);
  });
});

describe('reach', () => {
  const wide = { heads: 4, causal: true, training: true, layers: 6, length: 65536 };
  const of = (name: string, options: Partial<PlanOptions> = {}, own: AnyOptions = {}) =>
    plan({ ...asked, ...wide, ...options, variants: [variant(mechanism(name), own)] }).rows[0]!.reach;

  const exact = { shareIs: 'exact', layersAre: 'exact' };

  test('by hand: a window of 2 to the left in 16 tokens', () => {
    // the last row sees 15, 14, 13; these 12, 11, …: two more tokens in each layer, and all 16 after 8
    const row = of('sliding-window', { length: 16, layers: 3 }, { radius: 2 });
    expect(row).toEqual({ by: 'pattern', tokens: 3, share: 7 / 16, layers: 8, ...exact });
  });

  const wild = [['dilated-window', 65536], ...(everyLength ? [['random-blocks', 2 ** 17] as const] : [])] as const;
  test.each(wild)(
    '%s of %d causal tokens: what is not followed to the end is a bound, and not continued',
    (name, length) => {
      const { share, shareIs, layersAre } = of(name, { length });
      expect([shareIs, layersAre]).toEqual(['at least', 'about']);
      expect(share).toBeLessThan(1);
    },
  );

  test('a star of global tokens reaches them and itself, however many layers', () => {
    expect(of('global-tokens')).toEqual({ by: 'pattern', tokens: 33, share: 33 / 65536, layers: null, ...exact });
  });

  test('a window reaches its radius further with every layer', () => {
    expect(of('sliding-window')).toEqual({
      by: 'pattern',
      tokens: 257,
      share: (6 * 256 + 1) / 65536,
      shareIs: 'exact',
      layers: 256,
      layersAre: 'about',
    });
    expect(of('sliding-window', { length: 2 ** 20 })).toMatchObject({ layers: 4096, layersAre: 'about' });
    expect(of('sliding-window', { length: 8192 })).toMatchObject({ layers: 32, layersAre: 'exact' });
    expect(of('sliding-window', { layers: 200 })).toMatchObject({ share: (200 * 256 + 1) / 65536, shareIs: 'about' });
  });

  test('a grid reaches all in two layers, exact attention and states in one, hashing where the data has it', () => {
    expect(of('strided')).toMatchObject({ tokens: 511, share: 1, layers: 2 });
    for (const name of ['flash', 'linear-transformer'])
      expect(of(name)).toEqual({ by: 'all', tokens: 65536, share: 1, layers: 1, ...exact });
    expect(of('reformer')).toMatchObject({ by: 'data', tokens: 128, share: null, layers: null });
  });

  test('what reaches little is no recommendation, though it is the fastest', () => {
    const few = ['flash', 'strided', 'global-tokens', 'sliding-window', 'reformer'].map(named);
    expect(plan({ ...asked, ...wide, variants: few }).recommended.mechanism).toBe('strided');
    const none = ['global-tokens', 'sliding-window'].map(named);
    const { mechanism: name, why } = plan({ ...asked, ...wide, variants: none }).recommended;
    expect([name, why]).toEqual(['sliding-window', expect.stringContaining('none that fits reaches the text')]);
  });

  test('a few tokens that all read are a bottleneck: they reach the text and are no recommendation', () => {
    const both = { ...wide, causal: false, variants: ['global-tokens', 'longformer', 'flash'].map(named) };
    expect(of('global-tokens', { causal: false })).toMatchObject({ tokens: 33, share: 1, layers: 2 });
    expect(plan({ ...asked, ...both }).recommended.mechanism).toBe('longformer');
  });

  test('a short text is attended to exactly', () => {
    const few = ['flash', 'strided', 'linear-transformer'].map(named);
    const { mechanism: name, why } = plan({ ...asked, length: 512, layers: 12, variants: few }).recommended;
    expect([name, why]).toEqual(['flash', expect.stringContaining('no substitute is 2 times as fast')]);
  });
});

test('seconds: multiply-adds where a kernel has them, else bytes, and something for each start', () => {
  const work = new Map([
    ['matmul', { dispatches: 2, multiplyAdds: 3e9, bytesMoved: 1e12 }],
    ['elementwise', { dispatches: 1, multiplyAdds: 0, bytesMoved: 2e10 }],
  ]);
  expect(secondsOf(work, { ...rates, dispatch: 0.5 })).toBeCloseTo(3 + 2 + 1.5, 9);
});

test('training of all layers holds at its peak what was planned, to the byte', async () => {
  const [H, L, D, layers] = [2, 96, 8, 3];
  const device = await createDevice({ kind: 'wasm', threads: 1 });
  for (const name of ['flash', 'standard', 'linformer']) {
    const one = mechanism(name);
    const options = { length: L, heads: H, headDim: D, layers, training: true, like: device.info };
    const { bytes } = rowsOf({ ...options, variants: [variant(one)] }).get(name)!;
    const before = device.ledger.mark();
    const made = Array.from({ length: layers }, () => {
      const inputs = [1, 2, 3].map((seed) =>
        tensor(normal(seed, H * L * D), [1, H, L, D], { device, requiresGradient: true }),
      ) as [Tensor, Tensor, Tensor];
      const parameters = one.parameters({ B: 1, H, G: H, L, S: L, D, E: D }, { device });
      const { out, logsumexp } = one.run(...inputs, { parameters });
      logsumexp?.dispose();
      return { inputs, parameters, out };
    });
    for (const { inputs, parameters, out } of made.reverse()) {
      const cotangent = full(out.shape, 1, { device });
      disposeAll(gradients([out], [...inputs, ...Object.values(parameters)], [cotangent], { release: true }));
      cotangent.dispose();
    }
    expect([name, device.ledger.peak - before]).toEqual([name, bytes.total]);
    disposeAll(made);
  }
  await device.dispose();
});

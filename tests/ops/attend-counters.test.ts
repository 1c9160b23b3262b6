// of ops/attend/counters

import { describe, expect, test } from 'vitest';
import * as masks from '../../src/masks/index.js';
import { attend, type AttendOptions } from '../../src/ops/attend.js';
import { disposeAll, gradients, tensor, zeros, type Tensor } from '../../src/tensor/index.js';
import { onEveryDevice } from '../support/devices.js';
import { normal } from '../support/random.js';

const [D, E] = [16, 16];

type Case = readonly [name: string, n: number, options: AttendOptions, pairs: number, visitedAtMost: number];

/** Numbers of pairs by the formulas of the specification, 3.0, or counted by hand. */
const cases: readonly Case[] = [
  ['no mask', 1024, {}, 1024 ** 2, 1],
  ['causal', 1024, { causal: true }, 524_800, 1.1],
  ['128 keys per side', 1024, { mask: masks.within({ left: 128, right: 128 }) }, 246_656, 1.4],
  ['dilation 3', 1024, { mask: masks.dilated({ dilation: 3, radiusSlots: 20 }) }, 1024 * 41 - 3 * 20 * 21, 3],
  ['causal, stride 32', 1024, { causal: true, mask: masks.strided({ stride: 32 }) }, 48_144, 3.5],
];
/** With kernels of their own, which native would compile for seconds. */
const more: readonly Case[] = [
  ['radius 256', 4096, { mask: masks.within({ radius: 256 }) }, 2_035_456, 1.2],
  [
    'radius 256 and one global token',
    4096,
    { mask: masks.within({ radius: 256 }).or(masks.global([0])) },
    2_043_134,
    1.4,
  ],
];

onEveryDevice((on) => {
  test.skipIf(on.kind === 'native')('on a grid, tiles of every residue class are visited, of whatever length', () => {
    const visited = (n: number, mask: masks.Mask): [pairs: number, tiles: number] => {
      const x = zeros([1, 1, n, D], { device: on.device });
      const { out, logsumexp, counters } = attend(x, x, x, { mask });
      disposeAll([x, out, logsumexp]);
      const { full, partial, empty } = counters.tiles;
      return [counters.pairsVisited, full + partial + empty];
    };
    for (let n = 198; n <= 204; n++) {
      const classes = [0, 1, 2].map((first) => visited(Math.ceil((n - first) / 3), masks.within({ radius: 9 })));
      const sums = [0, 1].map((i) => classes.reduce((sum, one) => sum + one[i]!, 0));
      expect([n, ...visited(n, masks.dilated({ dilation: 3, radiusSlots: 9 }))]).toEqual([n, ...sums]);
    }
  });

  const make = (n: number, columns: number, seed: number): Tensor =>
    tensor(normal(seed, 2 * n * columns), [1, 2, n, columns], { device: on.device, requiresGradient: true });

  test.each([...cases, ...(on.kind === 'wasm' ? more : [])])(
    '%s of %i: pairs needed, visited, multiplied',
    (_, n, options, pairs, visitedAtMost) => {
      const { device } = on;
      const inputs = [make(n, D, 1), make(n, D, 2), make(n, E, 3)] as const;
      const dout = zeros([1, 2, n, E], { device });
      const before = device.counters.multiplyAdds;
      const { out, logsumexp, counters } = attend(...inputs, options);
      const forward = device.counters.multiplyAdds - before;
      const found = gradients([out], inputs, [dout]);
      const backward = device.counters.multiplyAdds - before - forward;

      expect(counters.pairsNeeded).toBe(2 * pairs);
      expect(counters.pairsVisited).toBeGreaterThanOrEqual(counters.pairsNeeded);
      expect(counters.pairsVisited).toBeLessThanOrEqual(visitedAtMost * counters.pairsNeeded);
      expect(counters.multiplyAdds).toBe(counters.pairsVisited * (D + E));
      expect(forward).toBe(counters.multiplyAdds);
      // scores again, dP, dV, dQ, dK; on a GPU those of queries and those of keys form scores and dP for themselves
      expect(backward).toBe(counters.pairsVisited * (on.kind === 'webgpu' ? 4 * D + 3 * E : 3 * D + 2 * E));
      expect(counters.bytes).toBe([...inputs, out, logsumexp].reduce((sum, x) => sum + x.byteLength, 0));
      const { empty, full, partial } = counters.tiles;
      expect(full + partial).toBeGreaterThan(0);
      expect(empty > 0).toBe(visitedAtMost > 1);
      disposeAll([inputs, dout, out, logsumexp, found]);
    },
  );

  test('a mask with no pair visits nothing', () => {
    const inputs = [make(100, D, 1), make(100, D, 2), make(100, E, 3)] as const;
    const { out, logsumexp, counters } = attend(...inputs, { mask: masks.lengths([0]) });
    expect(counters).toMatchObject({
      pairsNeeded: 0,
      pairsVisited: 0,
      multiplyAdds: 0,
      tiles: { full: 0, partial: 0 },
    });
    disposeAll([inputs, out, logsumexp]);
  });

  describe('memory', () => {
    /** Most bytes held by forward and backward, beside q, k, v, out, logsumexp, dout and the gradients. */
    const extra = (n: number, options: AttendOptions): number => {
      const { device } = on;
      const inputs = [make(n, D, 1), make(n, D, 2), make(n, E, 3)] as const;
      const dout = zeros([1, 2, n, E], { device });
      const before = device.ledger.mark();
      const { out, logsumexp } = attend(...inputs, options);
      const found = gradients([out], inputs, [dout]);
      const named = [out, logsumexp, ...found].reduce((sum, x) => sum + x.byteLength, 0);
      const peak = device.ledger.peak - before - named;
      disposeAll([inputs, dout, out, logsumexp, found]);
      return peak;
    };

    test.each([
      ['no mask', {}],
      ['a window', { mask: masks.within({ left: 50, right: 50 }) }],
    ] satisfies [string, AttendOptions][])(
      'forward and backward hold row statistics and a fixed workspace: %s',
      (_, options) => {
        const [short, long] = [extra(512, options), extra(2048, options)];
        const perThread = 2 ** 22;
        expect(short).toBeLessThanOrEqual(on.device.info.threads * perThread);
        // on a GPU the short call has fewer tasks, and workspaces, than may be in flight
        if (on.kind === 'webgpu') return;
        // a few numbers for each of the 2 · 1536 further rows, and their part of the tile map
        expect(long - short).toBeLessThanOrEqual(2 * 1536 * 16);
      },
    );
  });

  test.skipIf(on.kind === 'native')(
    'a key that every query sees does not make the backward pass visit all chunks from all chunks',
    () => {
      const { device } = on;
      let tasksOfBackward = 0;
      const run = device.run.bind(device);
      device.run = (kernel, args, tasks, options) => {
        if (kernel.name.startsWith('attend backward')) tasksOfBackward += tasks;
        run(kernel, args, tasks, options);
      };
      const tasksOf = (n: number): number => {
        const x = tensor(normal(1, n * 4), [1, 1, n, 4], { device, requiresGradient: true });
        const { out, logsumexp } = attend(x, x, x, {
          causal: true,
          mask: masks.within({ radius: 64 }).or(masks.global([0])),
        });
        tasksOfBackward = 0;
        disposeAll([...gradients([out], [x], [x]), out, logsumexp, x]);
        return tasksOfBackward;
      };
      try {
        const [once, twice] = [tasksOf(4096), tasksOf(8192)];
        expect(once).toBeGreaterThan(20);
        expect(twice).toBeLessThanOrEqual(2.1 * once);
      } finally {
        device.run = run;
      }
    },
  );
});

import { describe, expect, test, vi } from 'vitest';
import { flash, mechanism, slidingWindow, type AnyOptions, type Mechanism } from '../../src/attention/index.js';
import { planAttend } from '../../src/ops/attend/plan.js';
import { classifyTiles } from '../../src/masks/tiles.js';
import { alibi, Score } from '../../src/scores/index.js';
import { onEveryDevice } from '../support/devices.js';
import { decode, sequence, sizes } from './decode.js';

vi.mock(import('../../src/masks/tiles.js'), async (original) => {
  const all = await original();
  return { ...all, classifyTiles: vi.fn(all.classifyTiles) };
});
vi.mock(import('../../src/ops/attend/plan.js'), async (original) => {
  const all = await original();
  return { ...all, planAttend: vi.fn(all.planAttend) };
});

const { L, B, G, D, E } = sizes;
const data = sequence(23);
const ones = Array.from({ length: L }, () => 1);
const constant = (numbers: readonly number[]): void => expect(new Set(numbers).size, numbers.join()).toBe(1);

const ring = { cache: 'ring', window: 8 } as const;
const sink = { cache: 'sink', window: 6, sinks: 2 } as const;
const bounded: readonly (readonly [string, unknown, AnyOptions])[] = [
  ['ring', flash, ring],
  ['ring with alibi', flash, { ...ring, score: alibi() }],
  ['ring of a pattern within it', slidingWindow, { ...ring, radius: 5 }],
  ['sink', flash, { ...sink, score: alibi() }],
  ['recurrence', mechanism('linear-transformer'), {}],
  ['recurrence of random features', mechanism('performer'), { numFeatures: 8 }],
];

describe('memory of decoders', () => {
  onEveryDevice((on) => {
    test.each(bounded)('%s: steps take and leave the same bytes, and plan nothing', async (_, one, options) => {
      const steady = 20;
      const expressions = vi.spyOn(Score.prototype, 'expression');
      const counts: number[] = [];
      vi.mocked(classifyTiles).mockClear();
      const count = (): number => vi.mocked(classifyTiles).mock.calls.length + expressions.mock.calls.length;
      const { live, peaks } = await decode(
        on.device,
        one as Mechanism,
        { maxLength: L, ...options },
        data,
        ones,
        (x, name) => {
          if (name === 'q') counts.push(count());
          return x;
        },
      );
      expressions.mockRestore();
      constant(live);
      constant(peaks.slice(steady));
      constant([...counts.slice(steady), counts.at(-1)!]);
      const plans = vi.mocked(planAttend).mock.results.slice(-steady);
      if (plans.length > 0) expect(new Set(plans.map(({ value }) => value)).size).toBe(1);
      vi.mocked(planAttend).mockClear();
    });

    test('fixed: room for all is taken once', async () => {
      const { live } = await decode(on.device, flash, { maxLength: L, score: alibi() }, data, ones);
      constant(live);
      const room = 4 * B * G * L * (D + E);
      expect(live[0]! - room).toBeGreaterThanOrEqual(0);
      expect(live[0]! - room).toBeLessThan(1024);
    });

    test('a fixed cache is not copied: a step takes what a step of a short sequence takes', async () => {
      const { peaks } = await decode(on.device, flash, { maxLength: L }, data, ones);
      constant(peaks.slice(1));
    });

    test('a ring takes room for its window alone', async () => {
      const { live } = await decode(on.device, flash, { ...ring, maxLength: 1e6 }, data, [30, ...ones]);
      constant(live);
      const room = 4 * B * G * ring.window * (D + E);
      expect(live[0]! - room).toBeGreaterThanOrEqual(0);
      expect(live[0]! - room).toBeLessThan(1024);
    });
  });
});

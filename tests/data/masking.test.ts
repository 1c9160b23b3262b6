import { describe, expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import { Batches, maskedBatches, maskTokens, openCorpus, type MaskOptions } from '../../src/data/index.js';
import { maskedOf } from '../../src/data/masking.js';
import { drawSpans, drawsOf } from '../../src/data/spans.js';
import { fileOf } from './folder.js';

const text = Int32Array.from({ length: 400 }, (_, i) => (7 * i * i + i) % 250);
const masked = (options: Partial<MaskOptions> = {}, window = text) =>
  maskTokens(window, { outputs: 256, seed: 3, purpose: 'test', ...options });

test('what is given as undefined is not given', () => {
  const nothing = { share: undefined, span: undefined, words: undefined, random: undefined, kept: undefined };
  expect(masked(nothing as object)).toEqual(masked());
});

describe('spans', () => {
  const drawn = (length: number, count: number, mean: number, apart: 0 | 1, seed: number) =>
    drawSpans({ length, count, mean, apart }, drawsOf(seed, 'spans'));

  test.each([
    [100, 15, 3, 0],
    [100, 15, 3, 1],
    [2048, 307, 3, 1],
    [20, 19, 1, 1],
    [9, 9, 4, 0],
    [2, 1, 5, 1],
    [1, 1, 3, 0],
  ] as const)(
    '%i tokens, %i in spans of %i: as many, in order, within the text, %i apart',
    (length, count, mean, apart) => {
      for (let seed = 0; seed < 50; seed++) {
        const spans = drawn(length, count, mean, apart, seed);
        expect(spans.reduce((sum, span) => sum + span.length, 0)).toBe(count);
        let end = -apart;
        for (const span of spans) {
          expect(span.length).toBeGreaterThan(0);
          expect(span.start).toBeGreaterThanOrEqual(end + apart);
          end = span.start + span.length;
        }
        expect(end).toBeLessThanOrEqual(length);
      }
    },
  );

  test('there are round(n / mean), and fewer where the rest does not keep them apart', () => {
    expect(drawn(100, 15, 3, 0, 1)).toHaveLength(5);
    expect(drawn(100, 16, 3.2, 1, 1)).toHaveLength(5);
    expect(drawn(20, 19, 1, 1, 1)).toHaveLength(2);
  });

  test('every way to divide 4 tokens of 6 into 2 spans comes equally often', () => {
    const seen = new Map<string, number>();
    const draw = drawsOf(1, 'all');
    for (let i = 0; i < 9000; i++) {
      const key = JSON.stringify(drawSpans({ length: 6, count: 4, mean: 2, apart: 1 }, draw));
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    // 1 + 3, 2 + 2, 3 + 1; and of the two others one is between, the other anywhere, in three ways
    expect(seen.size).toBe(9);
    // five deviations of a share of a ninth
    for (const count of seen.values()) expect(Math.abs(count - 1000)).toBeLessThan(5 * Math.sqrt(1000 * (8 / 9)));
  });

  test('a mean of 1 that may touch picks every set of tokens equally often', () => {
    const seen = new Map<string, number>();
    const draw = drawsOf(2, 'single');
    for (let i = 0; i < 10_000; i++) {
      const spans = drawSpans({ length: 5, count: 2, mean: 1, apart: 0 }, draw);
      const key = String(spans.flatMap(({ start, length }) => Array.from({ length }, (_, at) => start + at)));
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    expect(seen.size).toBe(10);
    for (const count of seen.values()) expect(Math.abs(count - 1000)).toBeLessThan(5 * Math.sqrt(1000 * 0.9));
  });
});

describe('a masked window', () => {
  test.each([
    [0.15, 3],
    [0.15, 1],
    [0.5, 8],
    [0.0001, 3],
  ])('a share of %d in spans of %d: so many places, ascending, with what was there', (share, span) => {
    const { tokens, places, targets } = masked({ share, span });
    expect(places).toHaveLength(maskedOf(400, share));
    expect([...new Set(places)].sort((a, b) => a - b)).toEqual([...places]);
    expect([...targets]).toEqual(Array.from(places, (place) => text[place]));
    const hidden = new Set(places);
    text.forEach((token, i) => hidden.has(i) || expect(tokens[i]).toBe(token));
  });

  test('of the spans, 80 % become the mask token, 10 % random tokens, 10 % stay', () => {
    const counts = { mask: 0, kept: 0, random: 0 };
    const tally = new Int32Array(250);
    let all = 0;
    for (let i = 0; i < 200; i++) {
      const { tokens, places, targets } = masked({ purpose: `row ${i}`, span: 1 });
      places.forEach((place, at) => {
        all++;
        if (tokens[place] === 256) counts.mask++;
        else if (tokens[place] === targets[at]) counts.kept++;
        else {
          counts.random++;
          tally[tokens[place]!]!++;
        }
      });
    }
    // a random token is the one that was there once in 256 times
    for (const [got, share] of [
      [counts.mask, 0.8],
      [counts.kept, 0.1 + 0.1 / 256],
      [counts.random, 0.1 * (255 / 256)],
    ] as const) {
      expect(Math.abs(got - share * all)).toBeLessThan(5 * Math.sqrt(all * share * (1 - share)));
    }
    expect(tally.filter((count) => count > 0).length).toBeGreaterThan(200);
  });

  test('a span is hidden as a whole', () => {
    const { tokens, places, targets } = masked({ share: 0.4, span: 40, random: 0, kept: 0.5 });
    const kinds = Array.from(places, (place, i) => (tokens[place] === targets[i] ? 'kept' : 'mask'));
    const changes = kinds.filter((kind, i) => i > 0 && kind !== kinds[i - 1]);
    expect(new Set(kinds).size).toBe(2);
    // four spans
    expect(changes.length).toBeLessThan(4);
  });

  test('the same seed and purpose hide the same, others something else', () => {
    expect(masked()).toEqual(masked());
    expect(masked({ seed: 4 }).places).not.toEqual(masked().places);
    expect(masked({ purpose: 'other' }).places).not.toEqual(masked().places);
  });

  test('whole words: all of a word or nothing of it, no white space, as many as fit', () => {
    const words = 'It is a truth universally acknowledged, that a single man über 42 years!  ';
    const bytes = Int32Array.from(Buffer.from(words));
    const seen = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const { tokens, places, targets } = masked({ words: true, seed, share: 0.2, random: 0, kept: 0 }, bytes);
      const asked = [...targets].filter((target) => target !== -100).length;
      expect(places).toHaveLength(15);
      expect(asked).toBeGreaterThan(5);
      expect([...places.subarray(asked)]).toEqual(Array<number>(15 - asked).fill(0));
      expect([...places.subarray(0, asked)].sort((a, b) => a - b)).toEqual([...places.subarray(0, asked)]);
      const left = Array.from(tokens, (token) => (token === 256 ? '_' : String.fromCharCode(token))).join('');
      const original = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
      const parts = original.match(/[\w\u0080-\u00ff]+|[^\s]/g)!;
      let at = 0;
      for (const part of parts) {
        at = original.indexOf(part, at);
        const now = left.slice(at, at + part.length);
        expect([part, '_'.repeat(part.length)]).toContain(now);
        if (now !== part) seen.add(part);
        at += part.length;
      }
      expect(left.replaceAll('_', '')).toContain('  ');
    }
    expect(seen.has('Ã¼ber') && seen.has('42') && seen.has('!') && seen.has(',')).toBe(true);
    // longer than what is to be hidden
    expect(masked({ words: true, share: 0.1 }, Int32Array.from(Buffer.from('abcdefghijklmnopqrst'))).targets).toEqual(
      Int32Array.of(-100, -100),
    );
  });

  test('what is out of range is refused', () => {
    for (const [options, message] of [
      [{ share: 0 }, 'maskTokens: share must be a number above 0 and below 1; got 0.'],
      [{ share: 1 }, 'maskTokens: share must be a number above 0 and below 1; got 1.'],
      [{ span: 0.5 }, 'maskTokens: span must be a number of at least 1; got 0.5.'],
      [{ random: 0.6, kept: 0.5 }, 'maskTokens: random 0.6 and kept 0.5 are more than all.'],
      [{ words: true, span: 2 }, 'maskTokens: span is for spans of tokens; leave it out where whole words are hidden.'],
    ] as const) {
      expect(() => masked(options)).toThrow(new OptionError(message));
    }
  });
});

describe('masked batches', () => {
  const bytes = Uint8Array.from({ length: 500 }, (_, i) => i % 256);
  const source = openCorpus([fileOf(bytes)]);
  const windows = new Batches(source, { batchSize: 3, length: 20, seed: 5 });
  const made = maskedBatches(windows, { outputs: 256, share: 0.2, seed: 9 });

  test('are the windows, with the targets of what is hidden', () => {
    expect(made).toMatchObject({ batchSize: 3, length: 4, windows: windows.windows });
    const { inputs, counted } = made.batch(7);
    expect(counted).toBe(12);
    expect(inputs.tokens.shape).toEqual([3, 20]);
    expect([inputs.places.shape, inputs.targets.shape]).toEqual([
      [3, 4],
      [3, 4],
    ]);
    const rows = windows.batch(7);
    for (let row = 0; row < 3; row++) {
      for (let i = 0; i < 4; i++) {
        const place = inputs.places.data[4 * row + i]!;
        expect(inputs.targets.data[4 * row + i]).toBe(rows[21 * row + place]);
      }
    }
  });

  test('follow from seed and step', () => {
    const again = maskedBatches(windows, { outputs: 256, share: 0.2, seed: 9 });
    expect(again.batch(30)).toEqual(made.batch(30));
    expect(maskedBatches(windows, { outputs: 256, share: 0.2, seed: 8 }).batch(0)).not.toEqual(made.batch(0));
  });

  test('a window hides something else in the next epoch, and the same where that is fixed', () => {
    const ordered = new Batches(source, { batchSize: 24, length: 20, order: 'sequential' });
    expect(ordered.windows).toBe(24);
    const of = (fixed: boolean, step: number) =>
      maskedBatches(ordered, { outputs: 256, fixed }).batch(step).inputs.places.data;
    expect(of(false, 1)).not.toEqual(of(false, 0));
    expect(of(true, 1)).toEqual(of(true, 0));
    // whatever batch it comes in
    const single = new Batches(source, { batchSize: 1, length: 20, order: 'sequential' });
    const fifth = maskedBatches(single, { outputs: 256, fixed: true }).batch(5).inputs.places.data;
    expect(fifth).toEqual(of(true, 0).subarray(15, 18));
  });

  test('refuse what they do not understand', () => {
    expect(() => maskedBatches(source as never, { outputs: 256 })).toThrow(OptionError);
    expect(() => maskedBatches(windows, { outputs: 0 })).toThrow(/outputs must be/);
    expect(() => maskedBatches(windows, { outputs: 256, sahre: 0.1 } as never)).toThrow(/unknown option "sahre"/);
  });
});

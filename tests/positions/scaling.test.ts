import { describe, expect, it } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import { ropeFrequencies, type RopeScaling, type YarnScaling } from '../../src/positions/index.js';
import { yarnMagnitude, yarnRange } from '../../src/positions/scaling.js';

const of = (rotaryDim: number, scaling?: RopeScaling, length?: number): number[] => [
  ...ropeFrequencies({ rotaryDim, ...(scaling && { scaling }), ...(length && { length }) }).frequencies,
];
const close = (got: readonly number[], want: readonly number[], digits = 9): void => {
  expect(got).toHaveLength(want.length);
  want.forEach((value, i) => expect(got[i]! / value).toBeCloseTo(1, digits));
};
/** The base that the second pair of `dim` components implies. */
const baseOf = (dim: number, scaling: RopeScaling): number => of(dim, scaling)[1]! ** (-dim / 2);

describe('ropeFrequencies', () => {
  it('falls from 1 to 1/base, geometrically', () => close(of(8), [1, 0.1, 0.01, 0.001]));

  it.each<RopeScaling>([
    { type: 'linear', factor: 1 },
    { type: 'ntk', factor: 1 },
    { type: 'dynamic', factor: 4, originalLength: 2048, length: 2048 },
    { type: 'yarn', factor: 1, originalLength: 2048 },
  ])('changes nothing with %j', (scaling) => {
    expect(of(64, scaling)).toEqual(of(64));
    expect(ropeFrequencies({ rotaryDim: 64, scaling }).magnitude).toBe(1);
  });

  it('linear: position factor·p has the angle of p', () =>
    close(of(8, { type: 'linear', factor: 16 }), [1 / 16, 0.1 / 16, 0.01 / 16, 0.001 / 16], 14));

  it('ntk: the published bases; the first pair stays, the last is divided by the factor', () => {
    expect(baseOf(128, { type: 'ntk', factor: 4 })).toBeCloseTo(40889.94, 2);
    expect(baseOf(128, { type: 'ntk', factor: 8 })).toBeCloseTo(82684.62, 2);
    expect(baseOf(64, { type: 'ntk', factor: 2 })).toBeCloseTo(20452.23, 2);
    const scaled = of(64, { type: 'ntk', factor: 8 });
    expect(scaled[0]).toBe(1);
    expect((scaled.at(-1)! * 8) / of(64).at(-1)!).toBeCloseTo(1, 12);
  });

  it('dynamic: grows with the length at hand', () => {
    const scaling = { type: 'dynamic', factor: 4, originalLength: 2048 } as const;
    const want = [1, 0.0425290354, 0.0018087189, 7.692308e-5];
    close(of(8, scaling, 8192), want, 6);
    close(of(8, { ...scaling, length: 8192 }), want, 6);
    expect(of(8, { ...scaling, length: 8192 }).at(-1)! * 13).toBeCloseTo(0.001, 15);
    expect(of(8, scaling, 100)).toEqual(of(8));
    expect(of(8, scaling)).toEqual(of(8));
    // factor 1 still follows the length
    expect(of(8, { ...scaling, factor: 1 }, 8192)).toEqual(of(8, { type: 'ntk', factor: 4 }));
  });
});

describe('yarn', () => {
  const yarn = (originalLength: number, more: Partial<YarnScaling> = {}): YarnScaling => ({
    type: 'yarn',
    factor: 4,
    originalLength,
    ...more,
  });

  it('has the published ends of the mixed range', () => {
    expect(yarnRange(yarn(2048), 64, 10000)).toEqual([16, 41]);
    expect(yarnRange(yarn(4096), 64, 10000)).toEqual([20, 46]);
    expect(yarnRange(yarn(8192), 64, 10000)).toEqual([25, 50]);
    expect(yarnRange(yarn(2048), 32, 10000)).toEqual([8, 21]);
    expect(yarnRange(yarn(2048), 4, 10000)).toEqual([1, 3]);
    const [low, high] = yarnRange(yarn(2048, { truncate: false }), 64, 10000);
    expect(low).toBeCloseTo(16.128, 3);
    expect(high).toBeCloseTo(40.21, 3);
    // beyond either end
    expect(yarnRange(yarn(16), 4, 10000)).toEqual([0, 1]);
    expect(yarnRange(yarn(2 ** 40), 4, 10000)[1]).toBe(7);
  });

  it('keeps fast pairs, divides slow ones, mixes between', () => {
    const { frequencies, magnitude } = ropeFrequencies({ rotaryDim: 8, scaling: yarn(2048) });
    close([...frequencies], [1, 0.1, 0.00625, 0.00025], 12);
    expect(magnitude).toBeCloseTo(1.138629436, 9);
    expect(of(8, yarn(2048, { extrapolation: 0 }))).toEqual(of(8, { type: 'linear', factor: 4 }));
    // fast and slow ends on one pair: a step, not 0/0
    const step = of(8, yarn(2048, { betaFast: 4, betaSlow: 4, truncate: false }));
    expect(step.every(Number.isFinite)).toBe(true);
  });

  it('has the published magnitudes, and every knob of them', () => {
    for (const [factor, want] of [
      [2, 1.069315],
      [8, 1.207944],
      [16, 1.277259],
      [32, 1.346574],
    ] as const)
      expect(yarnMagnitude(yarn(2048, { factor }))).toBeCloseTo(want, 6);
    expect(yarnMagnitude(yarn(2048, { attentionFactor: 1.5, magnitude: 2 }))).toBe(1.5);
    expect(yarnMagnitude(yarn(2048, { mscale: 0.7, mscaleAllDim: 0.7 }))).toBe(1);
    expect(yarnMagnitude(yarn(2048, { mscale: 1, mscaleAllDim: 0.5 }))).toBeCloseTo(1.138629436 / 1.069314718, 8);
    // one of the two alone counts for nothing
    expect(yarnMagnitude(yarn(2048, { mscale: 5 }))).toBeCloseTo(1.138629436, 9);
    expect(yarnMagnitude(yarn(2048, { magnitude: 2 }))).toBeCloseTo(2 * 1.138629436, 8);
  });
});

describe('scalings of published models', () => {
  // wavelengths 2π·100^k; of a trained length of 8192, kept below 2048 and divided above 8192
  const llama3 = { type: 'llama3', factor: 8, originalLength: 8192 } as const;

  it('Llama 3.1 keeps what turns often, divides what turns rarely, mixes between', () => {
    const plain = of(16);
    const got = of(16, llama3);
    const turns = plain.map((angle) => (8192 * angle) / (2 * Math.PI));
    turns.forEach((often, i) => {
      const share = often >= 4 ? 1 : often <= 1 ? 0 : (often - 1) / 3;
      expect(got[i]! / plain[i]!).toBeCloseTo(share + (1 - share) / 8, 12);
    });
    expect(turns.filter((often) => often > 1 && often < 4)).toHaveLength(1);
    expect(ropeFrequencies({ rotaryDim: 16, scaling: llama3 }).magnitude).toBe(1);
    const narrow = of(16, { ...llama3, lowFrequency: 0.1, highFrequency: 0.2 });
    expect(narrow.map((angle, i) => angle / plain[i]!)).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
  });

  const longrope = {
    type: 'longrope',
    factor: 32,
    originalLength: 4096,
    shortFactors: [1, 2],
    longFactors: [4, 64],
  } as const;

  it('LongRoPE divides each pair by a number of its own, by the length at hand', () => {
    close(of(4, longrope), [1, 0.005], 12);
    close(of(4, longrope, 4096), [1, 0.005], 12);
    close(of(4, longrope, 4097), [1 / 4, 0.01 / 64], 12);
    close(of(4, { ...longrope, length: 8192 }, 5), [1 / 4, 0.01 / 64], 12);
    const magnitude = (more: object): number =>
      ropeFrequencies({ rotaryDim: 4, scaling: { ...longrope, ...more } }).magnitude;
    // Phi-3's, of 131072 over 4096
    expect(magnitude({})).toBeCloseTo(1.1902380714238083, 12);
    expect(magnitude({ factor: 1 })).toBe(1);
    expect(magnitude({ attentionFactor: 1.5 })).toBe(1.5);
  });

  it('refuses frequencies in the wrong order and lists of another length', () => {
    expect(() => of(4, { ...llama3, highFrequency: 1 })).toThrow(/highFrequency must be above lowFrequency 1; got 1/);
    expect(() => of(6, longrope)).toThrow(
      /scaling.shortFactors must be 3 numbers, one a pair; got 2; scaling.longFactors must be 3/,
    );
  });
});

describe('bad input gets one sentence', () => {
  it.each<[string, object, RegExp]>([
    ['a kind nobody knows', { type: 'stretched', factor: 2 }, /"yarn", "llama3" or "longrope"; got "stretched"/],
    ['a factor below 1', { type: 'linear', factor: 0.5 }, /scaling.factor must be a number of at least 1; got 0\.5/],
    ['no factor', { type: 'ntk' }, /scaling.factor is missing; it must be a number of at least 1/],
    [
      'no trained length',
      { type: 'dynamic', factor: 2 },
      /scaling.originalLength is missing; it must be a whole number of at least 1/,
    ],
    [
      'a length of 0',
      { type: 'dynamic', factor: 2, originalLength: 8, length: 0 },
      /scaling.length must be a number of at least 1; got 0/,
    ],
    [
      'betas in the wrong order',
      { type: 'yarn', factor: 2, originalLength: 8, betaFast: 1, betaSlow: 2 },
      /betaFast must be at least betaSlow 2; got 1/,
    ],
    [
      'an extrapolation above 1',
      { type: 'yarn', factor: 2, originalLength: 8, extrapolation: 2 },
      /from 0 to 1; got 2/,
    ],
    [
      'a magnitude of 0',
      { type: 'yarn', factor: 2, originalLength: 8, magnitude: 0 },
      /magnitude must be a number above 0; got 0/,
    ],
    [
      'an option of another kind',
      { type: 'linear', factor: 2, betaFast: 1 },
      /unknown option "scaling.betaFast"; known are scaling.type, scaling.factor\./,
    ],
  ])('%s', (_, scaling, message) => {
    expect(() => of(8, scaling as RopeScaling)).toThrow(OptionError);
    expect(() => of(8, scaling as RopeScaling)).toThrow(message);
  });

  it('two components cannot be stretched', () => {
    expect(() => of(2, { type: 'ntk', factor: 2 })).toThrow(/needs rotaryDim ≥ 4/);
    expect(() => of(7)).toThrow(/even whole number from 2 to 2\^20; got 7/);
  });
});

import { describe, expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import { ropeOf, type RopeGiven } from '../../src/pretrained/rotary.js';

const none: RopeGiven = {
  max_position_embeddings: 4096,
  original_max_position_embeddings: null,
  rope_theta: null,
  rope_scaling: null,
  rope_parameters: null,
  partial_rotary_factor: null,
};
const sizes = { headDim: 8 };

describe('rotary positions of published configurations', () => {
  test('both spellings say the same', () => {
    const scaling = { factor: 4, original_max_position_embeddings: 1024, beta_fast: 16, truncate: false };
    const old = ropeOf({ ...none, rope_theta: 5e5, rope_scaling: { ...scaling, type: 'yarn' } }, sizes);
    const now = ropeOf({ ...none, rope_parameters: { ...scaling, rope_type: 'yarn', rope_theta: 5e5 } }, sizes);
    expect(now).toEqual(old);
    expect(now).toEqual({
      method: 'rope',
      base: 5e5,
      scaling: { type: 'yarn', factor: 4, originalLength: 1024, betaFast: 16, truncate: false },
    });
  });

  test('every kind of scaling', () => {
    const of = (given: object, more: Partial<RopeGiven> = {}): unknown => {
      const position = ropeOf({ ...none, rope_scaling: given as RopeGiven['rope_scaling'], ...more }, sizes);
      return 'scaling' in position ? position.scaling : undefined;
    };
    expect(of({ rope_type: 'default' })).toBeUndefined();
    expect(of({ rope_type: 'linear', factor: 2 })).toEqual({ type: 'linear', factor: 2 });
    expect(of({ type: 'dynamic', factor: 2 })).toEqual({ type: 'dynamic', factor: 2, originalLength: 4096 });
    // without a factor, the length over the trained one
    expect(of({ rope_type: 'yarn', original_max_position_embeddings: 1024 })).toEqual({
      type: 'yarn',
      factor: 4,
      originalLength: 1024,
    });
    const knobs = { attention_factor: 1.2, beta_slow: 2, mscale: 1, mscale_all_dim: 0.7 };
    expect(of({ rope_type: 'yarn', factor: 3, ...knobs })).toEqual({
      type: 'yarn',
      factor: 3,
      originalLength: 4096,
      attentionFactor: 1.2,
      betaSlow: 2,
      mscale: 1,
      mscaleAllDim: 0.7,
    });
    const llama = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };
    expect(of({ rope_type: 'llama3', ...llama })).toEqual({
      type: 'llama3',
      factor: 8,
      originalLength: 8192,
      lowFrequency: 1,
      highFrequency: 4,
    });
    const lists = { short_factor: [1, 1, 1, 1], long_factor: [1, 2, 3, 4] };
    const long = {
      type: 'longrope',
      factor: 4,
      originalLength: 1024,
      shortFactors: [1, 1, 1, 1],
      longFactors: [1, 2, 3, 4],
    };
    expect(of({ type: 'su', ...lists }, { original_max_position_embeddings: 1024 })).toEqual(long);
    expect(
      of({ rope_type: 'longrope', ...lists, original_max_position_embeddings: 1024, attention_factor: 2 }),
    ).toEqual({
      ...long,
      attentionFactor: 2,
    });
  });

  test('a part of the head turns', () => {
    expect(ropeOf({ ...none, partial_rotary_factor: 0.5 }, sizes)).toEqual({ method: 'rope', base: 10000, rotary: 4 });
    expect(ropeOf(none, { ...sizes, rotary: 0.25, base: 7 })).toEqual({ method: 'rope', base: 7, rotary: 2 });
  });

  test('an unknown kind, an unknown key, a factor below 1', () => {
    const of = (rope_scaling: object) => () => ropeOf({ ...none, rope_scaling: { ...rope_scaling } }, sizes);
    expect(of({ rope_type: 'yarm', factor: 2 })).toThrow(/unknown rope_type "yarm".*did you mean "yarn"/);
    expect(of({ rope_type: 'linear', factor: 2, beta_fast: 3 })).toThrow(/unknown key "beta_fast"/);
    expect(of({ rope_type: 'linear', factor: 0.5 })).toThrow(OptionError);
  });
});

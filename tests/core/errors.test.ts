import { expect, test } from 'vitest';
import { checkOptions, nearest, OptionError } from '../../src/core/errors.js';

test('an unknown option is named together with the nearest known one', () => {
  expect(() => checkOptions('attend', { casual: true }, ['causal', 'scale'])).toThrow(OptionError);
  expect(() => checkOptions('attend', { casual: true }, ['causal', 'scale'])).toThrow(
    'attend: unknown option "casual" (did you mean "causal"?); known options: causal, scale.',
  );
});

test('all unknown options are reported at once, and no hint is given where none is near', () => {
  expect(() => checkOptions('attend', { xyzzy: 1, Scale: 2 }, ['causal', 'scale'])).toThrow(
    'attend: unknown option "xyzzy", "Scale" (did you mean "scale"?); known options: causal, scale.',
  );
});

test('known options pass', () => {
  expect(() => checkOptions('attend', { causal: true }, ['causal'])).not.toThrow();
});

test.each([
  ['raduis', 'radius'],
  ['numlandmark', 'numLandmarks'],
  ['q', undefined],
] as const)('nearest(%s) is %s', (word, expected) => {
  expect(nearest(word, ['radius', 'numLandmarks', 'dilation'])).toBe(expected);
});

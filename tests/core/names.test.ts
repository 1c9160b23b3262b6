import { expect, test } from 'vitest';
import { nearest, unknown } from '../../src/core/names.js';

test.each([
  ['raduis', 'radius'],
  ['numlandmark', 'numLandmarks'],
  ['q', undefined],
  [3, undefined],
] as const)('nearest(%s) is %s', (word, expected) => {
  expect(nearest(word, ['radius', 'numLandmarks', 'dilation'])).toBe(expected);
});

test('a few names are listed; of many, only where none is near; a remedy may replace the list', () => {
  const many = Array.from({ length: 13 }, (_, i) => `option${i}`);
  expect(unknown('option', ['casual'], ['causal', 'scale'])).toBe(
    'unknown option "casual" (did you mean "causal"?); known are causal, scale',
  );
  expect(unknown('option', ['optoin3'], many)).toBe('unknown option "optoin3" (did you mean "option3"?)');
  expect(unknown('option', ['optoin3', 'xyzzy'], many)).toBe(
    `unknown option "optoin3" (did you mean "option3"?), "xyzzy"; known are ${many.join(', ')}`,
  );
  expect(unknown('option', ['--hlep'], ['--help'], 'see x --help')).toBe(
    'unknown option "--hlep" (did you mean "--help"?); see x --help',
  );
  expect(unknown('option', [3], [])).toBe('unknown option 3; there are none');
});

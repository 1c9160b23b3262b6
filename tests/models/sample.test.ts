import { expect, test } from 'vitest';
import { sample } from '../../src/models/sample.js';

const logits = [Math.log(0.1), Math.log(0.4), Math.log(0.3), Math.log(0.2)];
const drawn = (options: object, u: number): number => sample(logits, options, u);

test('tokens are drawn by their probabilities, the likeliest first', () => {
  expect([0, 0.39, 0.41, 0.69, 0.71, 0.89, 0.91, 0.999].map((u) => drawn({}, u))).toEqual([1, 1, 2, 2, 3, 3, 0, 0]);
});

test('top-k keeps the likeliest, top-p the fewest that have the mass', () => {
  // of 0.4 and 0.3 the first has 4/7
  expect([0.57, 0.58, 0.999].map((u) => drawn({ topK: 2 }, u))).toEqual([1, 2, 2]);
  expect([0.57, 0.58, 0.999].map((u) => drawn({ topP: 0.5 }, u))).toEqual([1, 2, 2]);
  expect(drawn({ topP: 0.4 }, 0.999)).toBe(1);
  expect(drawn({ topP: 0.01 }, 0.999)).toBe(1);
  expect(drawn({ topP: 1 }, 0.999)).toBe(0);
});

test('temperature sharpens and flattens; 0 takes the likeliest', () => {
  expect(drawn({ temperature: 0 }, 0.999)).toBe(1);
  // squares of the probabilities: 0.16 of 0.30
  expect([0.53, 0.54].map((u) => drawn({ temperature: 0.5 }, u))).toEqual([1, 2]);
  expect(sample([5, 5], { temperature: 1e9 }, 0.5)).toBe(1);
  expect(sample([1000, -1000], {}, 0.999)).toBe(0);
});

test('logits that are no numbers, and options out of range, are refused', () => {
  expect(() => sample([1, NaN], {}, 0.5)).toThrow('the logit of token 1 is NaN');
  expect(() => drawn({ temperature: -1, topK: 1.5, topP: 0 }, 0.5)).toThrow(
    'sample: temperature must be a number of at least 0; got -1; topK must be a whole number of at least 0; got 1.5; ' +
      'topP must be a number above 0 and at most 1; got 0.',
  );
});

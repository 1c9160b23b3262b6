import { expect, test } from 'vitest';
import { constantRate, cosine, inverseSquareRoot } from '../../src/train/schedules.js';

test('constant', () => {
  const rate = constantRate(3e-4);
  expect([rate(1), rate(1_000_000)]).toEqual([3e-4, 3e-4]);
  expect(() => constantRate(0)).toThrow('constantRate: rate must be a number above 0; got 0.');
});

test('cosine rises in a line to the peak, falls to the floor and stays', () => {
  const rate = cosine({ peak: 1, warmUp: 4, steps: 12, floor: 0.5 });
  expect([1, 2, 3, 4].map(rate)).toEqual([0.25, 0.5, 0.75, 1]);
  // half-way between 4 and 12
  expect(rate(8)).toBeCloseTo(0.75, 15);
  // cos 45° at a quarter
  expect(rate(6)).toBeCloseTo(0.5 + (0.5 * (1 + Math.SQRT1_2)) / 2, 15);
  expect([12, 13, 1000].map(rate)).toEqual([0.5, 0.5, 0.5]);
  const all = Array.from({ length: 9 }, (_, i) => rate(4 + i));
  expect(all).toEqual([...all].sort((a, b) => b - a));
});

test('cosine without a warm-up begins below the peak at once, with one step at the floor', () => {
  expect(cosine({ peak: 2, steps: 2 })(1)).toBeCloseTo(1, 15);
  expect(cosine({ peak: 2, steps: 1, floor: 0.25 })(1)).toBe(0.25);
});

test('inverse square root is the schedule of Vaswani et al. 2017, for their base model', () => {
  const [d, warmUp] = [512, 4000];
  const rate = inverseSquareRoot({ peak: 1 / Math.sqrt(d * warmUp), warmUp });
  for (const t of [1, 17, 3999, 4000, 4001, 100_000]) {
    const paper = d ** -0.5 * Math.min(t ** -0.5, t * warmUp ** -1.5);
    expect(rate(t) / paper).toBeCloseTo(1, 14);
  }
  expect(rate(4000)).toBeCloseTo(6.98771e-4, 9);
  expect(inverseSquareRoot({ peak: 1 })(4)).toBe(0.5);
});

test('all that is wrong is told at once', () => {
  expect(() => cosine({ peak: -1, warmUp: 10, steps: 5, floor: 0.1, flor: 1 } as never)).toThrow(
    'cosine: peak must be a number above 0; got -1; unknown option "flor" (did you mean "floor"?); known are peak, warmUp, steps, ' +
      'floor; warmUp must be below steps; got 10 of 5; floor must be at most peak; got 0.1 and -1.',
  );
  expect(() => cosine({ peak: 1 } as never)).toThrow('steps is missing; it must be a whole number of at least 1');
  expect(() => inverseSquareRoot({ peak: 1, warmUp: 1.5 })).toThrow('warmUp must be a whole number of at least 0');
  for (const step of [0, -1, 1.5, NaN, Infinity]) {
    for (const rate of [constantRate(1), cosine({ peak: 1, steps: 5 }), inverseSquareRoot({ peak: 1 })]) {
      expect(() => rate(step)).toThrow('steps are whole numbers from 1');
    }
  }
});

import { expect, test } from 'vitest';
import { Confusion } from '../../src/studies/confusion.js';

test('accuracy, macro F1 and the counts, worked by hand', () => {
  const confusion = new Confusion(4);
  confusion.add([0, 0, 1, 2], [0, 1, 1, 0]);
  confusion.add([0], [0]);
  const { accuracy, macroF1, matrix } = confusion.scores();
  expect(matrix).toEqual([
    [2, 0, 1, 0],
    [1, 1, 0, 0],
    [0, 0, 0, 0],
    [0, 0, 0, 0],
  ]);
  expect(accuracy).toBe(3 / 5);
  // class 0: 2·2/(4 + 1 + 1), class 1: 2/(2 + 1), class 2: predicted alone, class 3: neither
  expect(macroF1).toBeCloseTo((4 / 6 + 2 / 3 + 0) / 3, 15);
});

import { describe, expect, test } from 'vitest';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import {
  broadcastShapes,
  broadcastStrides,
  checkShape,
  inferShape,
  resolveAxes,
  resolveAxis,
  show,
  stridesOf,
} from '../../src/core/shape.js';

describe('checkShape', () => {
  test('takes whole numbers of at least 1, and none', () => {
    checkShape('f', []);
    checkShape('f', [1, 2, 3]);
  });
  test.each([[[2, -1]], [[1.5]], [[NaN]], [[Infinity]]])('refuses %j', (shape) => {
    expect(() => checkShape('f', shape)).toThrow(ShapeError);
    expect(() => checkShape('f', shape)).toThrow(
      `f: every extent of a shape must be a whole number of at least 1; got ${show(shape)}.`,
    );
  });
  test('refuses empty tensors with a remedy, and those past 32-bit indices', () => {
    expect(() => checkShape('f', [3, 0])).toThrow('Empty tensors are not defined');
    expect(() => checkShape('f', [65536, 65536])).toThrow(
      'f: a tensor has at most 2^31 - 1 elements; [65536,65536] has 4294967296.',
    );
    expect(() => checkShape('f', 3 as never)).toThrow('must be an array');
  });
});

test('strides, and strides that repeat', () => {
  expect(stridesOf([2, 3, 4])).toEqual([12, 4, 1]);
  expect(stridesOf([])).toEqual([]);
  expect(broadcastStrides([3, 1], [2, 3, 4])).toEqual([0, 1, 0]);
});

test('broadcastShapes aligns at the last axis', () => {
  expect(broadcastShapes('f', [[2, 1, 4], [3, 1], []])).toEqual([2, 3, 4]);
  expect(broadcastShapes('f', [])).toEqual([]);
  expect(() => broadcastShapes('f', [[2, 3], [2], [3]])).toThrow(
    'f: shapes must be equal or 1 on every axis, counted from the last; got [2,3], [2], [3]. Reshape one of them so that axis -1 agrees.',
  );
});

test('axes count from either end', () => {
  expect(resolveAxis('f', -1, [2, 3])).toBe(1);
  expect(resolveAxes('f', [-1, 0], [2, 3])).toEqual([0, 1]);
  expect(resolveAxes('f', undefined, [2, 3])).toEqual([0, 1]);
  expect(() => resolveAxis('f', 2, [2, 3])).toThrow(
    'f: there is no axis 2 in shape [2,3]; it must be an integer from -2 to 1.',
  );
  expect(() => resolveAxis('f', 0, [])).toThrow('a tensor of shape [] has no axes');
  expect(() => resolveAxes('f', [1, -1], [2, 3])).toThrow(OptionError);
});

test('inferShape fills one -1', () => {
  expect(inferShape('f', [2, -1], [3, 4])).toEqual([2, 6]);
  expect(inferShape('f', [], [1])).toEqual([]);
  for (const shape of [
    [-1, -1],
    [5, -1],
    [12, 2],
    [0, -1],
  ])
    expect(() => inferShape('f', shape, [3, 4])).toThrow(ShapeError);
});

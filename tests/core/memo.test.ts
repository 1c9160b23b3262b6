import { expect, test, vi } from 'vitest';
import { memoised } from '../../src/core/memo.js';

test('objects are equal by identity, lists by their entries, all else by value', () => {
  const make = vi.fn((...args: unknown[]) => ({ args }));
  const once = memoised(make);
  const [a, b] = [{}, {}];
  const different: unknown[][] = [
    [],
    [a],
    [b],
    [a, b],
    [b, a],
    [a, 1],
    [1, a],
    [null],
    [undefined],
    ['undefined'],
    [1],
    ['1'],
    [1, 2],
    [[1, 2]],
    [[1], 2],
    [[a], 2],
    ['1', '2'],
    ['12'],
    [() => 0],
  ];
  const made = different.map((args) => once(...args));
  expect(new Set(made).size).toBe(different.length);
  different.forEach((args, i) => expect(once(...args.map((x) => (Array.isArray(x) ? [...x] : x)))).toBe(made[i]));
  expect(make).toHaveBeenCalledTimes(different.length);
});

test('what is undefined is kept too, what throws is not', () => {
  const nothing = vi.fn(() => undefined);
  const once = memoised(nothing);
  once();
  once();
  expect(nothing).toHaveBeenCalledTimes(1);
  const failing = vi.fn((): number => {
    throw new Error('no');
  });
  const again = memoised(failing);
  expect(again).toThrow('no');
  expect(again).toThrow('no');
  expect(failing).toHaveBeenCalledTimes(2);
});

test('`by` says what counts, `most` how many results of the same objects are kept', () => {
  const make = vi.fn((shape: { readonly n: number }, other: object) => [shape, other]);
  const once = memoised(make, { by: ({ n }, other) => [n, other], most: 2 });
  const [a, b] = [{}, {}];
  const first = once({ n: 1 }, a);
  expect(once({ n: 1 }, a)).toBe(first);
  once({ n: 1 }, b);
  once({ n: 2 }, b);
  once({ n: 3 }, b);
  expect(once({ n: 1 }, a)).toBe(first);
  expect(make).toHaveBeenCalledTimes(4);
  once({ n: 1 }, b);
  expect(make).toHaveBeenCalledTimes(5);
});

import { expect, test } from 'vitest';
import { crossovers } from '../../src/studies/compare-crossover.js';

const rows = (name: string, times: Readonly<Record<number, number | null>>) =>
  Object.entries(times).map(([length, milliseconds]) => ({ name, length: Number(length), milliseconds }));
const base = rows('flash', { 100: 1, 200: 4, 400: 16, 800: 64 });
const found = (times: Readonly<Record<number, number | null>>) =>
  crossovers([...base, ...rows('x', times)], 'flash').map(({ length, atMost }) => [length, atMost])[0];

test('straight lines in log–log coordinates cross where they are equal', () => {
  // 3·(n/100) equals (n/100)² at n = 300
  expect(found({ 100: 3, 200: 6, 400: 12, 800: 24 })).toEqual([300, false]);
});

test('faster everywhere, nowhere, or never together', () => {
  expect(found({ 100: 0.5, 200: 1, 400: 2, 800: 4 })).toEqual([100, true]);
  expect(found({ 100: 2, 200: 5, 400: 17, 800: 65 })).toEqual([null, false]);
  expect(found({ 50: 1 })).toEqual([null, false]);
  expect(found({ 100: null, 200: null })).toEqual([null, false]);
});

test('equal is not faster; of several crossings the last counts', () => {
  expect(found({ 100: 1, 200: 4, 400: 16, 800: 64 })).toEqual([null, false]);
  expect(found({ 100: 0.5, 200: 5, 400: 10, 800: 20 })![0]).toBeGreaterThan(200);
  expect(found({ 100: 0.5, 200: 1, 400: 2, 800: 65 })).toEqual([null, false]);
});

test('a length that one of the two lacks does not count', () => {
  expect(found({ 100: 3, 200: null, 400: 12 })).toEqual([300, false]);
});

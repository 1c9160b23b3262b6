import { expect, test } from 'vitest';
import { mechanism } from '../../src/attention/index.js';
import { looking } from '../../src/studies/looking.js';
import { variant } from '../../src/studies/mechanisms.js';
import { textFeatures } from '../../src/studies/features.js';
import { onEveryDevice } from '../support/devices.js';

const bytes = new TextEncoder().encode('A text “of” some words, and more. '.repeat(40));
const problem = textFeatures(bytes, { heads: 2, headDim: 16, seed: 1 });
const named = (name: string, options = {}) => variant(mechanism(name), options);

/** The weights of a row of the first head by the formula, in float64. */
function softmaxRow(query: number, length: number, sees: (key: number) => boolean): Float64Array {
  const { q, k, headDim } = problem;
  const scores = Float64Array.from({ length }, (_, key) => {
    if (!sees(key)) return -Infinity;
    let sum = 0;
    for (let d = 0; d < headDim; d++) sum += q[query * headDim + d]! * k[key * headDim + d]!;
    return sum / Math.sqrt(headDim);
  });
  const most = Math.max(...scores);
  const all = scores.map((score) => Math.exp(score - most));
  const sum = all.reduce((a, b) => a + b);
  return all.map((weight) => weight / sum);
}

onEveryDevice((on) => {
  test.each([true, false])('weights of one byte by each mechanism that compares bytes, causal %s', async (causal) => {
    // the two after them compare nothing, and do not take the length
    const variants = [
      named('flash'),
      named('sliding-window', { radius: 9 }),
      named('fnet'),
      named('axial', { height: 7 }),
    ];
    const found = (await looking(on.device, bytes, problem, variants, { causal, seed: 0 }))!;
    const { query, stretch, text, looks } = found;
    expect(text).toHaveLength(1024);
    expect(text.slice(0, 14)).toBe('A text ···of··');
    expect(looks.map(({ name }) => name)).toEqual(['flash', 'sliding-window:radius=9']);
    const sees = [
      (key: number) => !causal || key <= query,
      (key: number) => Math.abs(key - query) <= 9 && (!causal || key <= query),
    ];
    looks.forEach(({ weights }, i) => {
      const row = softmaxRow(query, 1024, sees[i]!);
      expect(weights).toHaveLength(1024 / stretch);
      weights.forEach((weight, at) => {
        const part = row.subarray(at * stretch, (at + 1) * stretch).reduce((a, b) => a + b, 0);
        expect(Math.abs(weight - part)).toBeLessThan(1e-5);
      });
    });
  });

  test('a short text, and one of no stretch', async () => {
    const short = textFeatures(bytes.subarray(0, 11), { heads: 1, headDim: 8, seed: 1 });
    const found = await looking(on.device, bytes.subarray(0, 11), short, [named('flash')], { causal: true, seed: 0 });
    expect(found!.looks[0]!.weights).toHaveLength(2);
    expect(found!.looks[0]!.weights.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
    const none = textFeatures(bytes.subarray(0, 3), { heads: 1, headDim: 8, seed: 1 });
    expect(await looking(on.device, bytes, none, [named('flash')], { causal: true, seed: 0 })).toBeUndefined();
  });
});

import { describe, expect, test } from 'vitest';
import { causal, within } from '../../src/masks/index.js';
import { keysSeen, referenceRow, sampleRows } from '../../src/studies/reference.js';
import { attend } from '../oracles/attend.js';
import { randomProblem } from './problem.js';

const problem = randomProblem(2, 23, 5);
const { heads: H, length: L, headDim: D, ...data } = problem;

test.each([
  ['every pair', { causal: false, mask: undefined }, () => true],
  ['causal', { causal: true, mask: undefined }, ({ i, j }: { i: number; j: number }) => j <= i],
  [
    'a causal window',
    { causal: true, mask: within({ radius: 4 }) },
    ({ i, j }: { i: number; j: number }) => j <= i && i - j <= 4,
  ],
] as const)('rows agree with the oracle: %s', (_, support, allowed) => {
  const oracle = attend({ B: 1, H, G: H, L, S: L, D, E: D, ...data, allowed });
  const sees = keysSeen(support, problem);
  for (const row of sampleRows(H, L, 5, 1)) {
    const at = row.h * L + row.i;
    const [reference] = referenceRow(problem, row, [sees]);
    expect(reference!.logsumexp).toBeCloseTo(oracle.logsumexp[at]!, 13);
    expect(reference!.plainLogsumexp).toBeCloseTo(oracle.logsumexp[at]!, 5);
    for (let d = 0; d < D; d++) {
      expect(reference!.exact[d]).toBeCloseTo(oracle.out[at * D + d]!, 13);
      expect(reference!.plain[d]).toBeCloseTo(oracle.out[at * D + d]!, 5);
    }
    // plain float32 code is not float64 code, except for the one key that the first query sees
    const equal = reference!.plain.every((x, d) => x === reference!.exact[d]);
    expect(equal && row.i > 0).toBe(false);
  }
});

test('plain code in the order of the keys, and in the other direction, is no further from float64', () => {
  const { fround } = Math;
  const row = { h: 1, i: L - 1 };
  const [found] = referenceRow(problem, row, [keysSeen({ causal: false, mask: undefined }, problem)]);
  const base = row.h * L * D;
  const outOf = (upwards: boolean): number[] => {
    const order = (count: number): number[] => Array.from({ length: count }, (_, n) => (upwards ? n : count - 1 - n));
    const scores = Array.from({ length: L }, (_, j) => {
      let dot = 0;
      for (const d of order(D))
        dot = fround(dot + fround(problem.q[base + row.i * D + d]! * problem.k[base + j * D + d]!));
      return fround(dot * fround(1 / Math.sqrt(D)));
    });
    const weights = scores.map((score) => fround(Math.exp(fround(score - Math.max(...scores)))));
    const sum = order(L).reduce((total, j) => fround(total + weights[j]!), 0);
    return Array.from({ length: D }, (_, d) => {
      const product = (j: number): number => fround(weights[j]! * problem.v[base + j * D + d]!);
      return fround(order(L).reduce((total, j) => fround(total + product(j)), 0) / sum);
    });
  };
  const errors = [outOf(true), outOf(false)].map((out) => out.map((x, d) => Math.abs(x - found!.exact[d]!)));
  found!.plain.forEach((x, d) => {
    for (const error of errors) expect(Math.abs(x - found!.exact[d]!)).toBeGreaterThanOrEqual(error[d]!);
  });
  // and the two differ, or there would be nothing to choose from
  expect(errors[0]).not.toEqual(errors[1]);
});

test('a row that sees nothing is 0 with logsumexp −∞', () => {
  const sees = keysSeen({ causal: false, mask: causal().not() }, problem);
  const [last] = referenceRow(problem, { h: 0, i: L - 1 }, [sees]);
  expect(last).toEqual({
    exact: new Float64Array(D),
    plain: new Float64Array(D),
    logsumexp: -Infinity,
    plainLogsumexp: -Infinity,
  });
});

describe('sampleRows', () => {
  test('takes one row of every stretch of every head, the same for the same seed', () => {
    const rows = sampleRows(3, 100, 10, 5);
    expect(rows).toHaveLength(30);
    rows.forEach(({ h, i }, n) => {
      expect(h).toBe(Math.floor(n / 10));
      expect(Math.floor(i / 10)).toBe(n % 10);
    });
    expect(sampleRows(3, 100, 10, 5)).toEqual(rows);
    expect(sampleRows(3, 100, 10, 6)).not.toEqual(rows);
  });

  test('takes every row where there are no more', () => {
    expect(sampleRows(1, 3, 8, 0)).toEqual([0, 1, 2].map((i) => ({ h: 0, i })));
  });
});

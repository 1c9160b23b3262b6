import { expect, test, vi } from 'vitest';
import { ErrorMeter } from '../../src/studies/error.js';
import { alternate, median, stopwatch } from '../../src/studies/timing.js';
import { Check, worst } from '../../src/studies/verdict.js';

const EPSILON = 2 ** -24;

test('the budget is 2 · (error of plain code + ε · max), and reaching it is allowed', () => {
  const check = new Check();
  check.add(1, 1, 1 + 1e-6);
  check.add(-4, -4, -4);
  const budget = 2 * (1e-6 + 4 * EPSILON);
  expect(check.verdict().ok).toBe(true);
  expect(check.verdict().budget).toBeCloseTo(budget, 15);
  check.add(1 + 0.99 * budget, 1, 1);
  expect(check.verdict().ok).toBe(true);
  check.add(1 + 1.01 * budget, 1, 1);
  expect(check.verdict()).toMatchObject({ ok: false });
});

test.each([NaN, Infinity, -Infinity])('%d where a number should be is wrong', (value) => {
  const check = new Check();
  check.add(value, 1, 1);
  check.add(1, 1, 1);
  expect(check.verdict().ok).toBe(false);
});

test('−∞ where −∞ should be is right', () => {
  const check = new Check();
  check.add(-Infinity, -Infinity, -Infinity);
  check.add(1, 1, 1);
  expect(check.verdict()).toMatchObject({ ok: true, error: 0 });
});

test('of several verdicts all must be right, and the tightest is shown', () => {
  const right = { ok: true, error: 1, budget: 4 };
  const tight = { ok: true, error: 3, budget: 4 };
  const wrong = { ok: false, error: 8, budget: 4 };
  expect(worst([right, tight])).toEqual(tight);
  expect(worst([right, wrong, tight])).toEqual(wrong);
  expect(worst([{ ok: false, error: NaN, budget: 4 }, right]).ok).toBe(false);
});

test('error over all rows, cosine and worst row, worked by hand', () => {
  const meter = new ErrorMeter();
  meter.add([3, 0], [3, 4]);
  meter.add([0, 12], [0, 12]);
  const { relative, cosine, worstRow, rows } = meter.summary();
  expect(rows).toBe(2);
  expect(relative).toBeCloseTo(4 / 13, 12);
  expect(worstRow).toBeCloseTo(4 / 5, 12);
  expect(cosine).toBeCloseTo((9 + 144) / (Math.sqrt(9 + 144) * 13), 12);
});

test('medians, and jobs in turns: each runs, none more often than asked', async () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  const order: string[] = [];
  const slow = (name: string) => (): void => {
    order.push(name);
    const end = performance.now() + 11;
    while (performance.now() < end);
  };
  expect(
    (await alternate([slow('a'), slow('b')], { most: 3, milliseconds: 1e6 })).map((times) => times.length),
  ).toEqual([3, 3]);
  expect(order).toEqual(['a', 'b', 'b', 'a', 'a', 'b']);
  // a round that has begun is finished
  expect(await alternate([slow('a'), slow('b')], { most: 3, milliseconds: 0 })).toHaveLength(2);
  expect(order).toHaveLength(8);
});

test('short jobs are repeated, and the mean is given', async () => {
  let [clock, count] = [0, 0];
  vi.spyOn(performance, 'now').mockImplementation(() => clock);
  const job = (): void => {
    clock += 3;
    count++;
  };
  expect(await stopwatch(job)).toBe(3);
  expect(count).toBe(1);
  expect(await stopwatch(job, 10)).toBe(3);
  expect(count).toBe(5);
  vi.restoreAllMocks();
});

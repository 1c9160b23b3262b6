import { describe, expect, test } from 'vitest';
import { flash, standard } from '../../src/attention/index.js';
import { Clock, type Plan } from '../../src/studies/compare-limits.js';
import { blankRow, type CompareRow } from '../../src/studies/compare-row.js';
import { variant } from '../../src/studies/mechanisms.js';

const variants = { standard: variant(standard), flash: variant(flash) };
type Name = keyof typeof variants;

function row(name: Name, length: number, milliseconds: number | null, multiplyAdds = length ** 2): CompareRow {
  const predicted = { pairs: null, formulaMultiplyAdds: 0, multiplyAdds, workspaceBytes: 0, savedBytes: 0 };
  return { ...blankRow(variants[name], length, false), milliseconds, predicted };
}
const plan = (name: Name, length: number, multiplyAdds?: number): Plan => ({
  variant: variants[name],
  call: {},
  row: row(name, length, null, multiplyAdds),
  skipped: undefined,
});
const reasons = (plans: readonly Plan[]): (string | undefined)[] => plans.map(({ skipped }) => skipped);

test('the first length runs whatever the limit, and without a limit every one does', () => {
  expect(new Clock(1e-9).review([plan('flash', 1e6)], 1e6).refused).toBeUndefined();
  const free = new Clock(undefined);
  free.lap([row('flash', 10, 1e9)], 1e9);
  expect(free.review([plan('flash', 1e6)], 1e6)).toEqual({ plans: [plan('flash', 1e6)] });
});

describe('after a first length', () => {
  const clock = new Clock(100);
  clock.lap([row('standard', 100, 300), row('flash', 100, 300)], 50);

  test('time grows with the work, and no slower than the length', () => {
    expect(reasons(clock.review([plan('standard', 200), plan('flash', 200)], 200).plans)).toEqual([
      undefined,
      undefined,
    ]);
    expect(reasons(clock.review([plan('standard', 400)], 400).plans)).toEqual([
      'it would take about 5 s; the limit is 4 s',
    ]);
    expect(reasons(clock.review([plan('standard', 2000, 1)], 2000).plans)[0]).toBe(
      'it would take about 6 s; the limit is 4 s',
    );
  });

  test('flash, which all are compared with, is not left out on its own', () => {
    expect(reasons(clock.review([plan('flash', 400)], 400).plans)).toEqual([undefined]);
  });

  test('a length that might end too late is not begun', () => {
    expect(clock.review([plan('flash', 1000)], 1000).refused).toBeUndefined();
    expect(clock.review([plan('flash', 1200)], 1200).refused).toBe('it might end only after 109 s; the limit is 100 s');
    // what is left out takes no time
    expect(clock.review([plan('standard', 1200)], 1200).refused).toBeUndefined();
  });

  test('what was left out for another reason stays so', () => {
    const out = { ...plan('flash', 5000), skipped: 'no room' };
    expect(clock.review([out], 5000)).toEqual({ plans: [out] });
  });
});

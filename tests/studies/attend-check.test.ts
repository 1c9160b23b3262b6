import { describe, expect, test } from 'vitest';
import { within } from '../../src/masks/index.js';
import { checkBackward, checkForward, rowsToCheck } from '../../src/studies/attend-check.js';
import { attend, attendGradients } from '../oracles/attend.js';
import { randomProblem } from './problem.js';

const problem = randomProblem(2, 30, 6);
const { heads: H, length: L, headDim: D, ...data } = problem;
const support = { causal: true, mask: within({ radius: 9 }) };
const allowed = ({ i, j }: { i: number; j: number }): boolean => j <= i && i - j <= 9;
const oracle = { B: 1, H, G: H, L, S: L, D, E: D, ...data, allowed };
const { v: dout } = randomProblem(H, L, D);
const forward = attend(oracle);
const backward = attendGradients(oracle, { dout });
const rows = rowsToCheck(problem, 0);
const row = rows[5]!;
const at = (row.h * L + row.i) * D;

/** The same numbers with one changed. */
function spoil(numbers: ArrayLike<number>, index: number, by: number): Float64Array {
  const copy = Float64Array.from(numbers);
  copy[index]! += by;
  return copy;
}

test('about 32 rows, at least two of each head', () => {
  expect(rows).toHaveLength(32);
  expect(rowsToCheck(randomProblem(20, 4, 1), 0)).toHaveLength(40);
});

describe('forward', () => {
  test('accepts the oracle', () => expect(checkForward(problem, support, forward, rows)).toMatchObject({ ok: true }));

  test.each([
    ['out', at],
    ['logsumexp', row.h * L + row.i],
  ] as const)('refuses a small fault in %s', (name, index) => {
    const { error, ok, budget } = checkForward(
      problem,
      support,
      { ...forward, [name]: spoil(forward[name], index, 1e-4) },
      rows,
    );
    expect(ok).toBe(false);
    expect(error).toBeGreaterThan(budget);
  });

  test('refuses the result of another mask', () => {
    const other = attend({ ...oracle, allowed: ({ i, j }) => j <= i && i - j <= 8 });
    expect(checkForward(problem, support, other, rows).ok).toBe(false);
  });
});

describe('backward', () => {
  const check = (result: typeof backward) => checkBackward(problem, support, forward, dout, result, rows);

  test('accepts the oracle', () => expect(check(backward)).toMatchObject({ ok: true }));

  test.each(['dq', 'dk', 'dv'] as const)('refuses a small fault in %s', (name) => {
    expect(check({ ...backward, [name]: spoil(backward[name], at + 1, 1e-4) }).ok).toBe(false);
    expect(check({ ...backward, [name]: spoil(backward[name], at + 1, NaN) }).ok).toBe(false);
  });
});

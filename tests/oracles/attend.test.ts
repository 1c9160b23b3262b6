import { describe, expect, test } from 'vitest';
import { fullSet, goldenCases, goldenProblem, goldenTensors, hasFullSet, sameRows, type GoldenCase, type Tensors } from '../ops/golden.js';
import { expectClose } from '../support/compare.js';
import { centralDifferences } from '../support/gradient.js';
import { normal } from '../support/random.js';
import { attend, attendGradients, type AttendProblem } from './attend.js';
import * as rules from './rules.js';

/** Two float64 programs that sum in different orders agree to about this share of the largest number. */
const share = 1e-13;
const largest = (numbers: ArrayLike<number>): number =>
  Array.from(numbers).reduce((top, x) => (Number.isFinite(x) ? Math.max(top, Math.abs(x)) : top), 1);

function expectEqual(who: string, x: Tensors, results: Readonly<Record<string, ArrayLike<number> | undefined>>): void {
  for (const [name, numbers] of Object.entries(results)) {
    if (numbers === undefined) continue;
    const { want, got } = sameRows(x, name, numbers);
    expectClose(`${who}: ${name}`, got, want, { budget: share * 64 * largest(want) });
  }
}

function check(c: GoldenCase, x: Tensors): void {
  const problem = goldenProblem(c, x);
  const { dtables, ...gradients } = attendGradients(problem, { dout: x.dout!.data });
  expectEqual(c.name, x, {
    ...attend(problem),
    ...gradients,
    dtable: x.dtable && dtables[0],
    dbias: x.dbias && dtables[0],
  });
}

describe('the oracle agrees with the reference in float64', () => {
  test.each(goldenCases)('$name', (c) => check(c, goldenTensors(c.name)));
  test.skipIf(!hasFullSet).each(goldenCases)('$name, every row', (c) => check(c, goldenTensors(c.name, fullSet)));

  test('masks allow the pairs that the reference counted', () => {
    for (const c of goldenCases) {
      const { allowed = () => true } = goldenProblem(c, goldenTensors(c.name));
      let pairs = 0;
      for (let b = 0; b < c.B; b++)
        for (let h = 0; h < c.H; h++)
          for (let i = 0; i < c.L; i++) for (let j = 0; j < c.S; j++) pairs += Number(allowed({ b, h, i, j }));
      expect(pairs, c.name).toBe(c.pairs);
    }
  });

  test.each(['full', 'causal'])('torch scaled_dot_product_attention, %s', (which) => {
    const x = goldenTensors(`torch_sdpa_fwd_bwd_${which}`);
    const [B, H, L, D] = x['in.q']!.shape as [number, number, number, number];
    const shape = { B, H, G: H, L, S: L, D, E: D };
    const problem = { ...shape, q: x['in.q']!.data, k: x['in.k']!.data, v: x['in.v']!.data };
    const p: AttendProblem = which === 'causal' ? { ...problem, allowed: rules.causal(shape) } : problem;
    const { out } = attend(p);
    const { dq, dk, dv } = attendGradients(p, { dout: x['in.grad_out']!.data });
    expectEqual(which, x, { 'out.o': out, 'out.dq': dq, 'out.dk': dk, 'out.dv': dv });
  });
});

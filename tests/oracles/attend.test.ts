import { describe, expect, test } from 'vitest';
import {
  fullSet,
  goldenCases,
  goldenProblem,
  goldenTensors,
  hasFullSet,
  sameRows,
  type GoldenCase,
  type Tensors,
} from '../ops/golden.js';
import { expectClose } from '../support/compare.js';
import { centralDifferences } from '../support/gradient.js';
import { normal } from '../support/random.js';
import { double } from './arithmetic.js';
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

describe('the oracle against itself', () => {
  const shape = { B: 2, H: 4, G: 2, L: 5, S: 7 };
  const [D, E] = [3, 2];
  const size = (columns: number, heads: number, length: number): number => shape.B * heads * length * columns;
  const table = normal(5, 8 * shape.H);
  const rule = { buckets: 8, maxDistance: 20, bidirectional: true };
  /** Everything at once: a mask, three score changes, one of them learned, and dropout. */
  const problem = (
    q: ArrayLike<number>,
    k: ArrayLike<number>,
    v: ArrayLike<number>,
    learned: ArrayLike<number>,
  ): AttendProblem => ({
    ...shape,
    D,
    E,
    q,
    k,
    v,
    scale: 0.7,
    allowed: rules.causal(shape),
    score: [rules.alibi(shape), rules.t5(learned, rule, shape), rules.softcap(2)],
    keep: ({ b, h, i, j }) => ((b + 3 * h + 5 * i + 7 * j) % 4 === 0 ? 0 : 4 / 3),
  });
  const inputs = [normal(1, size(D, 4, 5)), normal(2, size(D, 2, 7)), normal(3, size(E, 2, 7)), table] as const;
  const cotangents = { dout: normal(6, size(E, 4, 5)), dlogsumexp: normal(7, size(1, 4, 5)) };
  const values = (
    q: ArrayLike<number>,
    k: ArrayLike<number>,
    v: ArrayLike<number>,
    learned: ArrayLike<number>,
  ): number[] => {
    const { out, logsumexp } = attend(problem(q, k, v, learned));
    return [...out, ...logsumexp];
  };
  const differences = centralDifferences((...x) => values(x[0]!, x[1]!, x[2]!, x[3]!), inputs, [
    ...cotangents.dout,
    ...cotangents.dlogsumexp,
  ]);
  const gradientsOf = (c: Parameters<typeof attendGradients>[1], p = problem(...inputs)): readonly Float64Array[] => {
    const { dq, dk, dv, dtables } = attendGradients(p, c);
    return [dq, dk, dv, ...dtables];
  };
  const expectDifferences = (gradients: readonly Float64Array[]): void =>
    gradients.forEach((gradient, i) => expectClose(`gradient ${i}`, gradient, differences[i]!, { budget: 1e-8 }));

  test('gradients are central differences', () => expectDifferences(gradientsOf(cotangents)));

  test('what a fused forward pass saves gives the same gradients', () => {
    const p = problem(...inputs);
    const { dq, dk, dv, dtables } = attendGradients(p, cotangents, double, attend(p));
    expectDifferences([dq, dk, dv, ...dtables]);
  });

  test('mutants: a lost cotangent, a lost slope and a shifted mask are noticed', () => {
    const p = problem(...inputs);
    const [bias, learned, cap] = p.score!;
    expect(() => expectDifferences(gradientsOf({ dout: cotangents.dout }))).toThrow('gradient 0');
    expect(() =>
      expectDifferences(gradientsOf(cotangents, { ...p, score: [bias!, learned!, { ...cap!, slope: () => 1 }] })),
    ).toThrow('gradient');
    expect(() => expectDifferences(gradientsOf(cotangents, { ...p, allowed: ({ i, j }) => j <= i }))).toThrow(
      'gradient',
    );
    expect(() => expectDifferences(gradientsOf(cotangents, { ...p, keep: () => 1 }))).toThrow('gradient');
  });
});

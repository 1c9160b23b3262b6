// of ops/attend/specialise

import { expect, test } from 'vitest';
import { select, type F32, type I32 } from '../../../src/codegen/expression/index.js';
import { planAttend } from '../../../src/ops/attend/plan.js';
import { Score, softcap, visible } from '../../../src/scores/index.js';

const shape = { B: 1, H: 1, G: 1, L: 8, S: 8 };
const sizes = { D: 16, E: 16, dropout: false };
type Names = { readonly score: F32; readonly q: I32; readonly k: I32 };
const rule = (name: string, build: (names: Names) => F32): Score => new Score(name, build);

// what hides pairs reads whether v holds NaN or Inf, which costs a pass over it
test.each([
  ['a cap', softcap(30), false],
  ['no change of the far past but a number', rule('far', ({ score, q, k }) => score.sub(q.sub(k).toF32())), false],
  ['the largest number', rule('large', ({ score, q, k }) => select(q.ge(k), score, -3e38)), false],
  ['plus infinity', rule('plus', ({ score, q, k }) => select(q.ge(k), score, Infinity)), false],
  ['minus infinity', rule('minus', ({ score, q, k }) => select(q.ge(k), score, -Infinity)), true],
  ['visible', visible(({ q, k }) => q.ge(k)), true],
])('a score hides pairs where it has −∞: %s', (_, score, hides) => {
  expect(planAttend(shape, null, score.expression(shape), sizes).parts[0]!.spec.hides).toBe(hides);
});

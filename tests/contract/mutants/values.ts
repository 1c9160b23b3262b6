import { within } from '../../../src/masks/index.js';
import { add, detach, div, exp, matmul, mean, mul, sub, sum } from '../../../src/ops/index.js';
import { empty, type Tensor } from '../../../src/tensor/index.js';
import {
  forward,
  gained,
  gainOf,
  mutant,
  narrowOracle,
  outOf,
  radiusOf,
  reaching,
  windowOracle,
  withGradientOf,
  type Changes,
  type Mutant,
} from './windowed.js';

const formula = 'agrees with the formula, forward and backward';
const exact = 'is exact where it should be';
const stochastic = 'weights are non-negative and sum to 1';
const pattern = 'sees exactly its pattern';

/** The value of x with twice its gradient. */
const steeper = (x: Tensor): Tensor => withGradientOf(x, x);
const queries = (x: Tensor, gain: Tensor): { q: Tensor } => ({ q: mul(x, gain) });

/** Computes with a window of at most 5. */
const narrow: Changes = forward((call) => gained(call, { mask: within({ radius: Math.min(5, radiusOf(call)) }) }));

/** Faults of the numbers of one call. */
export const wrongValues: readonly Mutant[] = [
  mutant(
    formula,
    /: out: .* off/,
    'a scale 1e-4 too large',
    forward((call) => gained(call, { scale: call.scale * 1.0001 })),
  ),
  mutant(
    formula,
    /: dk: .* off/,
    'a gradient of k twice too large',
    forward((call) => gained(call, { k: steeper(call.k) })),
  ),
  mutant(
    formula,
    /: d:gain: .* off/,
    'a gradient of a parameter twice too large',
    forward((call) => gained(call, queries(call.q, steeper(gainOf(call))))),
  ),
  mutant(
    formula,
    /: d:gain: .* off/,
    'a parameter without gradient',
    forward((call) => gained(call, queries(call.q, detach(gainOf(call))))),
  ),
  mutant(
    formula,
    /softcap:true.*: out: .* off/,
    'a change of scores forgotten',
    forward((call) => gained(call, { score: undefined })),
  ),
  mutant(
    formula,
    /scale:0\.7.*: out: .* off/,
    'the scale of the call forgotten',
    forward((call) => gained(call, { scale: 1 / Math.sqrt(call.shape.D) })),
  ),
  mutant(
    formula,
    /G:2.*: out: .* off/,
    'grouped heads alone with a wrong sign',
    outOf((out, { shape: { H, G } }) => (H === G ? out : mul(out, -1))),
  ),
  mutant(
    formula,
    /L:11,S:23.*: out: .* off/,
    'L ≠ S alone aligned at the top left',
    forward((call) => {
      const { L, S } = call.shape;
      const r = radiusOf(call);
      return L === S ? gained(call) : gained(call, { mask: within({ left: r - S + L, right: r + S - L }) });
    }),
  ),
  mutant(
    formula,
    /L:131.*: out: .* off/,
    'wrong beyond a tile alone',
    outOf((out, { shape }) => (shape.S > 64 ? mul(out, 1.001) : out)),
  ),
  mutant(
    formula,
    /: out: .* off.*got NaN/,
    'fresh memory that is read, times 0',
    outOf((out, { q }) => add(out, mul(empty(out.shape, 'f32', q.device), 0))),
  ),
  mutant(
    'agrees with the formula at random',
    /at random.*: out: .* off/,
    'wrong at even lengths alone',
    outOf((out, { shape }) => (shape.S % 2 === 0 ? mul(out, 1.001) : out)),
  ),
  mutant(exact, /the formula: .* off/, 'a window that never opens, in the formula too', narrow, {
    oracle: narrowOracle,
  }),
  mutant(exact, /where it is exact.*: \d+ of/, 'a window that never opens, as computed', narrow),
  mutant('large scores stay finite', /is NaN at large scores/, 'a softmax without its maximum', {
    supports: { causal: false, cross: false, padding: false, score: false, groupedHeads: false, decode: false },
    forward: ({ q, k, v, scale }) => {
      const powers = exp(mul(matmul(q, k, { transposeB: true }), scale));
      return { out: matmul(div(powers, sum(powers, { axes: -1, keepDims: true })), v) };
    },
  }),
  mutant(
    stochastic,
    /values of 1: /,
    'rows that sum to 0.999',
    outOf((out) => mul(out, 0.999)),
  ),
  mutant(
    stochastic,
    /values of 1 in the formula/,
    'rows that sum to a half, in the formula too',
    outOf((out) => mul(out, 0.5)),
    { oracle: windowOracle(undefined, (g, out) => g.scale(out, 0.5)) },
  ),
  mutant(
    stochastic,
    /is negative/,
    'rows that sum to 1 with negative weights',
    outOf((out, { v, lengths, causal }) =>
      lengths || causal ? out : sub(mul(mean(v, { axes: 2, keepDims: true }), 2), out),
    ),
  ),
  mutant(
    pattern,
    / sees key .*by its weight/,
    'a window one key wider than its pattern',
    forward((call) => gained(call, reaching(call, 1))),
  ),
  mutant(
    pattern,
    /does not see key/,
    'a window one key narrower than its pattern',
    forward((call) => gained(call, reaching(call, -1))),
  ),
  mutant(
    pattern,
    / sees key .*by NaN/,
    'hidden values that are multiplied by 0',
    outOf((out, { v }) => add(out, mul(mean(v, { axes: 2, keepDims: true }), 0))),
  ),
  mutant(
    'logsumexp is that of its pattern',
    /logsumexp: .* off/,
    'a logsumexp 1e-4 too large',
    forward((call) => {
      const { out, logsumexp } = gained(call);
      return { out, logsumexp: mul(logsumexp!, 1.0001) };
    }),
  ),
];

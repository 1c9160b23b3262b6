import type { Call } from '../../../src/attention/index.js';
import { within } from '../../../src/masks/index.js';
import { add, detach, mean, mul, slice, sub } from '../../../src/ops/index.js';
import type { Tensor } from '../../../src/tensor/index.js';
import {
  forward,
  gained,
  mutant,
  outOf,
  radiusOf,
  reaching,
  windowOracle,
  withGradientOf,
  type Mutant,
} from './windowed.js';

const future = 'the future changes nothing';
const noGradient = 'no gradient or weight on the future';
const padding = 'padding changes nothing';

/** The future is open by one key. */
const leaky = (call: Call): Partial<Call> =>
  call.causal ? { causal: false, mask: within({ left: radiusOf(call), right: 1 }) } : {};

/** Faults that let through what nobody may see, or lose what is to be seen. */
export const leaking: readonly Mutant[] = [
  mutant(
    future,
    /other numbers from key .*bits differ/,
    'a window that reaches one key into the future',
    forward((call) => gained(call, leaky(call))),
  ),
  mutant(
    future,
    /NaN from key .*bits differ/,
    'a future multiplied by 0',
    outOf((out, { v }) => add(out, mul(mean(v, { axes: 2, keepDims: true }), 0))),
  ),
  mutant(
    noGradient,
    /have a gradient to a later row: d[kv]/,
    'a future that only gradients see',
    outOf((out, call) => withGradientOf(out, gained(call, leaky(call)).out)),
  ),
  mutant(
    noGradient,
    /weight \d+ .* is not 0/,
    'a future that only values see',
    outOf((out, call) => add(out, detach(sub(gained(call, leaky(call)).out, out)))),
    { causality: 'weights' },
  ),
  mutant(
    padding,
    /in the padding, out: bits differ/,
    'padding forgotten',
    forward((call) => gained(call, reaching(call, 0))),
  ),
  mutant(
    padding,
    /in the padding, d[qkv]: bits differ/,
    'padding forgotten by gradients',
    outOf((out, call) => withGradientOf(out, gained(call, reaching(call, 0)).out)),
  ),
  mutant(
    'padding equals removal',
    /as without padding: out: /,
    'a factor that counts the padding, in the formula too',
    outOf((out, { shape }) => mul(out, 1 / shape.S)),
    { oracle: windowOracle(undefined, (g, out, p) => g.scale(out, 1 / p.S)) },
  ),
  mutant(
    'batch rows are apart',
    /another batch row/,
    'a batch row times 0 in all others',
    outOf((out, { v }) => add(out, mul(mean(v), 0))),
  ),
  mutant(
    'steps equal one pass',
    /in steps of 1,1.*: out: /,
    'steps that drop the first token',
    forward((call) => {
      const { L, S } = call.shape;
      if (!call.causal || S <= L) return gained(call);
      const later = (x: Tensor): Tensor => slice(x, { axis: 2, start: 1, end: S });
      return gained(call, { k: later(call.k), v: later(call.v) });
    }),
  ),
  mutant(
    'steps equal one pass',
    /in steps of 6,1.*: out: /,
    'a prefill of several tokens that sees the future',
    forward((call) => gained(call, call.shape.L > 1 ? leaky(call) : {})),
  ),
];

import { attendWithin, type Mechanism } from '../../../src/attention/index.js';
import { mul } from '../../../src/ops/index.js';
import { keep, zeros, type Tensor } from '../../../src/tensor/index.js';
import type { Options } from '../gate/spec.js';
import { define, forward, mutant, outOf, windowed, type Changes, type Mutant } from './windowed.js';

const again = 'equal bits again and on redraw';
const unsupported = 'refuses what it does not support';
const ranges = 'refuses options out of range';
const formula = 'cost formula is what is counted';

type Result = ReturnType<Mechanism['run']>;
type Intercept = (options: Options, run: (options: Options) => Result, q: Tensor) => Result;

/** A mechanism that does something to a call's options before it is checked. */
function intercepted(intercept: Intercept, changes: Changes = {}): Mechanism {
  const mechanism = define(changes);
  const run = mechanism.run.bind(mechanism);
  mechanism.run = (q, k, v, options) => intercept(options as Options, (other) => run(q, k, v, other), q);
  return mechanism;
}

/** A mechanism whose decoder is another's. */
function decodingAs(other: Mechanism, changes: Changes = {}): Mechanism {
  const mechanism = define(changes);
  mechanism.decoder = (options) => other.decoder(options);
  return mechanism;
}

/** A mechanism whose decoders take any number of tokens. */
function endless(): Mechanism {
  const mechanism = define({});
  const decoder = mechanism.decoder.bind(mechanism);
  mechanism.decoder = (options) => decoder({ ...options, maxLength: 100 });
  return mechanism;
}

const bare: Changes = {
  supports: { causal: false, cross: true, padding: false, score: false, groupedHeads: true, decode: false },
};

let runs = 0;
/** What the mutant that never frees left, for the test to free. */
export const lost: Tensor[] = [];

/** Faults of determinism, refusals, cost and memory. */
export const wrongCalls: readonly Mutant[] = [
  mutant(
    'equal bits for every number of threads',
    /[23] threads: out: bits differ/,
    'a result that depends on the threads',
    outOf((out, { q }) => mul(out, 1 + 1e-6 * q.device.info.threads)),
  ),
  mutant(
    again,
    /again: out: bits differ/,
    'a result that depends on what ran before',
    outOf((out) => mul(out, 1 + 1e-6 * runs++)),
  ),
  mutant(
    again,
    /another seed draws the same output/,
    'a seed that changes nothing',
    forward((call) => attendWithin(call)),
  ),
  mutant(
    'steps equal one pass',
    /a decoder it does not have: accepted/,
    'decoding that was not declared',
    decodingAs(define({}), bare),
  ),
  mutant('steps equal one pass', /tokens beyond maxLength: accepted/, 'a decoder without end', endless()),
  mutant(
    unsupported,
    /lengths is accepted/,
    'padding that is silently ignored',
    intercepted(({ lengths: _, ...rest }, run) => run(rest), bare),
  ),
  mutant(
    unsupported,
    /after memory was allocated/,
    'a refusal after memory was taken',
    intercepted((options, run, q) => {
      zeros([8], { device: q.device }).dispose();
      return run(options);
    }, bare),
  ),
  mutant(
    unsupported,
    /leaves out that/,
    'a refusal that names one reason of several',
    intercepted((options, run) => run(options['causal'] === true ? { causal: true } : options), bare),
  ),
  mutant(
    ranges,
    /\{"radius":101\} is accepted/,
    'an option that is clamped',
    intercepted(({ radius, ...rest }, run) => run({ ...rest, radius: radius === 101 ? 100 : radius })),
  ),
  mutant(
    ranges,
    /nonsense.* is accepted/,
    'an unknown option that is ignored',
    intercepted(({ nonsense: _, ...rest }, run) => run(rest)),
  ),
  mutant(
    ranges,
    /\{"radius":50\} is accepted/,
    'a case that the specification says is refused',
    {},
    { refused: [{ options: { radius: 50 } }] },
  ),
  mutant(formula, /cost says [\d.]+ multiply-adds/, 'a cost 10 % too low', {
    cost: (shape, options, causal) => {
      const { pairs, multiplyAdds } = windowed.cost(shape, options, causal);
      return { pairs: pairs!, multiplyAdds: 0.9 * multiplyAdds };
    },
  }),
  mutant(formula, /cost says [\d.]+ pairs/, 'pairs counted 10 % too high', {
    cost: (shape, options, causal) => {
      const { pairs, multiplyAdds } = windowed.cost(shape, options, causal);
      return { pairs: 1.1 * pairs!, multiplyAdds };
    },
  }),
  mutant(
    'memory is what is predicted',
    /(workspaceBytes|peakBytes|dispatches) is predicted/,
    'memory that the prediction does not see',
    outOf((out, { q }) => {
      if (q.device.info.kind !== 'rehearsal') zeros([4096], { device: q.device });
      return out;
    }),
  ),
  mutant(
    'leaves nothing behind',
    /leaves 1 tensors/,
    'a tensor that is never freed',
    outOf((out, { q }) => {
      lost.push(keep(zeros([4], { device: q.device })));
      return out;
    }),
  ),
];

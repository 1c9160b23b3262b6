import {
  attendWithin,
  defineAttention,
  integer,
  learned,
  normalOf,
  type AttentionDefinition,
  type Call,
  type ForwardResult,
  type Mechanism,
} from '../../../src/attention/index.js';
import { within } from '../../../src/masks/index.js';
import { add, detach, mul, sub } from '../../../src/ops/index.js';
import type { Tensor } from '../../../src/tensor/index.js';
import {
  perHead,
  rowLogsumexp,
  scoresOf,
  type Graph,
  type Matrix,
  type Oracle,
  type OracleProblem,
} from '../../oracles/graph.js';
import type { CheckName, GateSpec } from '../gate/index.js';
import type { Options } from '../gate/spec.js';

/** A mechanism with one deliberate fault, and the check that must find it, by a message that says it found just that. */
export interface Mutant {
  readonly fault: string;
  readonly check: CheckName;
  readonly finds: RegExp;
  readonly mechanism: Mechanism;
  readonly spec: GateSpec;
}

export type Changes = Partial<AttentionDefinition>;

/** A window whose queries are multiplied by a learned gain: it has a pattern and a parameter, and supports everything. */
export const windowed: AttentionDefinition = {
  name: 'windowed',
  family: 'patterns',
  summary: 'A window for tests.',
  paper: { authors: 'nobody', title: 'A window for tests', year: 2026 },
  formula: 'softmax(scale · (q ∘ gain) kᵀ) v over |i − j| ≤ radius',
  complexity: 'n·r·d',
  exactness: 'exact on its support',
  options: { radius: integer({ min: 0, max: 100, default: 4, help: 'keys on each side' }) },
  supports: { causal: true, cross: true, padding: true, score: true, groupedHeads: true, decode: 'cache' },
  parameters: ({ D }) => ({ gain: learned([D], normalOf()) }),
  pattern: (_, { radius }) => within({ radius: radius as number }),
  cost: ({ B, H, L, S, D, E }, { radius }, causal) => {
    const reach = radius as number;
    const positions = Array.from({ length: L }, (_, i) => i + S - L);
    const pairs = positions.reduce(
      (sum, q) => sum + Math.max(0, Math.min(S - 1, q + (causal ? 0 : reach)) - Math.max(0, q - reach) + 1),
      0,
    );
    return { pairs: H * pairs, multiplyAdds: B * H * pairs * (D + E) };
  },
  forward: (call) => gained(call),
};

export const gainOf = (call: Call): Tensor => call.parameters['gain']!;
export const radiusOf = (call: Call): number => call.options['radius'] as number;

/** The forward pass, with parts of the call replaced. */
export const gained = (call: Call, changes: Partial<Call> = {}): ForwardResult =>
  attendWithin({ ...call, q: mul(call.q, gainOf(call)), ...changes });

/** The mask of the call with another radius, and without its padding. */
export const reaching = (call: Call, change: number): Partial<Call> => ({
  mask: within({ radius: Math.max(0, radiusOf(call) + change) }),
});

/** The value of x with the gradient of y beside its own. */
export const withGradientOf = (x: Tensor, y: Tensor): Tensor => add(x, sub(y, detach(y)));

type Head<T = Matrix> = (g: Graph, p: OracleProblem, b: number, h: number) => T;
type Allowed = (i: number, j: number) => boolean;
type Reach = (p: OracleProblem) => number;

const radius: Reach = (p) => p.options['radius'] as number;

const scores: Head = (g, p, b, h) => {
  const q = g.mul(p.q(b, h), p.parameter('gain'));
  return scoresOf(g, { ...p, q: () => q }, b, h);
};

const seen =
  (p: OracleProblem, b: number, h: number, reach: number): Allowed =>
  (i, j) =>
    p.allowed(b, h, i, j) && Math.abs(i + p.S - p.L - j) <= reach;

/** The formula, with another reach, or with something done to its output. */
export const windowOracle = (
  reach: Reach = radius,
  finish: (g: Graph, out: Matrix, p: OracleProblem) => Matrix = (_, out) => out,
): Oracle<Options> =>
  perHead((g, p, b, h) => {
    const weights = g.softmax(scores(g, p, b, h), seen(p, b, h, reach(p)));
    return finish(g, g.matmul(weights, p.v(b, h)), p);
  });

/** The formula of a window that never reaches further than 5 keys. */
export const narrowOracle = windowOracle((p) => Math.min(radius(p), 5));

const ones = (_: string, shape: readonly number[]): Float32Array =>
  new Float32Array(shape.reduce((a, b) => a * b)).fill(1);

const spec: GateSpec = {
  oracle: windowOracle(),
  logsumexp: perHead((g, p, b, h) => rowLogsumexp(g, scores(g, p, b, h), seen(p, b, h, radius(p)))),
  options: [{ radius: 3 }],
  exactWhen: [{ options: { radius: 17 }, parameters: ones }],
  refused: [{ options: { radius: 101 } }],
};

export const define = (changes: Changes): Mechanism => defineAttention({ ...windowed, ...changes });

/** The mechanism without fault. */
export const honest = { mechanism: define({}), spec };

/** A window with a changed definition, or a mechanism made otherwise. */
export const mutant = (
  check: CheckName,
  finds: RegExp,
  fault: string,
  changed: Changes | Mechanism,
  changes: Partial<GateSpec> = {},
): Mutant => ({
  fault,
  check,
  finds,
  mechanism: 'definition' in changed ? changed : define(changed),
  spec: { ...spec, ...changes },
});

export const forward = (change: (call: Call) => ForwardResult): Changes => ({ forward: change });
export const outOf = (change: (out: Tensor, call: Call) => Tensor): Changes =>
  forward((call) => ({ out: change(gained(call).out, call) }));

import { perHead, type Graph, type Matrix, type Oracle, type OracleProblem } from './graph.js';
import { ones, sumsOver } from './kernels.js';

export interface RfaOptions {
  readonly numFeatures: number;
  readonly temperature: number;
  readonly gate: boolean;
  readonly scaling: string;
}

type Problem = OracleProblem<RfaOptions>;

const root = (g: Graph, x: Matrix): Matrix => g.map(x, Math.sqrt, (y, r) => r(0.5 / r(Math.sqrt(y))));

/** c [sin W̃x̂, cos W̃x̂], x̂ = x/(‖x‖ + 1e-3) (Peng et al. 2021, equation 5, and the released code for σ and the norm). */
function features(g: Graph, p: Problem, x: Matrix, head: number): Matrix {
  const { scaling, temperature } = p.options;
  const one = g.constant([1e-3], 1, 1);
  const unit = g.div(x, g.add(root(g, g.rowSum(g.mul(x, x))), one));
  const W = g.scale(g.mul(p.parameter('projection', head), p.parameter('deviation', head)), 1 / temperature);
  const angles = g.matmulT(unit, W);
  const waves = g.concatColumns([g.map(angles, Math.sin, Math.cos), g.map(angles, Math.cos, (y) => -Math.sin(y))]);
  return g.scale(waves, scaling === 'theory' ? W.rows ** -0.5 : 0.1);
}

/** 1 − g_j as a column, and what is left of key j at query i: g_(j+1) … g_i (their section 3.1). */
function gateOf(
  g: Graph,
  p: Problem,
  [b, h, head]: readonly [number, number, number],
): { taken: Matrix; decay: Matrix } {
  const k = p.k(b, h);
  const logits = g.add(g.matmul(k, p.parameter('gateWeight', head)), p.parameter('gateBias', head)); // [S × 1]
  const σ = (x: number): number => 1 / (1 + Math.exp(-x));
  const logarithm = g.map(
    logits,
    (x, r) => r(Math.min(x, 0) - r(Math.log(r(1 + r(Math.exp(-Math.abs(x))))))),
    (x) => σ(-x),
  );
  const taken = g.map(
    logits,
    (x, r) => r(σ(-x)),
    (x) => -σ(x) * σ(-x),
  );
  const before = Float64Array.from({ length: p.S * p.S }, (_, n) => Number(n % p.S <= Math.floor(n / p.S)));
  const level = g.matmul(g.constant(before, p.S, p.S), logarithm); // Σ_(t ≤ j) ln g_t
  const atQueries = g.gatherRows(
    level,
    Array.from({ length: p.L }, (_, i) => i + p.S - p.L),
  );
  const seen = (i: number, j: number): boolean => p.allowed(b, h, i, j);
  return { taken, decay: g.exp(g.mask(g.sub(atQueries, g.transpose(level)), seen)) };
}

export const rfa: Oracle<RfaOptions> = perHead((g, p, b, h) => {
  const head = Math.floor((h * p.G) / p.H);
  const seen = (i: number, j: number): boolean => p.allowed(b, h, i, j);
  const [q, k] = [features(g, p, p.q(b, h), head), features(g, p, p.k(b, h), head)];
  const gate = p.options.gate ? gateOf(g, p, [b, h, head]) : undefined;
  const taken = gate ? g.mul(k, gate.taken) : k;
  const sums = (v: Matrix): Matrix =>
    gate && p.S > 1
      ? g.matmul(g.mask(g.mul(g.matmulT(q, taken), gate.decay), seen), v)
      : sumsOver(g, q, taken, v, seen);
  const divisor = g.map(sums(ones(g, p.S)), divide(p).value, divide(p).slope);
  return g.div(sums(p.v(b, h)), divisor);
});

/** What the sum of the weights is divided by, and its derivative. */
function divide({ options: { scaling }, causal }: Problem) {
  if (scaling === 'theory')
    return {
      value: (x: number) => (x < 0 ? Math.min(x, -1e-6) : Math.max(x, 1e-6)),
      slope: (x: number) => Number(Math.abs(x) > 1e-6),
    };
  return causal
    ? { value: (x: number) => Math.max(x, 1), slope: (x: number) => Number(x > 1) }
    : { value: (x: number) => Math.max(Math.abs(x), 1), slope: (x: number) => (Math.abs(x) > 1 ? Math.sign(x) : 0) };
}

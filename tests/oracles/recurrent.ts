import { perHead, type Graph, type Matrix, type Oracle, type OracleProblem } from './graph.js';

export interface Recurrence {
  /** `[n × M]`, `[n × M]`, `[n × E]` */
  readonly q: Matrix;
  readonly k: Matrix;
  readonly v: Matrix;
  /** Logarithms, `[n × M]` or `[n × 1]`. */
  readonly decay?: Matrix | undefined;
  /** `[n × 1]` */
  readonly beta?: Matrix | undefined;
  /** `[M × E]` */
  readonly initial?: Matrix | undefined;
  /** Positions that exist; default all. */
  readonly length?: number;
}

/**
 * `S_t = Diag(α_t) S_(t−1) + k_t u_tᵀ`, `u_t = v_t` (Yang et al. 2023, equation 3) or `β_t (v_t − (Diag(α_t) S_(t−1))ᵀ k_t)` (Yang et al.
 * 2024, arXiv:2412.06464, equation 10, transposed), `out_t = S_tᵀ q_t`, position by position; rows that do not exist are 0.
 *
 * Plain float32 code takes every other order of summation by chunks: there what is overwritten within a chunk cancels in sums instead of
 * in the state.
 */
export function recurrence(g: Graph, x: Recurrence): { readonly out: Matrix; readonly state: Matrix } {
  const { rows: n, columns: M } = x.k;
  const E = x.v.columns;
  const zeros = (rows: number): Matrix => g.constant(new Float64Array(rows * E), rows, E);
  const α = x.decay && g.exp(x.decay);
  const length = x.length ?? n;
  const chunk = g.order % 2 === 1 ? 16 : 1;
  let state = x.initial ?? zeros(M);
  const out: Matrix[] = [];
  for (let start = 0; start < length; start += chunk) {
    const done = inChunk(g, { ...x, α }, state, start, Math.min(length, start + chunk));
    out.push(...done.out);
    state = done.state;
  }
  return { out: g.concatRows([...out, ...(length < n ? [zeros(n - length)] : [])]), state };
}

/**
 * Positions start … end − 1 from the state before them: for one position the recurrence itself, for more their keys and what they write
 * beside it (2412.06464, section 3.3, without inverting anything).
 */
function inChunk(
  g: Graph,
  x: Recurrence & { readonly α: Matrix | undefined },
  state: Matrix,
  start: number,
  end: number,
): { readonly out: readonly Matrix[]; readonly state: Matrix } {
  // what is left of the state, of each key since it was written, and what they wrote
  let left: Matrix | undefined;
  let keys: Matrix | undefined;
  let written: Matrix | undefined;
  const decayed = (): Matrix => (left ? g.mul(g.transpose(left), state) : state);
  const read = (by: Matrix): Matrix => {
    const old = end - start === 1 || !left ? g.matmul(by, decayed()) : g.matmul(g.mul(by, left), state);
    return keys ? g.add(old, g.matmul(g.matmulT(by, keys), written!)) : old;
  };
  const out: Matrix[] = [];
  for (let t = start; t < end; t++) {
    const row = (of: Matrix): Matrix => g.rows(of, t, t + 1);
    if (x.α) {
      left = left ? g.mul(left, row(x.α)) : row(x.α);
      keys &&= g.mul(keys, row(x.α));
    }
    const u = x.beta ? g.mul(row(x.beta), g.sub(row(x.v), read(row(x.k)))) : row(x.v);
    keys = keys ? g.concatRows([keys, row(x.k)]) : row(x.k);
    written = written ? g.concatRows([written, u]) : u;
    if (end - start > 1) out.push(read(row(x.q)));
  }
  const after = g.add(decayed(), g.matmul(g.transpose(keys!), written!));
  return { out: end - start > 1 ? out : [g.matmul(g.rows(x.q, start, end), after)], state: after };
}

type Problem<O> = OracleProblem<O>;
type Head = readonly [g: Graph, b: number, h: number];

const σ = (x: number): number => 1 / (1 + Math.exp(-x));

/** ln σ(x) */
const logSigmoid = (g: Graph, x: Matrix): Matrix =>
  g.map(
    x,
    (y, r) => r(Math.min(y, 0) - r(Math.log1p(r(Math.exp(-Math.abs(y)))))),
    (y) => σ(-y),
  );
const sigmoid = (g: Graph, x: Matrix): Matrix => g.map(x, σ, (y) => σ(y) * σ(-y));
const negated = (g: Graph, x: Matrix): Matrix => g.scale(x, -1);

/** `recurrence` of one head, queries times the scale. */
function outputs<O>([g, b, h]: Head, p: Problem<O>, x: Omit<Recurrence, 'q' | 'v'> & { readonly q: Matrix }): Matrix {
  const length = p.lengths?.[b];
  return recurrence(g, {
    ...x,
    q: g.scale(x.q, p.scale),
    v: p.v(b, h),
    ...(length !== undefined && { length }),
  }).out;
}

/** Sun et al. 2023, section 2.1 and equation 8, without rotation. */
export const retention: Oracle = perHead((g, p, b, h) => {
  const decay = g.constant(new Float64Array(p.S).fill(Math.log1p(-(2 ** (-5 - h)))), p.S, 1);
  return outputs([g, b, h], p, { q: p.q(b, h), k: p.k(b, h), decay });
});

const keyHead = <O>(p: Problem<O>, h: number): number => Math.floor((h * p.G) / p.H);

/** Yang et al. 2023, equations 3 and 5. */
export const gatedLinear: Oracle<{ readonly tau: number }> = perHead((g, p, b, h) => {
  const decay = g.scale(logSigmoid(g, logits([g, b, h], p, 'gate')), 1 / p.options.tau);
  return outputs([g, b, h], p, { q: p.q(b, h), k: p.k(b, h), decay });
});

interface Rows {
  readonly featureMap: string;
}

/** φ(x)/√(‖φ(x)‖² + 1e-6) */
function unit(g: Graph, x: Matrix, { featureMap }: Rows): Matrix {
  const y = featureMap === 'silu' ? g.mul(x, sigmoid(g, x)) : x;
  const squares = g.add(g.rowSum(g.mul(y, y)), g.constant([1e-6], 1, 1));
  return g.div(
    y,
    g.map(squares, Math.sqrt, (z) => 0.5 / Math.sqrt(z)),
  );
}

const logits = <O>([g, b, h]: Head, p: Problem<O>, name: string): Matrix =>
  g.add(
    g.matmul(p.input('gate', b, h), p.parameter(`${name}Weight`, keyHead(p, h))),
    p.parameter(`${name}Bias`, keyHead(p, h)),
  );

/** Yang et al. 2024, arXiv:2406.06484, equation 4. */
export const delta: Oracle<Rows> = perHead((g, p, b, h) => {
  const [q, k] = [unit(g, p.q(b, h), p.options), unit(g, p.k(b, h), p.options)];
  return outputs([g, b, h], p, { q, k, beta: sigmoid(g, logits([g, b, h], p, 'beta')) });
});

/** Yang et al. 2024, arXiv:2412.06464, equation 10, with α as in Mamba-2. */
export const gatedDelta: Oracle<Rows> = perHead((g, p, b, h) => {
  const [q, k] = [unit(g, p.q(b, h), p.options), unit(g, p.k(b, h), p.options)];
  // ln(1 + eˣ) = −ln σ(−x)
  const steps = logSigmoid(g, negated(g, logits([g, b, h], p, 'decay')));
  const decay = g.mul(steps, g.exp(p.parameter('rate', keyHead(p, h))));
  return outputs([g, b, h], p, { q, k, decay, beta: sigmoid(g, logits([g, b, h], p, 'beta')) });
});

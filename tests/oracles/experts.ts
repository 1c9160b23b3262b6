import type { Graph, Matrix } from './graph.js';

/** How tokens of one group are routed. */
export interface Routing {
  readonly experts: number;
  readonly active: number;
  /** `'kept'`: the weights of choices that an expert took are divided by their sum. */
  readonly renormalise: boolean | 'kept';
  /** Tokens that an expert takes. */
  readonly room: number;
  /** Whether a choice after the first, of such a weight, is taken; default: yes. */
  readonly passes?: (token: number, weight: number) => boolean;
}

/** The experts of each token, best first, and whether each took it. */
export interface Decided {
  readonly chosen: readonly (readonly number[])[];
  readonly kept: readonly (readonly boolean[])[];
  /** The least difference between probabilities that a choice hangs on. */
  readonly margin: number;
}

/** Choices by probabilities `[n × E]`, one after the other: all first ones, then all second ones, each to the end of its expert's queue. */
export function decide(p: Matrix, { experts, active, renormalise, room, passes }: Routing): Decided {
  let margin = Infinity;
  const chosen = Array.from({ length: p.rows }, (_, t) => {
    const order = Array.from({ length: experts }, (_, e) => e).sort((a, b) => p.at(t, b) - p.at(t, a));
    for (let j = 0; j < Math.min(active, experts - 1); j++) {
      margin = Math.min(margin, p.at(t, order[j]!) - p.at(t, order[j + 1]!));
    }
    return order.slice(0, active);
  });
  const queues = new Array<number>(experts).fill(0);
  const kept = chosen.map((own) => own.map(() => false));
  for (let j = 0; j < active; j++) {
    chosen.forEach((own, t) => {
      const sum = renormalise === true ? own.reduce((total, e) => total + p.at(t, e), 0) : 1;
      if (j > 0 && passes && !passes(t, p.at(t, own[j]!) / sum)) return;
      const e = own[j]!;
      if (queues[e]! >= room) return;
      queues[e]!++;
      kept[t]![j] = true;
    });
  }
  return { chosen, kept, margin };
}

/** The weight of every expert in what a token gives, `[n × E]`. */
export function weightsOf(g: Graph, p: Matrix, { chosen, kept }: Decided, renormalise: Routing['renormalise']): Matrix {
  const own = g.mask(p, (t, e) => chosen[t]!.includes(e));
  const took = (t: number, e: number): boolean => kept[t]![chosen[t]!.indexOf(e)] === true;
  if (renormalise === 'kept') {
    const left = g.mask(own, took);
    const sums = g.map(
      g.rowSum(left),
      (x) => (x === 0 ? 1 : x),
      (x) => (x === 0 ? 0 : 1),
    );
    return g.div(left, sums);
  }
  const gates = renormalise ? g.div(own, g.rowSum(own)) : own;
  return g.mask(gates, took);
}

/** `Σ_e w_e·FFN_e(x)`, every expert computed for every token. */
export function mixture(g: Graph, weights: Matrix, ffn: (expert: number) => Matrix): Matrix {
  let sum: Matrix | undefined;
  for (let e = 0; e < weights.columns; e++) {
    const term = g.mul(g.columns(weights, e, e + 1), ffn(e));
    sum = sum ? g.add(sum, term) : term;
  }
  return sum!;
}

/** One expert of those in `[E·rows × columns]` matrices: plain, or gated where there is a third. */
export function expert(
  g: Graph,
  x: Matrix,
  e: number,
  matrix: (name: 'gate' | 'up' | 'down' | 'upBias' | 'downBias') => Matrix | undefined,
  activation: (y: Matrix) => Matrix,
): Matrix {
  const F = x.columns;
  const part = (all: Matrix, rows: number): Matrix => g.rows(all, e * rows, (e + 1) * rows);
  const [gate, up, down] = [matrix('gate'), matrix('up')!, matrix('down')!];
  const biased = (y: Matrix, bias: Matrix | undefined): Matrix => (bias ? g.add(y, g.rows(bias, e, e + 1)) : y);
  const sums = biased(g.matmul(x, part(up, F)), matrix('upBias'));
  const hidden = gate ? g.mul(activation(g.matmul(x, part(gate, F))), sums) : activation(sums);
  return biased(g.matmul(hidden, part(down, up.columns)), matrix('downBias'));
}

/** `E·Σ_e f_e·P_e` over the tokens of a group, f of the first choices, or of all. */
export function balance(g: Graph, p: Matrix, { chosen }: Decided, counts: 'first' | 'all'): Matrix {
  const shares = new Float64Array(p.columns);
  for (const own of chosen) for (const e of counts === 'first' ? own.slice(0, 1) : own) shares[e]! += 1 / p.rows;
  const means = g.scale(g.columnSum(p), 1 / p.rows);
  return g.scale(g.rowSum(g.mul(means, g.constant(shares, 1, p.columns))), p.columns);
}

/** The mean of `logsumexp²` of the rows of logits. */
export function zLoss(g: Graph, logits: Matrix): Matrix {
  const top = g.rowMax(logits);
  const lse = g.add(g.log(g.rowSum(g.exp(g.sub(logits, top)))), top);
  return g.scale(g.columnSum(g.mul(lse, lse)), 1 / logits.rows);
}

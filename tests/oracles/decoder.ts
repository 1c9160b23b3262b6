import { activated, normalised } from '../nn/formulas.js';
import type { ActivationName } from '../../src/nn/index.js';
import { sigmoid } from './gated-delta-net.js';
import type { Graph, Matrix } from './graph.js';

/** A weight of a published file, or a part of its rows; weights of layers are `[out, in]`. */
export interface Part {
  readonly name: string;
  /** First row of what is read; default 0. */
  readonly row?: number;
  readonly rows?: number;
}

export interface NormRule {
  /** Whether the mean is taken away. */
  readonly mean: boolean;
  readonly epsilon: number;
  /** Whether weights are what is added to 1. */
  readonly plusOne?: boolean;
}

/** What one layer is, by the names of the published file. */
export interface LayerRule {
  /** Of what attention and the feed-forward layer read, and of what they give; absent: as it is. */
  readonly norms: {
    readonly attention?: string;
    readonly attentionOut?: string;
    readonly feed?: string;
    readonly feedOut?: string;
  };
  /** Whether both branches read the stream before the layer. A feed-forward layer without a norm of its own reads what attention does. */
  readonly parallel?: boolean;
  /** Query, key and value of head h; keys and values those of its group. */
  readonly q: (h: number) => Part;
  readonly k: (h: number) => Part;
  readonly v: (h: number) => Part;
  readonly out: string;
  /** Of head h: what the head gives is times its sigmoid. */
  readonly headGate?: (h: number) => Part;
  readonly headNorms?: { readonly q: string; readonly k: string; readonly over: 'head' | 'all' } | undefined;
  readonly scale: number;
  readonly cap?: number;
  /** Tokens that are seen, the query's own included. */
  readonly window?: number;
  /** Angle of each pair at position 1, and what cosines and sines are multiplied by; component c is paired with c + n of n pairs, or 2c with 2c + 1. */
  readonly turn?:
    { readonly angles: readonly number[]; readonly magnitude?: number; readonly neighbours?: boolean } | undefined;
  /** Of head h, per token of distance. */
  readonly slope?: ((h: number) => number) | undefined;
  /** A number of each head, `[H]`, that stands among the scores and adds no value. */
  readonly sinks?: string;
  readonly gate?: Part;
  readonly up: Part;
  readonly down: Part;
  readonly activation: ActivationName;
  /** In place of attention, or of the feed-forward layer. */
  readonly mix?: (oracle: DecoderOracle, x: Matrix) => Matrix;
  readonly feed?: (oracle: DecoderOracle, x: Matrix) => Matrix;
}

export interface DecoderRule {
  readonly heads: number;
  readonly groups: number;
  readonly headDim: number;
  readonly norm: NormRule;
  readonly table: string;
  readonly scale?: number;
  /** A row for each position, added to the embeddings. */
  readonly positions?: string;
  /** Whether weights of layers are `[in, out]`. */
  readonly turned?: boolean;
  readonly layers: readonly LayerRule[];
  readonly finalNorm: string;
  readonly head: string;
  readonly logitCap?: number;
}

/** A file's tensors. */
export type Weights = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: ArrayLike<number> }>;

/** A decoder as its paper has it: each head by itself, all pairs, one sequence. `states` are the streams, the last one normalised. */
export class DecoderOracle {
  readonly #matrices = new Map<string, Matrix>();

  constructor(
    readonly g: Graph,
    readonly rule: DecoderRule,
    readonly weights: Weights,
  ) {}

  run(tokens: readonly number[]): { readonly states: readonly Matrix[]; readonly logits: Matrix } {
    const { g, rule } = this;
    let x = g.gatherRows(this.matrix(rule.table)!, tokens);
    if (rule.scale !== undefined) x = g.scale(x, rule.scale);
    if (rule.positions !== undefined) x = g.add(x, g.rows(this.matrix(rule.positions)!, 0, tokens.length));
    const states = [x];
    for (const layer of rule.layers) {
      x = this.#layer(layer, x);
      states.push(x);
    }
    const last = this.#norm(rule.finalNorm, x);
    const logits = g.matmulT(last, this.matrix(rule.head)!);
    return {
      states: [...states.slice(0, -1), last],
      logits: rule.logitCap === undefined ? logits : this.#capped(logits, rule.logitCap),
    };
  }

  #layer(layer: LayerRule, x: Matrix): Matrix {
    const { g } = this;
    const { norms, parallel = false } = layer;
    const rows = this.#norm(norms.attention, x);
    const attended = this.#norm(norms.attentionOut, layer.mix?.(this, rows) ?? this.#attention(layer, rows));
    const after = g.add(x, attended);
    const read = parallel
      ? norms.feed === undefined
        ? rows
        : this.#norm(norms.feed, x)
      : this.#norm(norms.feed, after);
    return g.add(after, this.#norm(norms.feedOut, layer.feed?.(this, read) ?? this.#feed(layer, read)));
  }

  #feed({ gate, up, down, activation }: LayerRule, x: Matrix): Matrix {
    const { g } = this;
    const wide = this.linear(up, x);
    const hidden = gate ? g.mul(activated(g, activation, this.linear(gate, x)), wide) : activated(g, activation, wide);
    return this.linear(down, hidden);
  }

  #attention(layer: LayerRule, x: Matrix): Matrix {
    const { g, rule } = this;
    const { heads, groups, headDim } = rule;
    const part = (of: (h: number) => Part, h: number): Matrix => this.linear({ rows: headDim, ...of(h) }, x);
    const groupOf = (h: number): number => Math.floor((h * groups) / heads);
    const all = (count: number): number[] => Array.from({ length: count }, (_, h) => h);
    const queries = this.#headNorm(
      layer,
      'q',
      all(heads).map((h) => part(layer.q, h)),
    );
    const keys = this.#headNorm(
      layer,
      'k',
      all(groups).map((h) => part(layer.k, h)),
    );
    const values = all(groups).map((h) => part(layer.v, h));
    const outs = all(heads).map((h) => {
      const [q, k] = [this.#turned(layer, queries[h]!), this.#turned(layer, keys[groupOf(h)]!)];
      let scores = g.scale(g.matmulT(q, k), layer.scale);
      if (layer.cap !== undefined) scores = this.#capped(scores, layer.cap);
      if (layer.slope) {
        const slope = layer.slope(h);
        const bias = Array.from({ length: x.rows ** 2 }, (_, n) => -slope * (Math.floor(n / x.rows) - (n % x.rows)));
        scores = g.add(scores, g.input(bias, x.rows, x.rows));
      }
      const { window = Infinity } = layer;
      const sees = (i: number, j: number): boolean => j <= i && i - j < window;
      if (layer.sinks === undefined) return g.matmul(g.softmax(scores, sees), values[groupOf(h)]!);
      const sink = g.columns(this.matrix(layer.sinks)!, h, h + 1);
      const column = g.concatRows(Array.from({ length: x.rows }, () => sink));
      const weights = g.softmax(g.concatColumns([scores, column]), (i, j) => j === x.rows || sees(i, j));
      return g.matmul(g.columns(weights, 0, x.rows), values[groupOf(h)]!);
    });
    const gated = outs.map((out, h) =>
      layer.headGate ? g.mul(out, sigmoid(g, this.linear({ rows: headDim, ...layer.headGate(h) }, x))) : out,
    );
    return this.linear({ name: layer.out }, g.concatColumns(gated));
  }

  #headNorm({ headNorms }: LayerRule, which: 'q' | 'k', heads: readonly Matrix[]): readonly Matrix[] {
    if (headNorms === undefined) return heads;
    const { g, rule } = this;
    if (headNorms.over === 'head') return heads.map((one) => this.#norm(headNorms[which], one));
    const together = this.#norm(headNorms[which], g.concatColumns(heads));
    return heads.map((_, h) => g.columns(together, h * rule.headDim, (h + 1) * rule.headDim));
  }

  #turned({ turn }: LayerRule, x: Matrix): Matrix {
    if (turn === undefined) return x;
    const { g } = this;
    const { angles, magnitude = 1, neighbours = false } = turn;
    const n = angles.length;
    const table = (f: (angle: number) => number): Matrix =>
      g.input(
        Array.from({ length: x.rows * n }, (_, at) => magnitude * f(Math.floor(at / n) * angles[at % n]!)),
        x.rows,
        n,
      );
    const [cos, sin] = [table(Math.cos), table(Math.sin)];
    const component = (which: 0 | 1): Matrix => {
      const chosen = angles.map((_, c) => (neighbours ? 2 * c + which : c + which * n));
      return g.transpose(g.gatherRows(g.transpose(x), chosen));
    };
    // where neighbours turn, queries and keys come out in another order, and their products are the same
    const [a, b] = [component(0), component(1)];
    const rest = x.columns > 2 * n ? [g.columns(x, 2 * n, x.columns)] : [];
    return g.concatColumns([g.sub(g.mul(a, cos), g.mul(b, sin)), g.add(g.mul(b, cos), g.mul(a, sin)), ...rest]);
  }

  #capped(x: Matrix, cap: number): Matrix {
    return this.g.map(
      x,
      (value, r) => r(cap * r(Math.tanh(r(value / cap)))),
      (value, r) => r(1 - r(Math.tanh(r(value / cap)) ** 2)),
    );
  }

  #norm(name: string | undefined, x: Matrix): Matrix {
    if (name === undefined) return x;
    const { g, rule } = this;
    const { mean, epsilon, plusOne = false } = rule.norm;
    const weight = this.matrix(`${name}.weight`)!;
    const factor = plusOne
      ? g.add(weight, g.input(new Float64Array(weight.columns).fill(1), 1, weight.columns))
      : weight;
    const scaled = g.mul(normalised(g, x, mean, epsilon), factor);
    const bias = this.matrix(`${name}.bias`);
    return bias ? g.add(scaled, bias) : scaled;
  }

  linear({ name, row = 0, rows }: Part, x: Matrix): Matrix {
    const { g } = this;
    const stored = this.matrix(`${name}.weight`)!;
    const weight = this.rule.turned ? g.transpose(stored) : stored;
    const end = row + (rows ?? weight.rows);
    const product = g.matmulT(x, g.rows(weight, row, end));
    const bias = this.matrix(`${name}.bias`);
    return bias ? g.add(product, g.columns(bias, row, end)) : product;
  }

  /** A weight as it is read, vectors as one row; undefined where the file has none. */
  matrix(name: string): Matrix | undefined {
    const given = this.weights.get(name);
    if (given === undefined) return undefined;
    const known = this.#matrices.get(name);
    if (known) return known;
    const columns = given.shape.at(-1)!;
    const made = this.g.input(given.data, given.data.length / columns, columns);
    this.#matrices.set(name, made);
    return made;
  }
}

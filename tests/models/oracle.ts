import { balance, decide, expert, mixture, weightsOf } from '../oracles/experts.js';
import type { ModelConfig } from '../../src/models/config.js';
import type { Graph, Matrix } from '../oracles/graph.js';
import type { FloatDtype } from '../../src/core/dtype.js';
import { double } from '../oracles/arithmetic.js';
import { alibiSlopes, t5Bucket } from '../oracles/rules.js';
import { storedAs } from '../oracles/storage.js';
import { activated, affine, formulas, normalised } from '../nn/formulas.js';

export type Parameter = (name: string) => Matrix;

/** One sequence through the papers' formulas: naive attention of every head, no fusion, no caches. */
export class ModelOracle {
  /** How what is inside the branches is stored. In float64 nothing is rounded; gradients pass a rounding as they are. */
  precision: FloatDtype = 'f32';

  /** How keys and values are kept for the tokens that follow. */
  cacheDtype: FloatDtype = 'f32';

  constructor(
    readonly g: Graph,
    readonly config: ModelConfig,
    readonly parameter: Parameter,
    /** Which layers, and whether each token sees those before it alone. */
    readonly stack = 'stack',
    readonly causal = config.kind === 'decoder',
  ) {}

  get #round(): (x: number) => number {
    return this.g.arithmetic === double ? storedAs.f32 : storedAs[this.precision];
  }

  /** What is read of numbers that are stored. Changed in place, so that the tape sees what was stored. */
  stored(a: Matrix): Matrix {
    if (this.precision !== 'f32') a.data.forEach((value, i) => (a.data[i] = this.#round(value)));
    return a;
  }

  /** The stream as a branch is given it. */
  given(a: Matrix): Matrix {
    if (this.precision === 'f32') return a;
    return this.stored(
      this.g.map(
        a,
        (value) => value,
        () => 1,
      ),
    );
  }

  at(layer: number): string {
    return `${this.stack}.layers.${layer}`;
  }

  /** Mean cross-entropy of the targets, `[1 × 1]`. */
  loss(tokens: readonly number[], targets: readonly number[]): Matrix {
    return this.lossAt(this.hidden(tokens), targets);
  }

  /** What the last layer gives, normalised. */
  hidden(tokens: readonly number[], types?: readonly number[]): Matrix {
    return this.finished(this.layers(this.embedded(tokens, types && [...types])));
  }

  /** The norm after the last layer. */
  finished(x: Matrix): Matrix {
    const { place, final = true } = this.of(this.config.layers - 1).config.norm;
    return this.norm(`${this.stack}.norm`, x, place === 'pre' && final);
  }

  logitsAt(hidden: Matrix): Matrix {
    const { g, config, parameter } = this;
    const { scale, softcap, bias } = config.prediction ?? {};
    const made = this.transformed(hidden);
    const rows = scale === undefined ? made : g.scale(made, scale);
    const plain = this.scoredTokens(rows);
    const logits = bias ? g.add(plain, parameter('ends.bias')) : plain;
    return softcap === undefined ? logits : g.scale(activated(g, 'tanh', g.scale(logits, 1 / softcap)), softcap);
  }

  /** What rows pass before logits are made of them. */
  transformed(hidden: Matrix): Matrix {
    const { g, config, parameter } = this;
    const { transform, transformBias = true, norm = config.norm.kind } = config.prediction ?? {};
    if (transform === undefined) return hidden;
    const bias = transformBias ? parameter('ends.transform.dense.bias') : undefined;
    const rows = activated(g, transform, affine(g, hidden, parameter('ends.transform.dense.weight'), bias));
    return this.norm('ends.transform.norm', rows, norm !== 'none', norm === 'layer');
  }

  /** Vectors of tokens by clusters: of token t in cluster i, `tables.i[t − start_i] · projection_i`. */
  clustered(tokens: readonly number[]): Matrix {
    const { g } = this;
    const rows = tokens.map((token) => {
      const { first, i } = this.#clusterOf(token);
      const own = g.gatherRows(this.parameter(`ends.embedding.tables.${i}.weight`), [token - first]);
      const projection = this.parameter(`ends.embedding.projection${i}`) as Matrix | undefined;
      return projection ? g.matmul(own, projection) : own;
    });
    return g.concatRows(rows);
  }

  #clusterOf(token: number): { readonly first: number; readonly i: number; readonly cluster: number } {
    const { cutoffs, divide = 1 } = this.config.embedding!.adaptive!;
    const cluster = cutoffs.filter((cutoff) => token >= cutoff).length;
    return divide === 1 ? { first: 0, i: 0, cluster } : { first: [0, ...cutoffs][cluster]!, i: cluster, cluster };
  }

  /** `log p` of every token: that of its cluster, and that within it. */
  #byClusters(hidden: Matrix): Matrix {
    const { g, config, parameter } = this;
    const { cutoffs, divide = 1 } = config.embedding!.adaptive!;
    const bounds = [0, ...cutoffs, config.vocabulary];
    const bias = parameter('ends.adaptive.bias');
    const maybe = (name: string): Matrix | undefined => parameter(name);
    const logarithm = (of: Matrix): Matrix => g.log(g.softmax(of));
    const scores = (i: number): Matrix => {
      const tokens = Array.from({ length: bounds[i + 1]! - bounds[i]! }, (_, n) => bounds[i]! + n);
      const one = divide === 1 ? 0 : i;
      const whole = parameter(`ends.embedding.tables.${one}.weight`);
      const rows = divide === 1 ? g.gatherRows(whole, tokens) : whole;
      const table = maybe(`ends.adaptive.table${i}`) ?? rows;
      const projection = maybe(`ends.adaptive.projection${i}`) ?? maybe(`ends.embedding.projection${one}`);
      const small = projection ? g.matmulT(hidden, projection) : hidden;
      return g.add(g.matmulT(small, table), g.columns(bias, bounds[i]!, bounds[i + 1]!));
    };
    const first = maybe('ends.adaptive.projection0') ?? maybe('ends.embedding.projection0');
    const small = first ? g.matmulT(hidden, first) : hidden;
    const clusters = affine(
      g,
      small,
      g.transpose(parameter('ends.adaptive.clusters')),
      parameter('ends.adaptive.clusterBias'),
    );
    const head = logarithm(g.concatColumns([scores(0), clusters]));
    const tails = cutoffs.map((_, i) => {
      const own = g.columns(head, cutoffs[0]! + i, cutoffs[0]! + i + 1);
      const within = logarithm(scores(i + 1));
      const ones = g.constant(new Array<number>(within.columns).fill(1), 1, within.columns);
      return g.add(within, g.matmul(own, ones));
    });
    return g.concatColumns([g.columns(head, 0, cutoffs[0]!), ...tails]);
  }

  scoredTokens(hidden: Matrix): Matrix {
    const { g, config, parameter } = this;
    if (config.embedding?.adaptive) return this.#byClusters(hidden);
    if (!config.tied) return g.matmul(hidden, parameter('ends.head.weight'));
    const table = parameter('ends.embedding.weight');
    const { outputs = config.vocabulary } = config;
    const predicted = Array.from({ length: outputs }, (_, i) => i);
    return g.matmulT(hidden, outputs < config.vocabulary ? g.gatherRows(table, predicted) : table);
  }

  lossAt(hidden: Matrix, targets: readonly number[]): Matrix {
    const { g, config } = this;
    const weights = g.softmax(this.logitsAt(hidden));
    const { outputs = config.vocabulary } = config;
    const chosen = g.input(
      targets.flatMap((target) => Array.from({ length: outputs }, (_, c) => Number(c === target))),
      targets.length,
      outputs,
    );
    const likelihood = g.log(g.rowSum(g.mul(weights, chosen)));
    return g.scale(g.columnSum(likelihood), -1 / targets.length);
  }

  embedded(tokens: readonly number[], types = tokens.map(() => 0)): Matrix {
    const { g, config, parameter } = this;
    const { width, norm, adaptive } = config.embedding ?? {};
    const typed = config.embedding?.types
      ? g.add(this.placed(tokens), g.gatherRows(parameter('ends.entry.types.weight'), types))
      : this.placed(tokens);
    const normed = this.norm('ends.entry.norm', typed, norm !== undefined, norm === 'layer');
    if (width === undefined || adaptive) return normed;
    return affine(g, normed, parameter('ends.entry.projection.weight'), parameter('ends.entry.projection.bias'));
  }

  /** Rows of tokens with those of their positions. */
  placed(tokens: readonly number[]): Matrix {
    const { g, config } = this;
    const { width = config.width, scale } = config.embedding ?? {};
    const plain = config.embedding?.adaptive
      ? this.clustered(tokens)
      : g.gatherRows(this.parameter('ends.embedding.weight'), tokens);
    const rows = scale === undefined ? plain : g.scale(plain, scale);
    if (config.position.method === 'learned' && config.position.grid) {
      const [, columns] = config.position.grid.shape;
      const of = (name: string, place: (p: number) => number): Matrix =>
        g.gatherRows(
          this.parameter(`${this.stack}.positions.grid.${name}`),
          tokens.map((_, p) => place(p)),
        );
      const parts = [of('first', (p) => Math.floor(p / columns)), of('second', (p) => p % columns)];
      return g.add(rows, g.concatColumns(parts));
    }
    if (config.position.method === 'learned') {
      const { first = 0, padding } = config.position;
      let seen = 0;
      const places = tokens.map((token) => (token === padding ? Math.max(0, first - 1) : first + seen++));
      return g.add(rows, g.gatherRows(this.parameter(`${this.stack}.positions.table`), places));
    }
    if (config.position.method !== 'sinusoidal') return rows;
    const angle = (p: number, c: number): number => p / 10000 ** ((c - (c % 2)) / width);
    const sines = g.input(
      tokens.flatMap((_, p) =>
        Array.from({ length: width }, (__, c) => (c % 2 === 0 ? Math.sin : Math.cos)(angle(p, c))),
      ),
      tokens.length,
      width,
    );
    return g.add(scale === undefined ? g.scale(rows, Math.sqrt(width)) : rows, sines);
  }

  layers(x: Matrix): Matrix {
    let rows = x;
    for (let layer = 0; layer < this.config.layers; layer++) {
      const own = this.of(layer);
      const { kind } = own.config.residual;
      if (kind === 'reversible') {
        const run = [layer];
        while (layer + 1 < this.config.layers && this.of(layer + 1).config.residual.kind === kind) run.push(++layer);
        rows = this.reversed(rows, run);
        continue;
      }
      const bare = own.config.norm.mixing === false;
      const mixing = (y: Matrix): Matrix => own.attention(layer, y);
      rows = bare
        ? this.g.add(rows, mixing(own.given(rows)))
        : own.residual(`${this.at(layer)}.attentionResidual.norm`, rows, mixing);
      rows = own.residual(`${this.at(layer)}.feedForwardResidual.norm`, rows, (y) => own.feedForward(layer, y));
    }
    return rows;
  }

  /** The formulas of one layer, whose choices may be its own. */
  of(layer: number): ModelOracle {
    const { pattern } = this.config;
    if (pattern === undefined) return this;
    const config = { ...this.config, ...pattern[layer % pattern.length] };
    const own = new ModelOracle(this.g, config, this.parameter, this.stack, this.causal);
    own.precision = this.precision;
    own.cacheDtype = this.cacheDtype;
    own.balances = this.balances;
    own.routed = this.routed;
    return own;
  }

  /**
   * The backward pass of reversible code sees branches at inputs that it computed back from the outputs, x2 = y2 − g(y1): the
   * rounding of that is part of the error of plain float32 code, and in float64 it is nothing.
   */
  reversed(x: Matrix, layers: readonly number[]): Matrix {
    const { g } = this;
    const mix = (layer: number, y: Matrix): Matrix => this.of(layer).branch(layer, 'attention', y);
    const feed = (layer: number, y: Matrix): Matrix => this.of(layer).branch(layer, 'feedForward', y);
    const streams = [{ one: x, two: x }];
    for (const layer of layers) {
      const { one, two } = streams.at(-1)!;
      const next = g.add(one, mix(layer, two));
      streams.push({ one: next, two: g.add(two, feed(layer, next)) });
    }
    const back = [streams.at(-1)!];
    for (const layer of [...layers].reverse()) {
      const { one, two } = back[0]!;
      const before = g.sub(two, feed(layer, one));
      back.unshift({ one: g.sub(one, mix(layer, before)), two: before });
    }
    const shifted = (to: Matrix, from: Matrix, y: Matrix): Matrix =>
      g.add(
        y,
        g.input(
          Array.from(to.data, (value, i) => value - from.data[i]!),
          y.rows,
          y.columns,
        ),
      );
    let [one, two] = [x, x];
    for (const [i, layer] of layers.entries()) {
      one = g.add(one, mix(layer, shifted(back[i]!.two, streams[i]!.two, two)));
      two = g.add(two, feed(layer, shifted(back[i + 1]!.one, streams[i + 1]!.one, one)));
    }
    return this.config.residual.joined ? g.concatColumns([one, two]) : g.scale(g.add(one, two), 0.5);
  }

  branch(layer: number, which: 'attention' | 'feedForward', x: Matrix): Matrix {
    return this[which](layer, this.stored(this.norm(`${this.at(layer)}.${which}Residual.norm`, this.given(x))));
  }

  residual(norm: string, x: Matrix, f: (rows: Matrix) => Matrix): Matrix {
    if (this.config.norm.place === 'post') return this.norm(norm, this.g.add(x, f(this.given(x))));
    return this.g.add(x, f(this.stored(this.norm(norm, this.given(x)))));
  }

  norm(name: string, x: Matrix, there = true, layer = this.config.norm.kind === 'layer'): Matrix {
    if (!there) return x;
    const { g, config } = this;
    const scaled = g.mul(normalised(g, x, layer, config.norm.epsilon), this.parameter(`${name}.weight`));
    return layer ? g.add(scaled, this.parameter(`${name}.bias`)) : scaled;
  }

  /** Of routers, by layer: what they give beside the rows. */
  balances = new Map<number, Matrix>();
  /** Their logits. */
  routed = new Map<number, Matrix>();

  /** Experts with room for all tokens, of one text. */
  experts(layer: number, x: Matrix): Matrix {
    const { g, config } = this;
    const { name, activation, options } = config.feedForward;
    const own = `${this.at(layer)}.feedForward`;
    const rule = name === 'switch' ? { active: 1, renormalise: false } : { active: 2, renormalise: true };
    // room as published, for so many tokens whatever the length; else for all of one text
    const room = options['evaluationCapacity'] === 0 ? Number(options['minCapacity']) : Infinity;
    const logits = g.matmul(x, this.parameter(`${own}.router`));
    this.routed.set(layer, logits);
    const probabilities = g.softmax(logits);
    const decided = decide(probabilities, { ...rule, experts: Number(options['experts']), room });
    const counts = name === 'mixtral' ? 'all' : 'first';
    this.balances.set(layer, g.scale(balance(g, probabilities, decided, counts), Number(options['balance'])));
    return mixture(g, weightsOf(g, probabilities, decided, rule.renormalise), (e) =>
      expert(
        g,
        x,
        e,
        (key) => this.parameter(`${own}.${key}`),
        (y) => activated(g, activation, y),
      ),
    );
  }

  feedForward(layer: number, x: Matrix): Matrix {
    const { g, config } = this;
    const { gated, activation, bias = !gated } = config.feedForward;
    if (config.feedForward.name !== 'dense') return this.experts(layer, x);
    const name = `${this.at(layer)}.feedForward`;
    const linear = (of: string, y: Matrix): Matrix =>
      affine(g, y, this.parameter(`${name}.${of}.weight`), bias ? this.parameter(`${name}.${of}.bias`) : undefined);
    const up = linear('up', x);
    const [value, slope] = formulas[activation];
    // a fused activation is of the sums, its derivative of what was stored of them
    const hidden = gated
      ? g.mul(activated(g, activation, this.stored(linear('gate', x))), this.stored(up))
      : g.map(up, value, (sum, r, i, j) => slope(this.#round(sum), r, i, j));
    return this.stored(linear('down', this.stored(hidden)));
  }

  attention(layer: number, x: Matrix): Matrix {
    const { g, config } = this;
    const { heads, kvHeads, headDim } = config;
    const name = `${this.at(layer)}.attention`;
    const bias = (of: string): Matrix | undefined => (config.bias ? this.parameter(`${name}.${of}.bias`) : undefined);
    const qkv = this.stored(affine(g, x, this.parameter(`${name}.qkv.weight`), bias('qkv')));
    const head = (n: number): Matrix => g.columns(qkv, n * headDim, (n + 1) * headDim);
    const radius = config.mechanism.name === 'sliding-window' ? Number(config.mechanism.options['radius']) : Infinity;
    const outs = Array.from({ length: heads }, (_, h) => {
      const group = Math.floor((h * kvHeads) / heads);
      const q = this.turned(head(h));
      const [k, v] = [this.kept(this.turned(head(heads + group))), this.kept(head(heads + kvHeads + group))];
      const scores = this.scored(g.scale(g.matmulT(q, k), this.scale), h);
      const weights = g.softmax(scores, (i, j) => (!this.causal || j <= i) && Math.abs(i - j) <= radius);
      return this.stored(g.matmul(weights, v));
    });
    return this.stored(affine(g, g.concatColumns(outs), this.parameter(`${name}.out.weight`), bias('out')));
  }

  /** What is read of a cache. */
  kept(a: Matrix): Matrix {
    if (this.cacheDtype === 'f32') return a;
    return this.g.map(a, storedAs[this.cacheDtype], () => 1);
  }

  /** Factor of q·k. */
  get scale(): number {
    return this.config.attention?.scale ?? 1 / Math.sqrt(this.config.headDim);
  }

  /** Queries of rows, and keys and values of others, of every head. */
  projected(name: string, rows: Matrix, source: Matrix): (readonly [q: Matrix, k: Matrix, v: Matrix])[] {
    const { g, config } = this;
    const { heads, kvHeads, headDim } = config;
    const linear = (of: string, y: Matrix): Matrix => {
      const bias = config.bias ? this.parameter(`${name}.${of}.bias`) : undefined;
      return affine(g, y, this.parameter(`${name}.${of}.weight`), bias);
    };
    const [queries, keyValues] = [linear('query', rows), linear('keyValue', source)];
    const head = (of: Matrix, n: number): Matrix => g.columns(of, n * headDim, (n + 1) * headDim);
    return Array.from({ length: heads }, (_, h) => {
      const group = Math.floor((h * kvHeads) / heads);
      return [head(queries, h), head(keyValues, group), head(keyValues, kvHeads + group)] as const;
    });
  }

  /** Rotary positions: component c and c + D/2 turn by p·base^(−2c/D). */
  turned(x: Matrix): Matrix {
    const { g, config } = this;
    if (config.position.method !== 'rope') return x;
    const half = config.headDim / 2;
    const { base = 10000 } = config.position;
    const table = (f: (angle: number) => number): Matrix =>
      g.input(
        Array.from({ length: x.rows * half }, (_, n) => f(Math.floor(n / half) * base ** (-(n % half) / half))),
        x.rows,
        half,
      );
    const [cos, sin] = [table(Math.cos), table(Math.sin)];
    const [a, b] = [g.columns(x, 0, half), g.columns(x, half, 2 * half)];
    return this.stored(g.concatColumns([g.sub(g.mul(a, cos), g.mul(b, sin)), g.add(g.mul(b, cos), g.mul(a, sin))]));
  }

  scored(scores: Matrix, h: number): Matrix {
    const { g, config } = this;
    const { rows, columns } = scores;
    const { method } = config.position;
    const table = (f: (i: number, j: number) => number): number[] =>
      Array.from({ length: rows * columns }, (_, n) => f(Math.floor(n / columns), n % columns));
    if (method === 'alibi') {
      const slope = Math.fround(alibiSlopes(config.heads)[h]!);
      return g.add(
        scores,
        g.input(
          table((i, j) => -slope * Math.abs(i - j)),
          rows,
          columns,
        ),
      );
    }
    if (method !== 't5') return scores;
    const { buckets = 32, maxDistance = 128 } = config.position as { buckets?: number; maxDistance?: number };
    const rule = { buckets, maxDistance, bidirectional: !this.causal };
    const column = g.columns(this.parameter(`${this.stack}.positions.table`), h, h + 1);
    const rowOf = (i: number): Matrix =>
      g.transpose(
        g.gatherRows(
          column,
          Array.from({ length: columns }, (_, j) => t5Bucket(j - i, rule)),
        ),
      );
    return g.add(scores, g.concatRows(Array.from({ length: rows }, (_, i) => rowOf(i))));
  }
}

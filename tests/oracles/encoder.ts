import { activated, affine, normalised } from '../nn/formulas.js';
import type { ActivationName } from '../../src/nn/index.js';
import type { Weights } from './decoder.js';
import type { Graph, Matrix } from './graph.js';

/** What one layer is, by the names of the published file: attention, norm, two products, norm. */
export interface EncoderLayer {
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly out: string;
  readonly attentionNorm: string;
  readonly up: string;
  readonly down: string;
  readonly feedNorm: string;
}

export interface EncoderRule {
  readonly heads: number;
  readonly activation: ActivationName;
  /** Whether tokens see those before them alone; default false. */
  readonly causal?: boolean;
  readonly epsilon: number;
  readonly words: string;
  readonly positions: string;
  readonly types?: string;
  readonly embeddingNorm: string;
  /** From the width of the tables to that of the layers. */
  readonly projection?: string;
  readonly layers: readonly EncoderLayer[];
  readonly head: EncoderHead;
}

/** A token for each row; or classes of the first row, or of each. `norm` and `dense` are of a layer before. */
export interface EncoderHead {
  /** Two products with the layers' activation between and a norm behind the sum, before all else. */
  readonly feed?: { readonly up: string; readonly down: string; readonly norm: string };
  readonly dense?: string;
  readonly activation?: ActivationName;
  readonly norm?: string;
  /** A linear layer; or the table of words, with a bias of its own. */
  readonly out: string | { readonly table: string; readonly bias: string };
  readonly rows: 'all' | 'first';
}

/** An encoder with norms behind its branches, as its paper has it: each head by itself, all pairs of one sequence. */
export class EncoderOracle {
  readonly #matrices = new Map<string, Matrix>();

  constructor(
    readonly g: Graph,
    readonly rule: EncoderRule,
    readonly weights: Weights,
  ) {}

  run(
    tokens: readonly number[],
    types: readonly number[],
  ): { readonly states: readonly Matrix[]; readonly logits: Matrix } {
    const { g, rule } = this;
    let sum = g.add(g.gatherRows(this.#of(rule.words), tokens), g.rows(this.#of(rule.positions), 0, tokens.length));
    if (rule.types !== undefined) sum = g.add(sum, g.gatherRows(this.#of(rule.types), types));
    let x = this.#norm(rule.embeddingNorm, sum);
    if (rule.projection !== undefined) x = this.#linear(rule.projection, x);
    const states = [x];
    for (const layer of rule.layers) {
      const attended = this.#norm(layer.attentionNorm, g.add(x, this.#attention(layer, x)));
      const hidden = activated(g, rule.activation, this.#linear(layer.up, attended));
      x = this.#norm(layer.feedNorm, g.add(attended, this.#linear(layer.down, hidden)));
      states.push(x);
    }
    return { states, logits: this.#head(x) };
  }

  #head(x: Matrix): Matrix {
    const { g, rule } = this;
    const { feed, dense, activation, norm, out, rows } = rule.head;
    let read = rows === 'first' ? g.rows(x, 0, 1) : x;
    if (feed) {
      const hidden = activated(g, rule.activation, this.#linear(feed.up, read));
      read = this.#norm(feed.norm, g.add(read, this.#linear(feed.down, hidden)));
    }
    if (dense !== undefined) read = activated(g, activation!, this.#linear(dense, read));
    if (norm !== undefined) read = this.#norm(norm, read);
    if (typeof out === 'string') return this.#linear(out, read);
    return g.add(g.matmulT(read, this.#of(out.table)), this.#of(out.bias));
  }

  #attention({ q, k, v, out }: EncoderLayer, x: Matrix): Matrix {
    const { g, rule } = this;
    const [queries, keys, values] = [q, k, v].map((name) => this.#linear(name, x)) as [Matrix, Matrix, Matrix];
    const D = queries.columns / rule.heads;
    const outs = Array.from({ length: rule.heads }, (_, h) => {
      const head = (of: Matrix): Matrix => g.columns(of, h * D, (h + 1) * D);
      const scores = g.scale(g.matmulT(head(queries), head(keys)), 1 / Math.sqrt(D));
      return g.matmul(
        g.softmax(scores, (i, j) => !rule.causal || j <= i),
        head(values),
      );
    });
    return this.#linear(out, g.concatColumns(outs));
  }

  /** `x·Wᵀ + b` of a layer's `[out, in]`. */
  #linear(name: string, x: Matrix): Matrix {
    return affine(this.g, x, this.g.transpose(this.#of(`${name}.weight`)), this.#of(`${name}.bias`));
  }

  #norm(name: string, x: Matrix): Matrix {
    const { g, rule } = this;
    const scaled = g.mul(normalised(g, x, true, rule.epsilon), this.#of(`${name}.weight`));
    return g.add(scaled, this.#of(`${name}.bias`));
  }

  #of(name: string): Matrix {
    const known = this.#matrices.get(name);
    if (known) return known;
    const found = this.weights.get(name);
    if (found === undefined) throw new Error(`no tensor ${name}`);
    const { shape, data } = found;
    const columns = shape.at(-1)!;
    const made = this.g.input(data, data.length / columns, columns);
    this.#matrices.set(name, made);
    return made;
  }
}

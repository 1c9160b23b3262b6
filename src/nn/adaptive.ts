import { constantOf, learned, normalOf } from '../attention/parameters.js';
import { select, variable } from '../codegen/expression/index.js';
import {
  checkValue,
  checkValues,
  flag,
  listOfNumbers,
  made,
  oneOf,
  wholeBetween,
  wholeFrom,
} from '../core/requirements.js';
import { OptionError } from '../core/errors.js';
import { checkShape } from '../core/shape.js';
import { add, concat, logsumexp, map, matmul, mul, reshape, slice, split, sub } from '../ops/index.js';
import { checkIndices } from '../ops/indices.js';
import { commonDevice, scope, type Tensor } from '../tensor/index.js';
import { Embedding } from './embedding.js';
import { ModuleList } from './list.js';
import { Module } from './module.js';
import type { Parameter } from './parameter.js';
import { checkRows, rowsOf } from './rows.js';

/** How rare tokens have smaller vectors. */
export interface AdaptiveOptions {
  /** First tokens of the second cluster and of those after it, rising: tokens are numbered from the most frequent on. */
  readonly cutoffs: readonly number[];
  /** Vectors of cluster i are so many times shorter than those of the one before it; default 1, all in one table. */
  readonly divide?: number;
  /** Size of the vectors of the first cluster. */
  readonly width: number;
}
const requirements = { cutoffs: listOfNumbers, divide: wholeFrom(1), width: wholeFrom(1) };

/** What is wrong with clusters of so many tokens. */
export function clusterReasons(tokens: number, { cutoffs, divide = 1, width }: AdaptiveOptions): string[] {
  const rising = cutoffs.every((one, i) => wholeFrom(1).holds(one) && one > (cutoffs[i - 1] ?? 0) && one < tokens);
  return [
    !rising && `cutoffs must be rising whole numbers below ${tokens}; got ${cutoffs.join(', ')}`,
    width < divide ** cutoffs.length &&
      `vectors of ${width}, divided by ${divide} ${cutoffs.length} times, are shorter than 1`,
  ].filter((reason) => reason !== false);
}

/**
 * A vector for each token, shorter ones for rare tokens: of cluster i rows of `tables.i [tokens_i, ⌊width / divideⁱ⌋]`, times `projections.i`
 * to all features. With divide 1 one table and one matrix hold all, and where features is the width no matrix. (Baevski, Auli 2018,
 * "Adaptive Input Representations for Neural Language Modeling", arXiv 1809.10853.)
 *
 * @throws OptionError for clusters that are none.
 */
export class AdaptiveEmbedding extends Module {
  /** The first token of each cluster, and behind the last one. */
  readonly bounds: readonly number[];
  readonly tables: readonly Embedding[];
  readonly projections: readonly Parameter[];

  constructor(
    readonly tokens: number,
    readonly features: number,
    readonly options: AdaptiveOptions,
  ) {
    super();
    checkValues('AdaptiveEmbedding', options, requirements, ['cutoffs', 'width']);
    checkShape('AdaptiveEmbedding', [tokens, features]);
    const { cutoffs, divide = 1, width } = options;
    const reasons = clusterReasons(tokens, options);
    if (reasons.length > 0) throw new OptionError(`AdaptiveEmbedding: ${reasons.join('; ')}.`);
    this.bounds = [0, ...cutoffs, tokens];
    const sizes = divide === 1 ? [tokens] : this.bounds.slice(1).map((end, i) => end - this.bounds[i]!);
    const widths = sizes.map((_, i) => Math.floor(width / divide ** i));
    const tables = sizes.map((size, i) => new Embedding(size, widths[i]!));
    this.tables = this.child('tables', new ModuleList(tables)).items;
    this.projections =
      divide === 1 && width === features
        ? []
        : widths.map((own, i) => this.parameter(`projection${i}`, learned([own, features], normalOf(own ** -0.5))));
  }

  get clusters(): number {
    return this.bounds.length - 1;
  }

  /** Of the first cluster, as an `Embedding` has it. */
  get weight(): Parameter {
    return this.tables[0]!.weight;
  }

  /** The vectors of a cluster's tokens, before they are projected: `[tokens_i, width_i]`. In the current scope. */
  table(cluster: number): Tensor {
    checkValue('AdaptiveEmbedding.table', 'cluster', cluster, wholeBetween(0, this.clusters - 1));
    const [start, end] = [this.bounds[cluster]!, this.bounds[cluster + 1]!];
    if (this.tables.length > 1) return this.tables[cluster]!.weight.value;
    return this.clusters === 1 ? this.weight.value : slice(this.weight.value, { start, end });
  }

  /** `[width_i, features]` of a cluster; none where its vectors have all features. */
  projection(cluster: number): Parameter | undefined {
    checkValue('AdaptiveEmbedding.projection', 'cluster', cluster, wholeBetween(0, this.clusters - 1));
    return this.projections[Math.min(cluster, this.projections.length - 1)];
  }

  /** `[..., features]` of i32 tokens of any shape. @throws OptionError naming the first token that is none. */
  forward(tokens: Tensor): Tensor {
    commonDevice('AdaptiveEmbedding', [tokens, this.weight.value]);
    return scope(() => {
      const rule = { name: 'tokens', bound: this.tokens, of: `${this.tokens} tokens in ${this.clusters} clusters` };
      const known = checkIndices('AdaptiveEmbedding', tokens, rule);
      const parts = this.tables.map((table, i) => {
        const projection = this.projections[i];
        const project = (rows: Tensor): Tensor =>
          projection ? rowsOf(rows, (all) => matmul(all, projection.value)) : rows;
        if (this.tables.length === 1) return project(table.forward(known));
        const [start, end] = [this.bounds[i]!, this.bounds[i + 1]!];
        const own = variable('x0', 'i32');
        // rows of other clusters are any row of this one, times 0
        const place = map(
          own
            .sub(start)
            .max(0)
            .min(end - start - 1),
          known,
        );
        const inside = map(select(own.ge(start).and(own.lt(end)), 1, 0), known);
        return mul(project(table.forward(place)), reshape(inside, [...known.shape, 1]));
      });
      return parts.reduce((sum, one) => add(sum, one));
    });
  }
}

export const adaptiveProjections = ['tied', 'tails', 'own'] as const;
export interface AdaptiveSoftmaxOptions {
  /** Whether vectors are those of the embedding, or the softmax has its own; default true. */
  readonly tied?: boolean;
  /** Matrices to the vectors: those of the embedding, the same but the first, or its own. Default `'tied'`. */
  readonly projections?: (typeof adaptiveProjections)[number];
}

/**
 * Logarithms of probabilities by clusters: those of the first cluster's tokens and of the other clusters sum to 1, and of each other cluster
 * `log p(token) = log p(cluster) + log p(token | cluster)`. (Grave et al. 2016, "Efficient softmax approximation for GPUs", arXiv
 * 1609.04309.)
 *
 * Relative to the paper: all clusters are computed, whatever the targets are, so memory is as with one softmax and products are smaller.
 */
export class AdaptiveSoftmax extends Module {
  readonly #own: readonly (readonly [table: Parameter | undefined, projection: Parameter | undefined])[];
  readonly #clusters: Parameter | undefined;
  readonly #clusterBias: Parameter | undefined;
  readonly #bias: Parameter;

  constructor(
    readonly embedding: AdaptiveEmbedding,
    options: AdaptiveSoftmaxOptions = {},
  ) {
    super();
    checkValue('AdaptiveSoftmax', 'embedding', embedding, made('an AdaptiveEmbedding', AdaptiveEmbedding));
    checkValues('AdaptiveSoftmax', options, { tied: flag, projections: oneOf(adaptiveProjections) });
    const { tied = true, projections = 'tied' } = options;
    const { bounds, clusters, tokens, features } = embedding;
    const { divide = 1, width } = embedding.options;
    const projected = embedding.projections.length > 0;
    this.#own = Array.from({ length: clusters }, (_, i) => {
      const size = Math.floor(width / divide ** i);
      const table = (): Parameter =>
        this.parameter(`table${i}`, learned([bounds[i + 1]! - bounds[i]!, size], normalOf(0.02)));
      const matrix = (): Parameter =>
        this.parameter(`projection${i}`, learned([size, features], normalOf(size ** -0.5)));
      const owns = projected && (projections === 'own' || (projections === 'tails' && i === 0));
      return [tied ? undefined : table(), owns ? matrix() : undefined] as const;
    });
    if (clusters > 1) {
      this.#clusters = this.parameter('clusters', learned([clusters - 1, width], normalOf(0.02)));
      this.#clusterBias = this.parameter('clusterBias', learned([clusters - 1], constantOf(0)));
    }
    this.#bias = this.parameter('bias', learned([tokens], constantOf(0)));
  }

  get uses(): readonly Module[] {
    return [this.embedding];
  }

  /** `[..., features] → [..., tokens]`, f32: logits whose exponentials sum to 1. @throws ShapeError for other rows. */
  forward(x: Tensor): Tensor {
    checkRows('AdaptiveSoftmax', this, x, this.embedding.features);
    return scope(() => rowsOf(x, (rows) => this.#logits(rows)));
  }

  #logits(rows: Tensor): Tensor {
    const { bounds, clusters } = this.embedding;
    const sizes = bounds.slice(1).map((end, i) => end - bounds[i]!);
    const biases = split(this.#bias.value, sizes);
    const scores = (i: number): Tensor => {
      const [table, own] = this.#own[i]!;
      const projection = own ?? this.embedding.projection(i);
      const small = projection ? matmul(rows, projection.value, { transposeB: true }) : rows;
      const vectors = table?.value ?? this.embedding.table(i);
      if (i > 0 || clusters === 1) return matmul(small, vectors, { transposeB: true, bias: biases[i]! });
      const all = concat([vectors, this.#clusters!.value]);
      return matmul(small, all, { transposeB: true, bias: concat([biases[0]!, this.#clusterBias!.value]) });
    };
    const logarithms = (of: Tensor): Tensor => sub(of, logsumexp(of, { axes: [-1], keepDims: true }));
    const head = logarithms(scores(0));
    if (clusters === 1) return head;
    const [first, ...others] = split(head, [sizes[0]!, ...sizes.slice(1).map(() => 1)], { axis: -1 });
    return concat([first!, ...others.map((cluster, i) => add(logarithms(scores(i + 1)), cluster))], { axis: -1 });
  }
}

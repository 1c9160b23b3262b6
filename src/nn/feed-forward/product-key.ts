import { choice, flag, integer } from '../../attention/options.js';
import { learned, normalOf, uniformOf } from '../../attention/parameters.js';
import { withoutPadding } from '../../attention/patterns/without-padding.js';
import { checkValues, flag as aFlag, oneOf, wholeFrom } from '../../core/requirements.js';
import { checkShape } from '../../core/shape.js';
import { cast, matmul, reshape, softmax, transpose, weighRows } from '../../ops/index.js';
import { scope, type Tensor } from '../../tensor/index.js';
import { noteBelow } from '../../tensor/integers.js';
import { BatchNorm } from '../batch-norm.js';
import type { BranchContext, FeedForward } from '../layer.js';
import { Linear } from '../linear.js';
import { Module } from '../module.js';
import { LayerNorm } from '../norm.js';
import type { Outcome } from '../outcome.js';
import type { Parameter } from '../parameter.js';
import { checkRows } from '../rows.js';
import { defineFeedForward } from './define.js';
import { usageOf } from './memory-usage.js';
import { nearestProducts } from './nearest-products.js';

export const queryNorms = ['layer', 'batch', 'past', 'none'] as const;
export type QueryNorm = (typeof queryNorms)[number];

export interface ProductKeyOptions {
  /** Keys of each half; there are as many values as pairs of them. */
  readonly keys: number;
  /** Queries of a token, each with keys of its own; all read the same values. */
  readonly heads: number;
  /** Values that a query reads. */
  readonly knn: number;
  /** Size of a query, both halves together. */
  readonly keyDim: number;
  /** `layer`: each half by itself; `batch`, and `past`, which takes the statistics of the steps before: see `BatchNorm`. */
  readonly norm: QueryNorm;
  /** Whether a step moves the values alone that were read. */
  readonly sparse: boolean;
  /** Deviation of the values at first; default 1/√features. */
  readonly deviation?: number;
}

const extent = wholeFrom(1);
const requirements = {
  keys: extent,
  heads: extent,
  knn: extent,
  keyDim: extent,
  norm: oneOf(queryNorms),
  sparse: aFlag,
  deviation: { must: 'a number above 0', holds: (value: unknown) => typeof value === 'number' && value > 0 },
};

/**
 * A memory of `keys²` values, of which each token reads the few whose keys are nearest: `[..., features] → [..., features]`. A key is a pair of
 * halves, so the nearest of all pairs are among the pairs of the nearest halves (Lample et al. 2019, arXiv 1907.05242).
 *
 * `out = Σ_heads Σ_(a,b) softmax(K¹_a·q¹ + K²_b·q²)·values[a·keys + b]` over the `knn` best pairs of each head.
 *
 * @throws ShapeError or OptionError for sizes that are none.
 */
export class ProductKeyMemory extends Module implements FeedForward {
  readonly #query: Linear;
  readonly #layerNorm: LayerNorm | undefined;
  readonly #batchNorm: BatchNorm | undefined;
  readonly #keys: Parameter;
  readonly values: Parameter;

  constructor(
    readonly features: number,
    readonly options: ProductKeyOptions,
  ) {
    super();
    checkValues('ProductKeyMemory', options, requirements, ['keys', 'heads', 'knn', 'keyDim', 'norm', 'sparse']);
    const { keys, heads, keyDim, norm, deviation = 1 / Math.sqrt(features) } = options;
    checkShape('ProductKeyMemory', [keys ** 2, features]);
    const half = keyDim / 2;
    this.#query = this.child('query', new Linear(features, heads * keyDim));
    this.#layerNorm = norm === 'layer' ? this.child('norm', new LayerNorm(half)) : undefined;
    this.#batchNorm =
      norm === 'batch' || norm === 'past'
        ? this.child('norm', new BatchNorm(heads * keyDim, { past: norm === 'past' }))
        : undefined;
    // of each head and half, one below the other
    this.#keys = this.parameter('keys', learned([2 * heads * keys, half], uniformOf(1 / Math.sqrt(half))));
    this.values = this.parameter('values', learned([keys ** 2, features], normalOf(deviation)));
  }

  /** @throws ShapeError unless x is `[..., features]`, or with lengths `[B, L, features]`. */
  forward(x: Tensor, { lengths, losses = false }: BranchContext = {}): Outcome {
    checkRows('ProductKeyMemory', this, x, this.features);
    const { keys, heads, knn, keyDim, sparse } = this.options;
    const rows = x.size / this.features;
    return scope(() => {
      const asked = this.#query.forward(x);
      const { stream: normed, ...beside } = this.#batchNorm?.forward(asked, lengths) ?? { stream: asked };
      const halves = reshape(normed, [rows, 2 * heads, keyDim / 2]);
      const queries = transpose(cast(this.#layerNorm?.forward(halves) ?? halves, 'f32'), [1, 0, 2]); // [2H, T, d/2]
      const scores = matmul(queries, reshape(this.#keys.value, [2 * heads, keys, keyDim / 2]), { transposeB: true });
      const { sums, pairs } = nearestProducts(reshape(scores, [heads, 2, rows, keys]), knn); // [H, T, knn]
      const perToken = (one: Tensor): Tensor => reshape(transpose(one, [1, 0, 2]), [rows, heads * knn]);
      const slots = perToken(pairs);
      noteBelow(slots, keys ** 2);
      const weights = perToken(softmax(sums));
      const out = weighRows(weights, this.values.value, slots, { sparse });
      const real = (): Tensor =>
        reshape(withoutPadding(reshape(weights, [...x.shape.slice(0, -1), heads * knn]), lengths), weights.shape);
      return {
        ...beside,
        ...(losses && { statistics: usageOf(real(), slots, keys ** 2) }),
        stream: reshape(cast(out, x.dtype), x.shape),
      };
    });
  }
}

export const productKey = defineFeedForward({
  name: 'product-key',
  summary:
    'A memory of many values, of which each token reads the few with the nearest keys; a key is a pair of halves.',
  paper: {
    authors: 'Lample et al.',
    title: 'Large Memory Layers with Product Keys',
    year: 2019,
    arxiv: '1907.05242',
  },
  formula: 'Σ_heads Σ_(a,b) softmax(K¹_a·q¹ + K²_b·q²)·V_(a,b) over the knn best pairs, q = norm(x·W_q + b_q)',
  relativeToPaper:
    'queries are normalised by half and token unless norm says batch, which is the paper’s and sees later tokens; pairs of the nearest halves that cannot be among the knn best are left out of the search. A step moves the values alone that were read (sparse), where the paper’s Adam moves all.',
  options: {
    keys: integer({ min: 1, default: 512, help: 'keys of each half; the memory has this many squared values' }),
    heads: integer({ min: 1, default: 4, help: 'queries of a token' }),
    knn: integer({ min: 1, default: 32, help: 'values that a query reads' }),
    keyDim: integer({ min: 2, default: 256, help: 'size of a query, both halves together' }),
    norm: choice(queryNorms, {
      default: 'layer',
      help: 'of queries: layer, batch (for encoders), past (by the batches before) or none',
    }),
    sparse: flag({ default: true, help: 'a training step moves only values that were read' }),
  },
  supports: { hidden: false, activation: false, gated: false },
  refuse: ({ causal, features }, { keys, knn, keyDim, norm }) =>
    [
      keyDim % 2 === 1 && `keyDim must be even, for it is two halves; got ${keyDim}`,
      knn > keys ** 2 && `knn must be at most ${keys ** 2}, the pairs of ${keys} keys; got ${knn}`,
      causal && norm === 'batch' && 'norm batch takes statistics of later tokens too; take layer or past',
      keys ** 2 * features >= 2 ** 31 &&
        `keys² · width must be below 2^31; got ${keys}² · ${features}: take fewer keys`,
    ].filter((reason) => reason !== false),
  cost: ({ features, length }, { keys, heads, knn, keyDim }) => ({
    multiplyAdds: length * heads * (keyDim * (features + keys) + knn * features),
  }),
  create: ({ features, share }, options) =>
    new ProductKeyMemory(features, { ...options, deviation: share / Math.sqrt(features) }),
});

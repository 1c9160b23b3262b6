import { anything, checkValues, oneOf } from '../core/requirements.js';
import { split, splitHeads } from '../ops/index.js';
import { scope, type Tensor } from '../tensor/index.js';
import { Module } from './module.js';
import type { LayerNorm, RmsNorm } from './norm.js';
import { normOf, type NormKind, type NormParts } from './residual.js';

/** `'heads'`: over the components of each head, one weight for all heads; `'all'`: over all heads together. */
export const queryKeyNorms = ['heads', 'all'] as const;
export type QueryKeyNormKind = (typeof queryKeyNorms)[number];

export interface QueryKeyNormOptions extends NormParts {
  readonly over: QueryKeyNormKind;
  readonly kind: NormKind;
  readonly epsilon?: number | undefined;
}

const requirements = {
  over: oneOf(queryKeyNorms),
  kind: anything,
  epsilon: anything,
  bias: anything,
  centred: anything,
};

export interface HeadSizes {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Default as headDim. */
  readonly valueDim?: number;
}

/**
 * Queries and keys normalised before they are turned and compared, so that scores stay in range whatever their size (Henry et al. 2020,
 * arXiv 2010.04245; over each head as in Qwen3 and Gemma 3, over all heads together as in OLMo 2, arXiv 2501.00656, and OLMoE).
 *
 * @throws OptionError for an unknown option; as `normOf`.
 */
export class QueryKeyNorm extends Module {
  readonly over: QueryKeyNormKind;
  readonly query: LayerNorm | RmsNorm;
  readonly key: LayerNorm | RmsNorm;

  constructor(
    readonly sizes: HeadSizes,
    options: QueryKeyNormOptions,
  ) {
    super();
    checkValues('QueryKeyNorm', options, requirements, ['over', 'kind']);
    const { over, kind, epsilon, bias, centred } = options;
    const { heads, kvHeads, headDim } = sizes;
    const of = (count: number): LayerNorm | RmsNorm =>
      normOf(kind, over === 'heads' ? headDim : count * headDim, epsilon, { bias, centred });
    this.over = over;
    this.query = this.child('query', of(heads));
    this.key = this.child('key', of(kvHeads));
  }

  /**
   * Heads of projections `[B, L, (H + 2G)·D]`, or of queries `[B, L, H·D]` and of keys and values `[B, S, 2G·D]` apart: `q [B, H, L, D]` and `k
   * [B, G, S, D]` normalised, and v.
   */
  forward(projected: Tensor, queries?: Tensor): readonly [q: Tensor, k: Tensor, v: Tensor] {
    const { heads, kvHeads, headDim } = this.sizes;
    if (this.over === 'heads') {
      const [q, k, v] = headsOf(projected, queries, this.sizes);
      return [this.query.forward(q), this.key.forward(k), v];
    }
    const keys = kvHeads * headDim;
    const [q, k, v] = (
      queries
        ? [queries, ...split(projected, [keys, keys], { axis: 2 })]
        : split(projected, [heads * headDim, keys, keys], { axis: 2 })
    ) as [Tensor, Tensor, Tensor];
    return [this.queries(q), this.keys(k), splitHeads(v, [kvHeads])[0]!];
  }

  /** `q` of queries `[B, L, H·D]` alone. */
  queries(rows: Tensor): Tensor {
    return this.#normalised(this.query, rows, this.sizes.heads);
  }

  /** `k` of keys `[B, S, G·D]` alone. */
  keys(rows: Tensor): Tensor {
    return this.#normalised(this.key, rows, this.sizes.kvHeads);
  }

  #normalised(norm: LayerNorm | RmsNorm, rows: Tensor, count: number): Tensor {
    const heads = (x: Tensor): Tensor => splitHeads(x, [count])[0]!;
    return scope(() => (this.over === 'heads' ? norm.forward(heads(rows)) : heads(norm.forward(rows))));
  }
}

/** The same heads as they are. */
export function headsOf(
  projected: Tensor,
  queries: Tensor | undefined,
  { heads, kvHeads, headDim, valueDim = headDim }: HeadSizes,
): readonly [q: Tensor, k: Tensor, v: Tensor] {
  if (valueDim !== headDim) {
    const extents = [...(queries ? [] : [heads * headDim]), kvHeads * headDim, kvHeads * valueDim];
    const [q, k, v] = [...(queries ? [queries] : []), ...split(projected, extents, { axis: 2 })];
    const as = (rows: Tensor, count: number): Tensor => splitHeads(rows, [count])[0]!;
    return [as(q!, heads), as(k!, kvHeads), as(v!, kvHeads)];
  }
  const parts = queries
    ? [...splitHeads(queries, [heads]), ...splitHeads(projected, [kvHeads, kvHeads])]
    : splitHeads(projected, [heads, kvHeads, kvHeads]);
  return parts as [Tensor, Tensor, Tensor];
}

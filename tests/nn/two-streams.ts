import { reformer } from '../../src/attention/index.js';
import { DenseFeedForward, Dropout, LayerNorm, Linear, Module, type ReversibleLayer } from '../../src/nn/index.js';
import { add, attend, cast, reshape, split, transpose } from '../../src/ops/index.js';
import { scope, type Tensor } from '../../src/tensor/index.js';
import { expectClose, type Numbers } from '../support/compare.js';

export interface LayerOptions {
  readonly features: number;
  readonly heads?: number;
  readonly rate?: number;
  /** Sorts tokens by a hash instead of attending to all before. */
  readonly hashed?: { readonly length: number; readonly chunkLength: number; readonly rounds: number };
}

/** f = dropout(attention(norm x)), g = feed-forward(norm x). */
export class Layer extends Module {
  readonly normF: LayerNorm;
  readonly projection: Linear;
  readonly dropout: Dropout;
  readonly normG: LayerNorm;
  readonly feedForward: DenseFeedForward;

  constructor(readonly options: LayerOptions) {
    super();
    const { features, rate = 0 } = options;
    this.normF = this.child('normF', new LayerNorm(features));
    this.projection = this.child('projection', new Linear(features, 3 * features));
    this.dropout = this.child('dropout', new Dropout(rate));
    this.normG = this.child('normG', new LayerNorm(features));
    this.feedForward = this.child('feedForward', new DenseFeedForward(features, 2 * features, { dropout: rate }));
  }

  f(x: Tensor): Tensor {
    const { features, heads = 2, hashed } = this.options;
    return scope(() => {
      const [B, n] = x.shape as [number, number];
      const ofHeads = (y: Tensor): Tensor => transpose(reshape(y, [B, n, heads, features / heads]), [0, 2, 1, 3]);
      const [q, k, v] = split(this.projection.forward(this.normF.forward(x)), [features, features, features], {
        axis: -1,
      }).map(ofHeads) as [Tensor, Tensor, Tensor];
      const { out } = hashed ? this.#reformer(q, k, v, hashed) : attend(q, k, v, { causal: true });
      return this.dropout.forward(reshape(transpose(out, [0, 2, 1, 3]), x.shape));
    });
  }

  g(x: Tensor): Tensor {
    return scope(() => this.feedForward.forward(this.normG.forward(x)));
  }

  #reformer(q: Tensor, k: Tensor, v: Tensor, { chunkLength, rounds }: NonNullable<LayerOptions['hashed']>) {
    return reformer.run(q, k, v, { chunkLength, rounds, causal: true });
  }
}

export const layersOf = (modules: readonly Layer[]): ReversibleLayer[] =>
  modules.map((module) => ({ modules: [module], f: (x) => module.f(x), g: (x) => module.g(x) }));

/** The formula, kept by the tape as it is. */
export function plainly(
  layers: readonly ReversibleLayer[],
  x1: Tensor,
  x2: Tensor,
  given: readonly Tensor[] = [],
): readonly [Tensor, Tensor] {
  return scope(() => {
    let [a, b] = [x1, x2];
    for (const { f, g } of layers) {
      a = add(a, cast(f(b, ...given), 'f32'));
      b = add(b, cast(g(a, ...given), 'f32'));
    }
    return [a, b] as const;
  });
}

export const largest = (numbers: Numbers): number =>
  Array.from(numbers).reduce<number>((most, x) => Math.max(most, Math.abs(x)), 0);

/** Equal up to a share of the largest number of each. */
export const expectNear = (who: string, got: readonly Numbers[], want: readonly Numbers[], relative: number): void =>
  want.forEach((one, i) => expectClose(`${who} ${i}`, got[i]!, one, { budget: relative * largest(one) }));

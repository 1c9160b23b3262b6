import { checkRate } from '../../../src/ops/dropout.js';
import { add, crossEntropy, detach, mul, reshape } from '../../../src/ops/index.js';
import { IGNORED } from '../../../src/models/loss.js';
import type { Loss, LossOptions, Model, ModelState, TokenBatch } from '../../../src/models/model.js';
import { Dropout, Embedding, DenseFeedForward, Module } from '../../../src/nn/index.js';
import { observed } from '../../../src/nn/observe.js';
import { scope, type Tensor } from '../../../src/tensor/index.js';

export interface ToyOptions {
  readonly vocabulary?: number;
  readonly width?: number;
  readonly length?: number;
  readonly dropout?: number;
  /** Each segment is added, halved, to the next. */
  readonly memory?: boolean;
  /** Seen by every layer on its output. */
  readonly spoil?: (path: string, x: Tensor) => Tensor;
}

class Layer extends Module {
  readonly feedForward: DenseFeedForward;
  readonly dropout: Dropout;

  constructor(width: number, dropout: number) {
    super();
    this.feedForward = this.child('feedForward', new DenseFeedForward(width, 2 * width));
    this.dropout = this.child('dropout', new Dropout(dropout));
  }

  forward(x: Tensor, spoil: ToyOptions['spoil']): Tensor {
    const y = add(x, this.dropout.forward(this.feedForward.forward(x)));
    return observed(this.path, spoil?.(this.path, y) ?? y);
  }
}

/** A model of the next byte from this one, which learns in moments. */
export class Toy extends Module implements Model {
  readonly vocabulary: number;
  readonly length: number;
  readonly #memory: boolean;
  readonly #embedding: Embedding;
  readonly #layers: readonly Layer[];
  readonly #spoil: ToyOptions['spoil'];

  constructor({ vocabulary = 32, width = 8, length = 6, dropout = 0, memory = false, spoil }: ToyOptions = {}) {
    super();
    checkRate('Toy', dropout);
    [this.vocabulary, this.length, this.#memory, this.#spoil] = [vocabulary, length, memory, spoil];
    this.#embedding = this.child('embedding', new Embedding(vocabulary, width));
    this.#layers = [0, 1].map((i) => this.child(`layers-${i}`, new Layer(width, dropout)));
  }

  loss({ tokens, targets }: TokenBatch, { reduction = 'mean', state }: LossOptions = {}): Loss {
    return scope(() => {
      let x = observed('embedding', this.#embedding.forward(tokens));
      const before = state?.['before'];
      if (before !== undefined) x = add(x, mul(before, 0.5));
      const next: ModelState | undefined = this.#memory ? { before: detach(x) } : undefined;
      for (const layer of this.#layers) x = layer.forward(x, this.#spoil);
      const logits = observed('embedding.logits', this.#embedding.logits(x));
      const rows = reshape(logits, [targets.size, this.vocabulary]);
      const losses = crossEntropy(rows, reshape(targets, [targets.size]), { reduction, ignoreIndex: IGNORED });
      const loss = reduction === 'none' ? reshape(losses, targets.shape) : losses;
      return { loss, ...(next && { state: next }) };
    });
  }
}

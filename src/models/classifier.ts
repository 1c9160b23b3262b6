import { constantOf, learned } from '../attention/parameters.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { checkValues, listOfNumbers } from '../core/requirements.js';
import { show } from '../core/shape.js';
import { Dropout, Linear, Module, type Context, type Outcome, type Parameter } from '../nn/index.js';
import { add, argmax, cast, crossEntropy, matmul, reshape, softmax } from '../ops/index.js';
import { commonDevice, noGradient, scope, tensor, type Tensor } from '../tensor/index.js';
import { checkConfig, type ModelConfig } from './config.js';
import {
  checkBatch,
  checkLossOptions,
  precisions,
  type LanguageModel,
  type Loss,
  type LossOptions,
  type TokenBatch,
} from './model.js';
import { Stack } from './stack.js';
import { Ends } from './transformer.js';

/**
 * An encoder or decoder that tells classes of texts: `logits = W·pool(h) + b`, h being the rows after the last layer. The pool of the n real
 * rows is their mean, the first, the last, or `Σ softmax_i(q·h_i)·h_i` with a learned q, which begins as the mean.
 */
export class Classifier extends Module implements LanguageModel {
  readonly ends: Ends;
  readonly stack: Stack;
  readonly head: Linear;
  readonly #dropout: Dropout;
  readonly #query: Parameter | undefined;

  constructor(readonly config: ModelConfig) {
    super();
    checkConfig('Classifier', config);
    const { head, width, dropout, kind } = config;
    if (head === undefined) {
      throw new OptionError('Classifier: takes a configuration with a head, such as { "head": { "classes": 2 } }.');
    }
    // no token is predicted
    this.ends = this.child('ends', new Ends({ ...config, tied: true }));
    this.stack = this.child('stack', new Stack(config, { causal: kind === 'decoder', cross: false }));
    this.#dropout = this.child('dropout', new Dropout(dropout));
    this.head = this.child('head', new Linear(width, head.classes));
    this.#query = head.pool === 'attention' ? this.parameter('query', learned([width], constantOf(0))) : undefined;
  }

  get vocabulary(): number {
    return this.config.vocabulary;
  }

  get length(): number {
    return this.config.length;
  }

  /** `[B, classes]` of tokens `[B, L]`, f32. */
  logits(tokens: Tensor, context: Pick<Context, 'lengths' | 'precision'> = {}): Tensor {
    return this.#run(tokens, context).logits;
  }

  /** The batch's targets are the classes, `[B]`. */
  loss(batch: TokenBatch, options: LossOptions = {}): Loss {
    checkBatch(batch, { lengths: listOfNumbers });
    checkLossOptions('model.loss', options);
    const { tokens, targets, lengths } = batch;
    const { reduction = 'mean', predictions = false, precision } = options;
    commonDevice('model', [tokens, targets]);
    if (targets.rank !== 1 || targets.shape[0] !== tokens.shape[0]) {
      throw new ShapeError(
        `model: targets must be [B], a class for each text; got tokens=${show(tokens.shape)}, targets=${show(targets.shape)}.`,
      );
    }
    return scope(() => {
      const { logits, beside } = this.#run(tokens, { precision, lengths });
      return {
        ...beside,
        loss: crossEntropy(logits, targets, { reduction }),
        ...(predictions && { predictions: noGradient(() => argmax(logits, { axis: 1 })) }),
      };
    });
  }

  #run(tokens: Tensor, context: Context): { readonly logits: Tensor; readonly beside: Omit<Outcome, 'stream'> } {
    checkValues('model', context, { lengths: listOfNumbers, precision: precisions });
    commonDevice('model', [tokens]);
    return scope(() => {
      const places = this.stack.positions.embed(tokens.shape[1] ?? 1, 0, tokens.device);
      const { stream, ...beside } = this.stack.forward(this.ends.embed(tokens, places), context);
      // a state is for the text after this one, and there is none
      const { state: _, ...rest } = beside;
      const lengths = context.lengths?.map((length) => this.stack.rowsFor(length));
      return {
        logits: this.head.forward(this.#dropout.forward(this.#pooled(cast(stream, 'f32'), lengths))),
        beside: rest,
      };
    });
  }

  /** `[B, L, width]` → `[B, width]`: the rows by weights `[B, 1, L]`, 0 behind the real ones. */
  #pooled(rows: Tensor, lengths: readonly number[] | undefined): Tensor {
    const [B, L, width] = rows.shape as [number, number, number];
    const real = (row: number): number => lengths?.[row] ?? L;
    const each = (of: (place: number, length: number) => number): Tensor =>
      tensor(
        Float32Array.from({ length: B * L }, (_, i) => of(i % L, real(Math.floor(i / L)))),
        [B, 1, L],
        {
          device: rows.device,
        },
      );
    const weights = (): Tensor => {
      switch (this.config.head!.pool) {
        case 'mean':
          return each((place, length) => (place < length ? 1 / length : 0));
        case 'first':
          return each((place) => Number(place === 0));
        case 'last':
          return each((place, length) => Number(place === length - 1));
        case 'attention': {
          const scores = reshape(matmul(rows, reshape(this.#query!.value, [width, 1])), [B, 1, L]);
          return softmax(
            lengths
              ? add(
                  scores,
                  each((place, length) => (place < length ? 0 : -Infinity)),
                )
              : scores,
          );
        }
        default:
          return this.config.head!.pool satisfies never;
      }
    };
    return scope(() => reshape(matmul(weights(), rows), [B, width]));
  }
}

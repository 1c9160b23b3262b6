import { constantOf, learned } from '../attention/parameters.js';
import { isFloat } from '../core/dtype.js';
import { CapabilityError, OptionError, ShapeError } from '../core/errors.js';
import { checkValues, type Requirements } from '../core/requirements.js';
import { sameShape, show } from '../core/shape.js';
import {
  Dropout,
  Linear,
  Module,
  Residual,
  type Context,
  type FeedForward,
  type Outcome,
  type Parameter,
} from '../nn/index.js';
import { feedForward } from '../nn/feed-forward/registry.js';
import { add, argmax, cast, crossEntropy, matmul, mean, reshape, softmax, square, sub, sum } from '../ops/index.js';
import { commonDevice, noGradient, scope, someTensor, tensor, type Tensor } from '../tensor/index.js';
import { rowWidth } from './config-ends.js';
import { feedForwardSizes } from './config-layers.js';
import { checkConfig, type ModelConfig } from './config.js';
import {
  checkBatch,
  checkLossOptions,
  ofGlobals,
  padded,
  precisions,
  type LanguageModel,
  type Loss,
  type LossOptions,
  type TokenBatch,
} from './model.js';
import { IGNORED } from './loss.js';
import { Transform } from './transform.js';
import { Stack } from './stack.js';
import { Ends } from './ends.js';

/** What a call reads beside the tokens. */
type Given = Pick<Context, 'lengths' | 'mask' | 'globalTokens' | 'precision' | 'types'>;
const inputs: Requirements = { ...padded, ...ofGlobals, types: someTensor };
const given: Requirements = { ...inputs, precision: precisions };

/**
 * An encoder or decoder that tells classes of texts: `logits = W·dense(pool(h)) + b`, h being the rows after the last layer. The pool of the
 * n real rows is their mean, the first, the last, or `Σ softmax_i(q·h_i)·h_i` with a learned q, which begins as the mean; pool `none` keeps
 * them, and each has classes of its own. `dense` is a layer of the configuration's `head`, absent from most: the pooler of BERT.
 */
export class Classifier extends Module implements LanguageModel {
  readonly ends: Ends;
  readonly stack: Stack;
  /** Absent from a model that gives what is pooled. */
  readonly head: Linear | undefined;
  readonly #dense: Transform | undefined;
  readonly #feed: { readonly layer: FeedForward; readonly around: Residual } | undefined;
  readonly #dropout: Dropout;
  readonly #query: Parameter | undefined;

  constructor(readonly config: ModelConfig) {
    super();
    checkConfig('Classifier', config);
    const { head, dropout, kind, norm, width: narrow } = config;
    const width = rowWidth(config);
    if (head === undefined) {
      throw new OptionError('Classifier: takes a configuration with a head, such as { "head": { "classes": 2 } }.');
    }
    // no token is predicted
    this.ends = this.child('ends', new Ends({ ...config, tied: true }));
    this.stack = this.child('stack', new Stack(config, { causal: kind === 'decoder', cross: false }));
    this.#dropout = this.child('dropout', new Dropout(dropout));
    this.#feed = head.feedForward ? this.#feeding(config) : undefined;
    const { classes, dense: activation, denseBias: bias } = head;
    const options = activation && { activation, bias, norm: head.norm ? norm : undefined };
    this.#dense = options && this.child('dense', new Transform(width, narrow, options));
    const read = options ? narrow : width;
    this.head =
      classes === undefined ? undefined : this.child('head', new Linear(read, classes, { bias: head.bias ?? true }));
    this.#query = head.pool === 'attention' ? this.parameter('query', learned([width], constantOf(0))) : undefined;
  }

  #feeding(config: ModelConfig): { readonly layer: FeedForward; readonly around: Residual } {
    const { dropout, kind, norm } = config;
    const { name, options } = config.feedForward;
    const { kind: ofNorm, place: normPlace, epsilon, bias, centred } = norm;
    const sizes = feedForwardSizes(config, config, kind === 'decoder');
    return {
      layer: this.child('feedForward', feedForward(name).create(sizes, options)),
      around: this.child(
        'feedForwardResidual',
        new Residual(config.width, { norm: ofNorm, normPlace, epsilon, bias, centred, dropout }),
      ),
    };
  }

  get vocabulary(): number {
    return this.config.vocabulary;
  }

  get length(): number {
    return this.config.length;
  }

  /** `[B, L, width]` of tokens `[B, L]`: the rows after the last layer. */
  hidden(tokens: Tensor, context: Given = {}): Tensor {
    return this.#rows(tokens, context).stream;
  }

  /** What classes are read from, `[B, width]`, or `[B, L, width]` of pool `none`; f32. */
  pooled(tokens: Tensor, context: Given = {}): Tensor {
    return scope(() => this.#readOf(this.hidden(tokens, context), context));
  }

  /** `[B, classes]` of tokens `[B, L]`, or `[B, L, classes]` of pool `none`; f32. @throws CapabilityError for a model without classes. */
  logits(tokens: Tensor, context: Given = {}): Tensor {
    return this.#run(tokens, context).logits;
  }

  /**
   * The batch's targets are the classes, `[B]`; of pool `none` those of each token, `[B, L]`, −100 where none is asked for. A model of one
   * class tells a number: its targets are floats, `[B]`, the loss is `(logit − target)²`, and predictions are the logits.
   */
  loss(batch: TokenBatch, options: LossOptions = {}): Loss {
    checkBatch(batch, inputs);
    checkLossOptions('model.loss', options);
    const { tokens, targets, lengths, mask, globalTokens, types } = batch;
    const { reduction = 'mean', predictions = false, precision } = options;
    commonDevice('model', [tokens, targets]);
    return scope(() => {
      const { logits, beside } = this.#run(tokens, { precision, lengths, mask, globalTokens, types });
      const wanted = logits.shape.slice(0, -1);
      if (!sameShape(targets.shape, wanted)) {
        const each = wanted.length === 1 ? '[B], a class for each text' : `${show(wanted)}, a class for each row`;
        throw new ShapeError(
          `model: targets must be ${each}; got tokens=${show(tokens.shape)}, targets=${show(targets.shape)}.`,
        );
      }
      if (this.config.head!.classes === 1) return { ...beside, ...squared(reshape(logits, wanted), targets, options) };
      const ignored = wanted.length > 1 && { ignoreIndex: IGNORED };
      return {
        ...beside,
        loss: crossEntropy(logits, targets, { reduction, ...ignored }),
        ...(predictions && { predictions: noGradient(() => argmax(logits, { axis: wanted.length })) }),
      };
    });
  }

  #run(tokens: Tensor, context: Given): { readonly logits: Tensor; readonly beside: Omit<Outcome, 'stream'> } {
    return scope(() => {
      if (this.head === undefined) {
        throw new CapabilityError(
          'model: tells no classes, since its head has none; take pooled, or set head.classes.',
        );
      }
      const { stream, ...beside } = this.#rows(tokens, context);
      // a state is for the text after this one, and there is none
      const { state: _, ...rest } = beside;
      return { logits: this.head.forward(this.#dropout.forward(this.#readOf(stream, context))), beside: rest };
    });
  }

  #rows(tokens: Tensor, context: Given): Outcome {
    checkValues('model', context, given);
    commonDevice('model', [tokens]);
    return scope(() => {
      const places = this.stack.positions.embedTokens(tokens, 0);
      return this.stack.forward(this.ends.embed(tokens, places, context.types), context);
    });
  }

  /** The same of rows `[B, L, width]` that `hidden` gave. @throws CapabilityError where a mask leaves open which rows are real. */
  read(stream: Tensor, context: Pick<Context, 'lengths' | 'mask'> = {}): Tensor {
    checkValues('model', context, padded);
    commonDevice('model', [stream]);
    const { pool } = this.config.head!;
    if (context.mask !== undefined && pool !== 'none' && pool !== 'first') {
      throw new CapabilityError(
        `model: pool ${pool} is of the real rows of a text, and a mask of pairs does not tell which those are; take lengths, or pool "first" or "none".`,
      );
    }
    const given = cast(stream, 'f32');
    const feed = this.#feed;
    const rows = feed ? feed.around.forward(given, (x) => feed.layer.forward(x, {})).stream : given;
    const lengths = context.lengths?.map((length) => this.stack.rowsFor(length));
    const pooled = this.#pooled(rows, lengths);
    return this.#dense?.forward(pooled) ?? pooled;
  }

  #readOf(stream: Tensor, { lengths, mask }: Given): Tensor {
    return this.read(stream, { lengths, mask });
  }

  /** `[B, L, width]` → `[B, width]`, unless the pool is `none`: the rows by weights `[B, 1, L]`, 0 behind the real ones. */
  #pooled(rows: Tensor, lengths: readonly number[] | undefined): Tensor {
    const { pool } = this.config.head!;
    if (pool === 'none') return rows;
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
      switch (pool) {
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
          return pool satisfies never;
      }
    };
    return scope(() => reshape(matmul(weights(), rows), [B, width]));
  }
}

/** Of numbers `[B]` that texts have. */
function squared(
  found: Tensor,
  targets: Tensor,
  { reduction = 'mean', predictions = false }: LossOptions,
): Pick<Loss, 'loss' | 'predictions'> {
  if (!isFloat(targets.dtype)) {
    throw new OptionError(
      `model: one class is a number that each text has, so targets must be floats; got ${targets.dtype}.`,
    );
  }
  const each = square(sub(found, targets));
  const loss = { none: () => each, mean: () => mean(each), sum: () => sum(each) }[reduction]();
  return { loss, ...(predictions && { predictions: noGradient(() => reshape(found, found.shape)) }) };
}

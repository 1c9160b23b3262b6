import { ShapeError } from '../core/errors.js';
import { checkValues, flag, plainObject } from '../core/requirements.js';
import { show } from '../core/shape.js';
import { Dropout, Embedding, Linear, Module, type Context, type Offset, type Outcome } from '../nn/index.js';
import { observed } from '../nn/observe.js';
import { add, cast, gatherRows, mul, reshape } from '../ops/index.js';
import { commonDevice, scope, someTensor, type Tensor } from '../tensor/index.js';
import { checkConfig, type ModelConfig } from './config.js';
import { atLast, lastTargets } from './last-targets.js';
import { likeliest, tokenLoss } from './loss.js';
import {
  checkBatch,
  checkLossOptions,
  padded,
  reductions,
  type LanguageModel,
  type Loss,
  type LossOptions,
  type TokenBatch,
} from './model.js';
import { Session } from './session.js';
import { Stack } from './stack.js';
import type { SessionOptions, TextSession } from './text-session.js';
import { WholeSession } from './whole-session.js';

/** Embeddings, their dropout, and logits of the same or another table: the two ends of every model. */
export class Ends extends Module {
  readonly embedding: Embedding;
  readonly #dropout: Dropout;
  readonly #head: Linear | undefined;
  readonly #scale: number;

  constructor(readonly config: ModelConfig) {
    super();
    checkConfig('model', config);
    const { vocabulary, outputs = vocabulary, width, tied, dropout, position } = config;
    this.embedding = this.child('embedding', new Embedding(vocabulary, width));
    this.#dropout = this.child('dropout', new Dropout(dropout));
    this.#head = tied ? undefined : this.child('head', new Linear(width, outputs, { bias: false }));
    // beside rows of sines, as in section 3.4 of the paper (Vaswani et al. 2017)
    this.#scale = position.method === 'sinusoidal' ? Math.sqrt(width) : 1;
  }

  /** `[B, L, width]` of tokens `[B, L]`, with `rows [L, width]` of positions added. */
  embed(tokens: Tensor, rows: Tensor | undefined): Tensor {
    commonDevice('model', rows === undefined ? [tokens] : [tokens, rows]);
    if (tokens.rank !== 2) throw new ShapeError(`model: tokens must be [B,L]; got ${show(tokens.shape)}.`);
    return scope(() => {
      const plain = this.embedding.forward(tokens);
      const scaled = this.#scale === 1 ? plain : mul(plain, this.#scale);
      return observed(this.path, this.#dropout.forward(rows ? add(scaled, rows) : scaled));
    });
  }

  /** Logits of rows `[..., width]`, of the tokens that are predicted. */
  logits(rows: Tensor): Tensor {
    return this.#head?.forward(rows) ?? this.embedding.logits(rows, this.config.outputs);
  }

  /** The loss at `hidden [B, L, width]` for `targets [B, L]`, or for those of `places`, `[B, N]`; and predictions where asked for. */
  loss(
    hidden: Tensor,
    asked: Pick<TokenBatch, 'targets' | 'places'>,
    options: Pick<LossOptions, 'reduction' | 'predictions'> = {},
  ): Pick<Loss, 'loss' | 'predictions'> {
    checkValues('model', asked, { targets: someTensor, places: someTensor }, ['targets']);
    checkValues('model', options, { reduction: reductions, predictions: flag });
    const { targets, places } = asked;
    const { reduction = 'mean', predictions = false } = options;
    commonDevice('model', [hidden, targets, ...(places ? [places] : [])]);
    const [B, L, width] = hidden.shape as [number, number, number];
    const N = places === undefined ? L : (places.shape[1] ?? 0);
    if (targets.rank !== 2 || targets.shape[1] !== N) {
      const what = places === undefined ? `the layers give ${L} rows` : `places are ${show(places.shape)}`;
      throw new ShapeError(`model: ${what}, so targets must be [B,${N}]; got ${show(targets.shape)}.`);
    }
    return scope(() => {
      const picked = places === undefined ? hidden : gatherRows(hidden, places);
      const rows = reshape(picked, [B * N, width]);
      const head = (some: Tensor): Tensor => this.logits(some);
      const how = { head, modules: [this], chunk: this.config.lossChunk, reduction };
      const loss = tokenLoss(rows, reshape(targets, [B * N]), how);
      return {
        loss: reduction === 'none' ? reshape(loss, [B, N]) : loss,
        ...(predictions && { predictions: reshape(likeliest(rows, how), [B, N]) }),
      };
    });
  }
}

/**
 * A Transformer over tokens: a decoder, where each token sees those before it, or an encoder, where each sees all. Any mechanism,
 * position method and residual kind; see `ModelConfig`.
 */
export class Transformer extends Module implements LanguageModel {
  readonly ends: Ends;
  readonly stack: Stack;

  constructor(readonly config: ModelConfig) {
    super();
    this.ends = this.child('ends', new Ends(config));
    this.stack = this.child('stack', new Stack(config, { causal: config.kind === 'decoder', cross: false }));
  }

  get vocabulary(): number {
    return this.config.vocabulary;
  }

  get outputs(): number {
    return this.config.outputs ?? this.config.vocabulary;
  }

  get length(): number {
    return this.config.length;
  }

  /** Fewer than all where the rows of the last layer stand for the latest tokens. @throws OptionError unless length is at least 1. */
  predicts(length: number): number {
    const rows = this.stack.rowsFor(length);
    return this.stack.latest ? rows : length;
  }

  /** What the last layer gives, normalised: `[B, L, width]` of tokens `[B, L]`, i32. @throws ShapeError, OptionError. */
  hidden(tokens: Tensor, context: Context = {}): Tensor {
    return this.run(tokens, context).stream;
  }

  /** What the last layer gives, normalised, and what the layers give beside it. */
  run(tokens: Tensor, context: Context = {}): Outcome {
    return scope(() => this.stack.forward(this.embed(tokens, 0), context));
  }

  /** Embeddings with positions from `offset` on. */
  embed(tokens: Tensor, offset: Offset): Tensor {
    commonDevice('model', [tokens]);
    return this.ends.embed(tokens, this.stack.positions.embed(tokens.shape[1] ?? 1, offset, tokens.device));
  }

  /** `[B, L, vocabulary]`, f32; of layers that change the number of rows, at those that the last one gives. */
  logits(tokens: Tensor, context: Context = {}): Tensor {
    return scope(() => this.ends.logits(cast(this.hidden(tokens, context), 'f32')));
  }

  /** Texts that it goes on with: with caches, or computed anew where rows stand for the latest alone or layers share weights. */
  session(options: SessionOptions): TextSession {
    const { kind, layers } = this.config;
    const shared = new Set(this.stack.layers).size < layers;
    return kind === 'decoder' && (this.stack.latest || shared)
      ? new WholeSession(this, options)
      : new Session(this, options);
  }

  loss(batch: TokenBatch, options: LossOptions = {}): Loss {
    checkBatch(batch, { ...padded, places: someTensor });
    checkLossOptions('model.loss', options, { state: plainObject });
    const { tokens, targets, places, lengths, mask } = batch;
    const { reduction, predictions, precision, state } = options;
    return scope(() => {
      const { stream, ...beside } = this.run(tokens, { precision, lengths, mask, state });
      const [, L] = targets.shape as [number, number];
      const last = { rows: stream.shape[1]!, lengths };
      const asked = { reduction, predictions };
      if (!this.stack.latest || places || last.rows >= L) {
        return { ...beside, ...this.ends.loss(stream, { targets, ...(places && { places }) }, asked) };
      }
      const found = this.ends.loss(stream, { targets: lastTargets(targets, last) }, asked);
      return { ...beside, ...found, loss: reduction === 'none' ? atLast(found.loss, L, last) : found.loss };
    });
  }
}

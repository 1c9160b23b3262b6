import { plainObject } from '../core/requirements.js';
import { Module, type Context, type Offset, type Outcome } from '../nn/index.js';
import { checkContext } from '../nn/layer.js';
import { cast } from '../ops/index.js';
import { commonDevice, scope, someTensor, type Tensor } from '../tensor/index.js';
import type { ModelConfig } from './config.js';
import { Ends } from './ends.js';
import { atLast, lastTargets } from './last-targets.js';
import {
  checkBatch,
  checkLossOptions,
  ofGlobals,
  padded,
  type LanguageModel,
  type Loss,
  type LossOptions,
  type TokenBatch,
} from './model.js';
import { Session } from './session.js';
import { Stack } from './stack.js';
import type { SessionOptions, TextSession } from './text-session.js';
import { WholeSession } from './whole-session.js';

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
    commonDevice('model', [tokens]);
    checkContext('model', tokens, context);
    return scope(() => this.stack.forward(this.embed(tokens, 0, context.types), context));
  }

  /** Embeddings with positions from `offset` on, of tokens of the given types, default type 0 where the model has some. */
  embed(tokens: Tensor, offset: Offset, types?: Tensor): Tensor {
    commonDevice('model', [tokens]);
    return scope(() => this.ends.embed(tokens, this.stack.positions.embedTokens(tokens, offset), types));
  }

  /** `[B, L, vocabulary]`, f32; of layers that change the number of rows, at those that the last one gives. */
  logits(tokens: Tensor, context: Context = {}): Tensor {
    return scope(() => this.ends.logits(cast(this.hidden(tokens, context), 'f32')));
  }

  /** Texts that it goes on with: with caches, or computed anew where rows stand for the latest alone, layers share weights, or a mixer keeps no cache. */
  session(options: SessionOptions): TextSession {
    const { kind, layers } = this.config;
    const shared = new Set(this.stack.layers).size < layers;
    return kind === 'decoder' && (this.stack.latest || this.stack.whole || shared)
      ? new WholeSession(this, options)
      : new Session(this, options);
  }

  loss(batch: TokenBatch, options: LossOptions = {}): Loss {
    checkBatch(batch, { ...padded, ...ofGlobals, places: someTensor, types: someTensor });
    checkLossOptions('model.loss', options, { state: plainObject });
    const { tokens, targets, places, lengths, mask, globalTokens, types } = batch;
    const { reduction, predictions, precision, state } = options;
    return scope(() => {
      const { stream, ...beside } = this.run(tokens, { precision, lengths, mask, globalTokens, state, types });
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

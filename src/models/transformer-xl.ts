import type { FloatDtype } from '../core/dtype.js';
import { checkValues, plainObject } from '../core/requirements.js';
import { Module, type Outcome } from '../nn/index.js';
import { cast } from '../ops/index.js';
import { commonDevice, scope, type Tensor } from '../tensor/index.js';
import type { ModelConfig } from './config.js';
import { checkState, type LayerMemory } from './memory.js';
import {
  checkBatch,
  checkLossOptions,
  precisions,
  type LanguageModel,
  type TokenBatch,
  type Loss,
  type LossOptions,
  type ModelState,
} from './model.js';
import { RecurrentLayer } from './recurrent-layer.js';
import { SegmentSession } from './segment-session.js';
import { Stack, type StackOptions } from './stack.js';
import type { SessionOptions } from './text-session.js';
import { Ends } from './ends.js';

export interface SegmentOptions {
  /** What the segment before gave; undefined at the start of a text. */
  readonly state?: ModelState | undefined;
  /** As in `LossOptions`; the memory is stored in it too. Default `'f32'`. */
  readonly precision?: FloatDtype | undefined;
}

/** What the layers make of a segment. */
export interface Segment extends Omit<Outcome, 'stream' | 'state'> {
  /** `[B, T, width]`, normalised. */
  readonly hidden: Tensor;
  /** As `Loss`. */
  readonly state: ModelState;
}

/**
 * Transformer-XL: a decoder that reads a text in segments `h [B, T, width]` and sees those before through a memory. In
 * layer l queries are of `h_l`, keys and values of `[stopgrad(memory_l) ; h_l]`, positions are distances, and
 * afterwards `memory_l = last M rows of [memory_l ; h_l]`, M being `memory.length`. It sees up to layers · M tokens
 * back. (Dai et al. 2019, arXiv 1901.02860.)
 *
 * The memory starts empty, as in the authors' PyTorch code; their TensorFlow code begins with M rows of zeros, which a
 * first state `{ 'recent.0': zeros([B, M, width]), … }` gives. A norm that comes before the attention is taken of the
 * memory too. Rows are kept in the precision of the call, as the layers read them: what comes of a text is the same
 * however it is cut into segments, as long as the memory holds all that came before.
 */
export class TransformerXl extends Module implements LanguageModel {
  readonly ends: Ends;
  readonly stack: Stack;
  /** What its state is made of. */
  protected readonly kept: readonly (keyof LayerMemory)[] = ['recent'];

  constructor(
    readonly config: ModelConfig,
    layer: StackOptions['layer'] = (width, parts) => new RecurrentLayer(width, parts, config.memory.length),
  ) {
    super();
    this.ends = this.child('ends', new Ends(config));
    this.stack = this.child('stack', new Stack(config, { causal: true, cross: false, separate: true, layer }));
  }

  get vocabulary(): number {
    return this.config.vocabulary;
  }

  /** Tokens of a segment; a call may have more or fewer. */
  get length(): number {
    return this.config.length;
  }

  /** What the layers give for tokens `[B, T]`, i32. @throws ShapeError for a state of another model or batch. */
  segment(tokens: Tensor, options: SegmentOptions = {}): Segment {
    commonDevice('model', [tokens]);
    checkValues('model.segment', options, { state: plainObject, precision: precisions });
    const { state, precision = 'f32' } = options;
    return scope(() => {
      const x = this.ends.embed(tokens, undefined);
      const { kind, layers, width } = this.config;
      checkState(kind, state, { names: this.kept, layers, batch: x.shape[0]!, width });
      const { stream, state: next = {}, ...beside } = this.stack.forward(x, { state, precision });
      return { ...beside, hidden: stream, state: next };
    });
  }

  /** Logits `[B, T, vocabulary]`, f32, of the tokens after each of `tokens`, and the state for the next segment. */
  logits(tokens: Tensor, options: SegmentOptions = {}): { readonly logits: Tensor; readonly state: ModelState } {
    return scope(() => {
      const { hidden, state } = this.segment(tokens, options);
      return { logits: this.ends.logits(cast(hidden, 'f32')), state };
    });
  }

  session(options: SessionOptions): SegmentSession {
    return new SegmentSession(this, options);
  }

  loss(batch: TokenBatch, options: LossOptions = {}): Loss {
    checkBatch(batch);
    checkLossOptions('model.loss', options, { state: plainObject });
    const { tokens, targets } = batch;
    const { reduction, predictions, precision, state } = options;
    return scope(() => {
      const { hidden, ...rest } = this.segment(tokens, { state, precision });
      return { ...this.ends.loss(hidden, { targets }, { reduction, predictions }), ...rest };
    });
  }
}

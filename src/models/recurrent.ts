import type { FloatDtype } from '../core/dtype.js';
import { checkValues, plainObject } from '../core/requirements.js';
import { Module, type Outcome } from '../nn/index.js';
import { cast } from '../ops/index.js';
import { commonDevice, scope, someTensor, zeros, type Tensor } from '../tensor/index.js';
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
import { seesBothSides } from './model-config.js';
import { RecurrentLayer } from './recurrent-layer.js';
import { Stack, type StackOptions } from './stack.js';
import { Ends } from './ends.js';

export interface SegmentOptions {
  /** What the segment before gave; undefined at the start of a text. */
  readonly state?: ModelState | undefined;
  /** As in `LossOptions`; the memory is stored in it too. Default `'f32'`. */
  readonly precision?: FloatDtype | undefined;
  /** `[B, T]`, i32: the type of each token, where `position.segments` compares them; those of the memory are of type 0. */
  readonly types?: Tensor | undefined;
}

/** What the layers make of a segment. */
export interface Segment extends Omit<Outcome, 'stream' | 'state'> {
  /** `[B, T, width]`, normalised. */
  readonly hidden: Tensor;
  /** As `Loss`. */
  readonly state: ModelState;
}

/** A model that reads a text in segments and sees those before through a memory; see `TransformerXl` and `XlNet`. */
export class RecurrentModel extends Module implements LanguageModel {
  readonly ends: Ends;
  readonly stack: Stack;
  /** What its state is made of. */
  protected readonly kept: readonly (keyof LayerMemory)[] = ['recent'];

  constructor(
    readonly config: ModelConfig,
    layer: StackOptions['layer'] = (width, parts) => new RecurrentLayer(width, parts, config.memory),
  ) {
    super();
    this.ends = this.child('ends', new Ends(config));
    const causal = !seesBothSides(config);
    this.stack = this.child('stack', new Stack(config, { causal, cross: false, separate: true, layer }));
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
    checkValues('model.segment', options, { state: plainObject, precision: precisions, types: someTensor });
    const { precision = 'f32', types } = options;
    return scope(() => {
      const x = this.ends.embed(tokens, undefined, types);
      const { kind, layers, width } = this.config;
      const state = options.state ?? this.#initial(x);
      checkState(kind, state, { names: this.kept, layers, batch: x.shape[0]!, width });
      const { stream, state: next = {}, ...beside } = this.stack.forward(x, { state, precision, types });
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

  loss(batch: TokenBatch, options: LossOptions = {}): Loss {
    checkBatch(batch, { places: someTensor, types: someTensor });
    checkLossOptions('model.loss', options, { state: plainObject });
    const { tokens, targets, places, types } = batch;
    const { reduction, predictions, precision, state } = options;
    return scope(() => {
      const { hidden, ...rest } = this.segment(tokens, { state, precision, types });
      return { ...this.ends.loss(hidden, { targets, ...(places && { places }) }, { reduction, predictions }), ...rest };
    });
  }

  /** What each layer has before the first segment. */
  #initial(x: Tensor): ModelState | undefined {
    const { layers, width, memory } = this.config;
    if (memory.initial === undefined || memory.length === 0) return undefined;
    const rows = (): Tensor => zeros([x.shape[0]!, memory.length, width], { device: x.device });
    return Object.fromEntries(Array.from({ length: layers }, (_, layer) => [`recent.${layer}`, rows()]));
  }
}

import type { FloatDtype } from '../core/dtype.js';
import { checkValues, plainObject } from '../core/requirements.js';
import { Module } from '../nn/index.js';
import { add, cast, detach } from '../ops/index.js';
import { commonDevice, scope, type Tensor } from '../tensor/index.js';
import type { ModelConfig } from './config.js';
import { countRows, memoriesOf, rowsBetween, rowsOf, stateOf, type LayerMemory } from './memory.js';
import {
  checkLossOptions,
  precisions,
  type LanguageModel,
  type Loss,
  type LossOptions,
  type ModelState,
} from './model.js';
import { SegmentSession } from './segment-session.js';
import { Stack } from './stack.js';
import type { SessionOptions } from './text-session.js';
import { Ends } from './transformer.js';

export interface SegmentOptions {
  /** What the segment before gave; undefined at the start of a text. */
  readonly state?: ModelState | undefined;
  /** As in `LossOptions`; the memory is stored in it too. Default `'f32'`. */
  readonly precision?: FloatDtype | undefined;
}

/** What the layers make of a segment. */
export interface Segment {
  /** `[B, T, width]`, normalised. */
  readonly hidden: Tensor;
  /** As `Loss`. */
  readonly state: ModelState;
  readonly auxiliary?: Tensor;
}

/** What a layer carries on. */
export interface Carried {
  readonly memory: LayerMemory;
  readonly auxiliary?: Tensor | undefined;
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

  constructor(readonly config: ModelConfig) {
    super();
    this.ends = this.child('ends', new Ends(config));
    this.stack = this.child('stack', new Stack(config, { causal: true, cross: false, separate: true }));
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
      let x = this.ends.embed(tokens, undefined);
      const { layers } = this.stack;
      const rule = { names: this.kept, layers: layers.length, batch: x.shape[0]!, width: this.config.width };
      const carried = memoriesOf(this.config.kind, state, rule).map((stored, i) => {
        const [recent, compressed] = [stored.recent, stored.compressed].map((rows) => rows && cast(rows, precision));
        const before = { recent, compressed };
        const next = this.carry(i, before, cast(detach(x), precision));
        x = layers[i]!.forwardAfter(rowsOf(before), x, { precision });
        return next;
      });
      const auxiliaries = carried.flatMap(({ auxiliary }) => auxiliary ?? []);
      return {
        hidden: this.stack.finish(x),
        state: stateOf(carried.map(({ memory }) => memory)),
        ...(auxiliaries.length > 0 && { auxiliary: auxiliaries.reduce((sum, one) => add(sum, one)) }),
      };
    });
  }

  /** What layer `index` has after its input x came to what it had before; both are without gradient. */
  protected carry(_index: number, { recent }: LayerMemory, x: Tensor): Carried {
    const parts = [recent, x];
    return { memory: { recent: rowsBetween(parts, countRows(parts) - this.config.memory.length) } };
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

  loss(tokens: Tensor, targets: Tensor, options: LossOptions = {}): Loss {
    checkLossOptions('model.loss', options, { state: plainObject });
    const { reduction, precision, state } = options;
    return scope(() => {
      const { hidden, ...rest } = this.segment(tokens, { state, precision });
      return { loss: this.ends.loss(hidden, targets, reduction), ...rest };
    });
  }
}

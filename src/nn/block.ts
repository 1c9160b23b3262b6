import type { FloatDtype } from '../core/dtype.js';
import { anything, callable, checkValues, listOfNumbers, plainObject } from '../core/requirements.js';
import { OptionError } from '../core/errors.js';
import { cast, concat } from '../ops/index.js';
import { checkTensors, scope, someTensor, type Tensor } from '../tensor/index.js';
import { Attention, checkOver, type AttendOver, type AttentionOptions } from './attention.js';
import { FeedForward, type FeedForwardOptions } from './feed-forward.js';
import { Module } from './module.js';
import { observed } from './observe.js';
import { Residual, type ResidualOptions } from './residual.js';

export interface BlockOptions {
  readonly attention: AttentionOptions;
  /** Attention to an encoder's output between the two; default none. */
  readonly cross?: AttentionOptions | undefined;
  readonly feedForward: FeedForwardOptions & { readonly hidden: number };
  readonly residual: ResidualOptions;
}

/** What every layer of a stack is given. */
export interface Context extends AttendOver {
  /** How what is inside a branch is stored; the stream between the layers stays f32. Default `'f32'`. */
  readonly precision?: FloatDtype | undefined;
  /** What is computed in place of `attention.forward(rows)`, such as a step with a cache. */
  readonly attend?: ((attention: Attention, rows: Tensor) => Tensor) | undefined;
  /** An encoder's output, `[B, S, features]`, and its real rows. */
  readonly encoded?: Tensor | undefined;
  readonly encodedLengths?: readonly number[] | undefined;
}

const requirements = { attention: plainObject, cross: plainObject, feedForward: plainObject, residual: plainObject };
// what goes on to the attention is looked at there
const inContext = {
  source: anything,
  offset: anything,
  lengths: anything,
  precision: anything,
  attend: callable,
  encoded: someTensor,
  encodedLengths: listOfNumbers,
};

/**
 * A layer of a Transformer: a branch that mixes tokens, one that reads an encoder's output where there is one, and one that works on
 * each token by itself, with residual connections around them. `[B, L, features] → [B, L, features]`.
 */
export class Block extends Module {
  readonly attention: Attention;
  readonly cross: Attention | undefined;
  readonly feedForward: FeedForward;
  readonly #mixing: Residual;
  readonly #crossing: Residual | undefined;
  readonly #feeding: Residual;

  constructor(features: number, options: BlockOptions) {
    super();
    checkValues('Block', options, requirements, ['attention', 'feedForward', 'residual']);
    const { attention, cross, feedForward, residual } = options;
    const around = (name: string): Residual => this.child(name, new Residual(features, residual));
    this.#mixing = around('attentionResidual');
    this.attention = this.child('attention', new Attention(features, attention));
    if (cross !== undefined) {
      this.#crossing = around('crossResidual');
      this.cross = this.child('cross', new Attention(features, cross));
    }
    this.#feeding = around('feedForwardResidual');
    const { hidden, ...rest } = feedForward;
    this.feedForward = this.child('feedForward', new FeedForward(features, hidden, rest));
  }

  forward(x: Tensor, context: Context = {}): Tensor {
    this.#check(context);
    const { precision } = context;
    const attend = (rows: Tensor): Tensor => this.#attend(rows, context);
    return scope(() => {
      const mixed = observed(this.attention.path, this.#mixing.forward(x, attend, precision));
      const crossed = this.#crossing?.forward(mixed, (rows) => this.#cross(rows, context), precision) ?? mixed;
      return observed(
        this.path,
        this.#feeding.forward(crossed, (rows) => this.feedForward.forward(rows), precision),
      );
    });
  }

  /**
   * `forward` where x also sees `past`, what the stream was for the tokens before it: `[B, M, features]` each, oldest first. For an
   * attention that is `separate`.
   */
  forwardAfter(past: readonly Tensor[], x: Tensor, context: Context = {}): Tensor {
    checkTensors('Block', 'past', past);
    this.#check(context);
    if (context.source !== undefined) {
      throw new OptionError(`Block ${this.path}: source is made of what is past; leave it out.`);
    }
    const attend = (attention: Attention, rows: Tensor): Tensor => {
      const before = past.map((one) => this.given(one, context.precision));
      const source = before.length === 0 ? rows : concat([...before, rows], { axis: 1 });
      return attention.forward(rows, { ...over(context), source });
    };
    return this.forward(x, { ...context, attend });
  }

  /** What the attention is given for rows of the stream: normalised, where the norm comes first. */
  given(x: Tensor, precision?: FloatDtype): Tensor {
    return this.#mixing.given(x, precision);
  }

  /** What the mixing branch adds to the stream: f of a reversible layer. */
  mix(x: Tensor, context: Context = {}): Tensor {
    this.#check(context);
    const attend = (rows: Tensor): Tensor => this.#attend(rows, context);
    return observed(this.attention.path, this.#mixing.branch(x, attend, context.precision));
  }

  /** What the branch of single tokens adds to the stream: g of a reversible layer. */
  feed(x: Tensor, context: Context = {}): Tensor {
    this.#check(context);
    const { precision } = context;
    return observed(
      this.path,
      this.#feeding.branch(x, (rows) => this.feedForward.forward(rows), precision),
    );
  }

  #attend(rows: Tensor, context: Context): Tensor {
    return context.attend?.(this.attention, rows) ?? this.attention.forward(rows, over(context));
  }

  #check(context: Context): void {
    checkContext('Block', context);
    checkOver(this.attention, over(context));
    if ((context.encoded ?? context.encodedLengths) === undefined || this.cross !== undefined) return;
    throw new OptionError(`Block ${this.path}: has no attention to an encoder's output; leave it out.`);
  }

  #cross(rows: Tensor, { encoded, encodedLengths: lengths }: Context): Tensor {
    if (encoded === undefined) throw new OptionError(`Block ${this.path}: takes the encoder's output; got none.`);
    return this.cross!.forward(rows, { source: cast(encoded, rows.dtype), lengths });
  }
}

/** @throws OptionError for what no layer can be given. */
export const checkContext = (who: string, context: Context): void => checkValues(who, context, inContext);

/** What the attention itself is given. */
const over = ({ source, offset, lengths }: Context): AttendOver => ({
  source,
  lengths,
  ...(offset !== undefined && { offset }),
});

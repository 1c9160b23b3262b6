import type { FloatDtype } from '../core/dtype.js';
import { OptionError } from '../core/errors.js';
import { checkValues, flag, having, made, plainObject, wholeFrom } from '../core/requirements.js';
import { add, cast } from '../ops/index.js';
import { scope, type Tensor } from '../tensor/index.js';
import { Attention } from './attention.js';
import { branchContext, checkContext, type Context, type FeedForward, type Mixer } from './layer.js';
import { NoFeedForward } from './feed-forward/none.js';
import { Module } from './module.js';
import { observed } from './observe.js';
import { besideOf, outcomeOf, type Outcome } from './outcome.js';
import { Dropout } from './dropout.js';
import { Residual, type ResidualOptions } from './residual.js';

export interface BlockOptions {
  readonly mixer: Mixer;
  /** Features of the rows that the mixer gives, where those are not what it takes; then they are the stream from there on. */
  readonly width?: number;
  /** Attention to an encoder's output between the two; default none. */
  readonly cross?: Attention | undefined;
  readonly feedForward: FeedForward;
  readonly residual: ResidualOptions;
  /** Whether the mixing branch has a norm; default true. */
  readonly normBeforeMixing?: boolean;
  /** Rows in front for which that norm has weights of its own; default 0. */
  readonly prefix?: number;
}

const someModule = having('a module with forward', 'forward', 'namedParameters');
const requirements = {
  mixer: someModule,
  width: wholeFrom(1),
  cross: made('Attention', Attention),
  feedForward: someModule,
  residual: plainObject,
  normBeforeMixing: flag,
  prefix: wholeFrom(0),
};

/**
 * A layer of a Transformer: a branch that mixes tokens, one that reads an encoder's output where there is one, and one that works on
 * each token by itself, with residual connections around them. `[B, L, features] → [B, L, features]`, or fewer rows where the
 * mixer gives fewer.
 */
export class Block extends Module {
  readonly mixer: Mixer;
  readonly cross: Attention | undefined;
  readonly feedForward: FeedForward;
  readonly #mixing: Residual;
  readonly #crossing: Residual | undefined;
  readonly #feeding: Residual | undefined;
  /** Of a branch that reads what the norm of the mixing one gives. */
  readonly #dropout: Dropout | undefined;
  readonly #parallel: boolean;
  readonly #fed: boolean;

  constructor(features: number, options: BlockOptions) {
    super();
    checkValues('Block', options, requirements, ['mixer', 'feedForward', 'residual']);
    const { mixer, cross, feedForward, residual } = options;
    const { width = features } = options;
    const around = (name: string, of: number, own: Partial<ResidualOptions> = {}): Residual =>
      this.child(name, new Residual(of, { ...residual, ...own }));
    const { prefix } = options;
    this.#mixing = around('attentionResidual', features, {
      ...(options.normBeforeMixing === false && { bare: true }),
      ...(prefix !== undefined && { prefix }),
    });
    this.mixer = this.child(mixer instanceof Attention ? 'attention' : 'mixer', mixer);
    if (cross !== undefined) {
      this.#crossing = around('crossResidual', width);
      this.cross = this.child('cross', cross);
    }
    const { parallel, dropout, normPlace } = residual;
    this.#parallel = parallel !== undefined;
    if (
      this.#parallel &&
      (cross !== undefined || normPlace !== 'pre' || mixer.resize || mixer.restores !== undefined)
    ) {
      throw new OptionError(
        'Block: parallel branches take normPlace "pre", no attention to an encoder, and a mixer that gives as many rows as it takes.',
      );
    }
    this.#fed = !(feedForward instanceof NoFeedForward);
    if (!this.#fed && this.#parallel) throw new OptionError('Block: parallel branches take a feed-forward layer.');
    if (!this.#fed) this.#feeding = undefined;
    else if (parallel === 'one') this.#dropout = this.child('feedForwardDropout', new Dropout(dropout));
    else this.#feeding = around('feedForwardResidual', width);
    this.feedForward = this.child('feedForward', feedForward);
  }

  /** The mixer, where it is attention to q, k and v. */
  get attention(): Attention | undefined {
    return this.mixer instanceof Attention ? this.mixer : undefined;
  }

  /** Modules elsewhere whose parameters it reads. */
  get uses(): readonly Module[] {
    return [this.mixer, this.cross, this.feedForward].flatMap((part) => part?.uses ?? []);
  }

  forward(x: Tensor, context: Context = {}): Outcome {
    this.#check(x, context);
    if (this.#parallel) return this.#beside(x, context);
    return scope(() => {
      const mixed = this.#mixed(x, context);
      const crossed = this.#crossing?.forward(mixed.stream, (rows) => this.#cross(rows, context), context.precision);
      if (!this.#fed)
        return { ...besideOf([mixed, crossed ?? {}]), stream: observed(this.path, (crossed ?? mixed).stream) };
      const fed = this.#feeding!.forward(
        (crossed ?? mixed).stream,
        (rows) => this.feedForward.forward(rows, branchContext(context)),
        context.precision,
      );
      return { ...besideOf([mixed, crossed ?? {}, fed]), stream: observed(this.path, fed.stream) };
    });
  }

  /** `x + f(norm(x)) + g(norm(x))`. */
  #beside(x: Tensor, context: Context): Outcome {
    const { precision } = context;
    return scope(() => {
      const shared = this.#feeding ? undefined : this.#mixing.given(x, precision);
      const mixed = shared
        ? this.#mixing.added(this.#mix(shared, x, context))
        : this.#mixing.branch(x, (rows) => this.#mix(rows, x, context), precision);
      observed(this.mixer.path, mixed.stream);
      const feed = (rows: Tensor): Tensor | Outcome => this.feedForward.forward(rows, branchContext(context));
      const fed = shared ? this.#dropped(feed(shared)) : this.#feeding!.branch(x, feed, precision);
      return {
        ...besideOf([mixed, fed]),
        stream: observed(this.path, add(x, add(mixed.stream, fed.stream))),
      };
    });
  }

  #dropped(given: Tensor | Outcome): Outcome {
    const outcome = outcomeOf('Block: feedForward', given);
    return { ...outcome, stream: this.#dropout!.forward(outcome.stream) };
  }

  #mixed(x: Tensor, context: Context): Outcome {
    const { mixer } = this;
    const mix = (rows: Tensor): Tensor | Outcome => this.#mix(rows, x, context);
    const base = mixer.base ? mixer.base(x, branchContext(context)) : x;
    const mixed = base
      ? this.#mixing.forward(x, mix, context.precision, base)
      : this.#mixing.branch(x, mix, context.precision);
    observed(mixer.path, mixed.stream);
    return mixed;
  }

  /** What the mixer is given for rows of the stream: normalised, where the norm comes first. */
  given(x: Tensor, precision?: FloatDtype): Tensor {
    return this.#mixing.given(x, precision);
  }

  /** What the mixing branch adds to the stream: f of a reversible layer. */
  mix(x: Tensor, context: Context = {}): Outcome {
    this.#check(x, context);
    if (this.#parallel) throw new OptionError(`Block ${this.path}: parallel branches are not reversible.`);
    const mixed = this.#mixing.branch(x, (rows) => this.#mix(rows, x, context), context.precision);
    observed(this.mixer.path, mixed.stream);
    return mixed;
  }

  /** What the branch of single tokens adds to the stream: g of a reversible layer. */
  feed(x: Tensor, context: Context = {}): Outcome {
    this.#check(x, context);
    if (this.#parallel || !this.#fed) {
      throw new OptionError(`Block ${this.path}: one branch, or two beside each other, are not reversible.`);
    }
    const fed = this.#feeding!.branch(
      x,
      (rows) => this.feedForward.forward(rows, branchContext(context)),
      context.precision,
    );
    observed(this.path, fed.stream);
    return fed;
  }

  #check(x: Tensor, context: Context): void {
    checkContext('Block', x, context);
    if ((context.encoded ?? context.encodedLengths ?? context.encodedMask) === undefined || this.cross !== undefined)
      return;
    throw new OptionError(`Block ${this.path}: has no attention to an encoder's output; leave it out.`);
  }

  /** Of rows that are the normalised ones of `stream`. */
  #mix(rows: Tensor, stream: Tensor, context: Context): Tensor | Outcome {
    return context.attend?.(this.mixer, rows) ?? this.mixer.forward(rows, { ...branchContext(context), stream });
  }

  #cross(rows: Tensor, context: Context): Tensor | Outcome {
    const { attend, encoded, encodedLengths: lengths, encodedMask: mask, state, losses } = context;
    if (attend) return attend(this.cross!, rows);
    if (encoded === undefined) throw new OptionError(`Block ${this.path}: takes the encoder's output; got none.`);
    return this.cross!.forward(rows, { source: cast(encoded, rows.dtype), lengths, mask, state, losses });
  }
}

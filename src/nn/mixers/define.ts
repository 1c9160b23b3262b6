import type { AttentionShape, OptionSpecs, OptionValues } from '../../attention/options.js';
import type { Decoder, DecoderOptions, ParameterSpec, StepSeed } from '../../attention/index.js';
import { CapabilityError, OptionError, ShapeError } from '../../core/errors.js';
import { callable, flag, reasonsAgainst, wholeFrom, type Requirements } from '../../core/requirements.js';
import { show } from '../../core/shape.js';
import type { Mask } from '../../masks/index.js';
import { scope, Tensor } from '../../tensor/index.js';
import { Kind, kindFaults, type KindDefinition } from '../kind.js';
import { checkBranch, type BranchContext, type Mixer } from '../layer.js';
import { Module } from '../module.js';
import { outcomeOf, type NamedTensors, type Outcome } from '../outcome.js';
import type { Parameter } from '../parameter.js';
import { stepSeed } from '../step-seed.js';
import { mixerDecoder } from './decoder.js';

/** The sizes that options and parameters of a mechanism would see. */
export const shapeOf = ({ heads, headDim, length }: MixerSizes): AttentionShape => ({
  B: 1,
  H: heads,
  G: heads,
  L: length,
  S: length,
  D: headDim,
  E: headDim,
});

/** What a mixer is made for. */
export interface MixerSizes {
  readonly features: number;
  /** Of the rows that it gives; default features. */
  readonly width?: number;
  /** For those that have heads. */
  readonly heads: number;
  readonly headDim: number;
  /** Rows it is made for. */
  readonly length: number;
  /** Whether no row may see a later one. */
  readonly causal: boolean;
}

/** One call, checked and complete: what `forward` computes with. */
export interface MixerCall<O extends OptionSpecs = OptionSpecs, P extends string = string> {
  /** `[B, L, features]` */
  readonly x: Tensor;
  readonly sizes: MixerSizes;
  readonly options: OptionValues<O>;
  readonly parameters: Readonly<Record<P, Tensor>>;
  /** The stream, of which x is normalised where the norm comes first: `[B, L, features]`. */
  readonly stream: Tensor;
  /** Where the mixer `restores`: the stream before a layer gave fewer rows, `[B, L′, features]`. */
  readonly earlier: Tensor | undefined;
  /** Real rows of each sequence. */
  readonly lengths: readonly number[] | undefined;
  /** Pairs of rows that may see each other; undefined: all. */
  readonly mask: Mask | undefined;
  /** What the call before gave as `state`. */
  readonly state: NamedTensors;
  /** Whether `losses` are asked for. */
  readonly losses: boolean;
  /** The step, in training; undefined otherwise: no noise then, and no `updates`. */
  readonly training: StepSeed | undefined;
}

/** As `Outcome`; next values of drawn parameters are keyed by name. */
export interface MixerResult<P extends string = string> extends Omit<Outcome, 'updates'> {
  readonly updates?: Readonly<Partial<Record<P, Tensor>>>;
}

export interface MixerDefinition<O extends OptionSpecs = OptionSpecs, P extends string = string> extends KindDefinition<
  MixerSizes,
  O
> {
  readonly supports: {
    readonly causal: boolean;
    /** Sequences of which only the first rows are real. */
    readonly padding: boolean;
    /** A mask of pairs of rows; default false. */
    readonly mask?: boolean;
  };
  parameters?(this: void, sizes: MixerSizes, options: OptionValues<O>): Readonly<Record<P, ParameterSpec>>;
  /** Rows that it gives for so many; default as many. */
  resize?(this: void, rows: number, options: OptionValues<O>): number;
  /**
   * What its rows are added to where they are not as many as those of the stream; undefined: they are the stream from there on, as they are
   * by default for those with `resize`.
   */
  base?(this: void, stream: Tensor, options: OptionValues<O>): Tensor | undefined;
  /**
   * Of a mixer that gives the rows back that the stream had before a layer gave fewer: how many it takes. It gives as many as
   * `call.earlier` has, and they are added to that; it has no `resize`.
   */
  restores?(this: void, options: OptionValues<O>): number | 'any';
  /**
   * Whether the rows that it gives where no row may see a later one stand for the latest ones, so that a decoder goes on with them and is
   * trained on what follows each. Default false.
   */
  readonly latest?: boolean;
  /** Whether the rows that it gives may have another width than those that it takes. Default false. */
  readonly widens?: boolean;
  /** Whether a decoder goes on with a text by computing all of it anew at every step, for it keeps no cache. Default false. */
  readonly whole?: boolean;
  /**
   * What a decoder goes on with in place of a cache: as `forward` for the next rows of texts without padding, `call.state` being the state
   * that it gave before, empty at the start, and as many bytes each time.
   */
  recurrence?(this: void, call: MixerCall<O, P>): Pick<MixerResult<P>, 'stream'> & { readonly state: NamedTensors };
  /** `[B, L, features] → [B, L′, features]`, in the dtype of x. */
  forward(this: void, call: MixerCall<O, P>): Tensor | MixerResult<P>;
}

const requirements: Requirements = {
  parameters: callable,
  resize: callable,
  base: callable,
  restores: callable,
  latest: flag,
  widens: flag,
  whole: flag,
  recurrence: callable,
  forward: callable,
};

const extent = wholeFrom(1);
const ofSizes = { features: extent, width: extent, heads: extent, headDim: extent, length: extent, causal: flag };

/** A kind of mixer; made by `defineMixer`. */
export class MixerKind<O extends OptionSpecs = OptionSpecs, P extends string = string> extends Kind<
  MixerSizes,
  O,
  MixerDefinition<O, P>
> {
  constructor(definition: MixerDefinition<O, P>) {
    super(definition, {
      sizes: ofSizes,
      optional: ['width'],
      shapeOf,
      incapable: ({ causal, features, width = features }) => [
        ...(causal && !definition.supports.causal ? ['has no causal form; take it for an encoder'] : []),
        ...(width !== features && (!definition.widens || causal)
          ? [`gives rows as wide as it takes; got ${features} and ${width}`]
          : []),
      ],
    });
  }

  /** The branch of a layer, without values yet. @throws as `settle`. */
  create(sizes: MixerSizes, options: Readonly<Record<string, unknown>> = {}): Mixer {
    return new DefinedMixer(this.definition, sizes, this.settle(sizes, options));
  }
}

/**
 * A mixer from its definition: the branch of a layer in which tokens see each other otherwise than by attention to q, k and v. Checks,
 * parameters, the model's configuration (`"mixer": { "name": …, "options": … }`) follow from it.
 *
 * @throws OptionError for a definition that is incomplete, with every reason.
 */
export function defineMixer<const O extends OptionSpecs, P extends string = never>(
  definition: MixerDefinition<O, P>,
): MixerKind<O, P> {
  const faults = kindFaults(definition, requirements, ['supports', 'forward']);
  const parts =
    faults.length > 0
      ? faults
      : [
          ...(definition.resize && definition.restores ? ['resize and restores exclude each other'] : []),
          ...(definition.recurrence && definition.whole ? ['recurrence and whole exclude each other'] : []),
          ...reasonsAgainst(definition.supports, { causal: flag, padding: flag, mask: flag }, ['causal', 'padding']),
        ];
  if (parts.length > 0) throw new OptionError(`defineMixer: ${parts.join('; ')}.`);
  return new MixerKind(definition);
}

class DefinedMixer<O extends OptionSpecs, P extends string> extends Module implements Mixer {
  readonly #own: ReadonlyMap<P, Parameter>;
  readonly base: Mixer['base'];
  readonly resize: Mixer['resize'];
  readonly restores: Mixer['restores'];
  readonly decoder: Mixer['decoder'];

  constructor(
    readonly definition: MixerDefinition<O, P>,
    readonly sizes: MixerSizes,
    readonly options: OptionValues<O>,
  ) {
    super();
    const specs = Object.entries<ParameterSpec>(definition.parameters?.(sizes, options) ?? {});
    this.#own = new Map(specs.map(([name, spec]) => [name as P, this.parameter(name, spec)]));
    const { base, resize, restores, recurrence } = definition;
    if (recurrence) this.decoder = (options) => this.#decoder(recurrence, options);
    this.restores = restores?.(options);
    this.resize = resize && ((rows) => resize(rows, options));
    if (base) this.base = (stream) => base(stream, options);
    else if (restores) this.base = (_, { earlier }) => earlier;
    else this.base = resize && (() => undefined);
  }

  forward(x: Tensor, context: BranchContext = {}): Outcome {
    const { definition, sizes, options } = this;
    checkBranch(definition.name, x, context);
    if (x.rank !== 3 || x.shape[2] !== sizes.features) {
      throw new ShapeError(`${definition.name} ${this.path}: x must be [B,L,${sizes.features}]; got ${show(x.shape)}.`);
    }
    const { lengths, mask, state = {}, losses = false, stream = x, earlier } = context;
    if ((this.restores === undefined) !== (earlier === undefined)) {
      const rule = this.restores ? 'takes the stream that had more rows, as earlier' : 'takes no earlier stream';
      throw new OptionError(`${definition.name} ${this.path}: ${rule}.`);
    }
    if (typeof this.restores === 'number' && x.shape[1] !== this.restores) {
      throw new ShapeError(`${definition.name} ${this.path}: takes ${this.restores} rows; got ${show(x.shape)}.`);
    }
    if (lengths?.some((length) => length !== x.shape[1]) && !definition.supports.padding) {
      throw new CapabilityError(`${definition.name}: takes no padding; give sequences of one length.`);
    }
    if (mask !== undefined && definition.supports.mask !== true) {
      throw new CapabilityError(
        `${definition.name}: takes no mask of pairs; give documents one by one, or take attention.`,
      );
    }
    const parameters = this.#parameters();
    return scope(() => {
      const training = stepSeed(this, definition.name);
      const call = { x, stream, earlier, sizes, options, parameters, lengths, mask, state, losses, training };
      const outcome = outcomeOf(definition.name, this.#named(definition.forward(call)));
      const rows = earlier?.shape[1] ?? this.resize?.(x.shape[1]!) ?? x.shape[1]!;
      const { shape } = outcome.stream;
      const { features, width = features } = sizes;
      if (shape.length !== 3 || shape[0] !== x.shape[0] || shape[1] !== rows || shape[2] !== width) {
        throw new ShapeError(`${definition.name}: must give [${x.shape[0]},${rows},${width}]; gave ${show(shape)}.`);
      }
      return outcome;
    });
  }

  #parameters(): Record<P, Tensor> {
    return Object.fromEntries([...this.#own].map(([name, { value }]) => [name, value])) as Record<P, Tensor>;
  }

  #decoder(recurrence: NonNullable<MixerDefinition<O, P>['recurrence']>, given: DecoderOptions): Decoder {
    const { definition, sizes, options } = this;
    const step = (x: Tensor, state: NamedTensors): ReturnType<typeof recurrence> =>
      recurrence({
        x,
        stream: x,
        earlier: undefined,
        sizes,
        options,
        parameters: this.#parameters(),
        lengths: undefined,
        mask: undefined,
        state,
        losses: false,
        training: undefined,
      });
    return mixerDecoder(definition, step, given);
  }

  /** What `forward` gave, next values by parameter in place of by name. */
  #named(given: Tensor | MixerResult<P>): Tensor | Outcome {
    if (given instanceof Tensor || (given as MixerResult | undefined)?.updates === undefined) return given as Outcome;
    const { updates, ...rest } = given;
    const next = Object.entries<Tensor>(updates as Readonly<Record<string, Tensor>>);
    return { ...rest, updates: new Map(next.map(([name, value]) => [this.#drawn(name), value])) };
  }

  #drawn(name: string): Parameter {
    const parameter = this.#own.get(name as P);
    if (parameter !== undefined && !parameter.spec.learned) return parameter;
    throw new OptionError(`${this.definition.name}: updates are of its drawn parameters; got ${name}.`);
  }
}

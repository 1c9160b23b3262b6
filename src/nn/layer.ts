import type { Decoder, DecoderOptions } from '../attention/index.js';
import { isFloat, type FloatDtype } from '../core/dtype.js';
import { OptionError } from '../core/errors.js';
import {
  callable,
  checkValues,
  flag,
  listOf,
  listOfNumbers,
  made,
  oneOf,
  plainObject,
  type Requirements,
} from '../core/requirements.js';
import { Mask } from '../masks/index.js';
import { checkTensors, commonDevice, someTensor, type Tensor } from '../tensor/index.js';
import type { Module } from './module.js';
import type { NamedTensors, Outcome } from './outcome.js';
import { offsets, type Offset } from './position-options.js';
import { Positions } from './positions.js';

/** What the branches of a layer are given beside the rows. */
export interface BranchContext {
  /** Rows of keys and values, `[B, S, features]`, of an attention that is `separate`; default x. */
  readonly source?: Tensor | undefined;
  /** Position of the first row of keys; default 0. */
  readonly offset?: Offset;
  /** Real rows of each sequence; those beyond are padding. */
  readonly lengths?: readonly number[] | undefined;
  /** Pairs of rows that may see each other, such as `document(ids)` of packed texts; default all that the mixer lets. */
  readonly mask?: Mask | undefined;
  /** Positions of global tokens, a list for each sequence, for a mechanism that has such; default those of its options. */
  readonly globalTokens?: readonly (readonly number[])[] | undefined;
  /** `[B, L]`, i32: the type of each token, for scores that tell segments apart (`position.segments`); default: they do not. */
  readonly types?: Tensor | undefined;
  /** What the call before gave of this text (`Outcome.state`); absent at its start. */
  readonly state?: NamedTensors | undefined;
  /** The stream of which the rows are the normalised ones; default x. A block gives it to its mixer. */
  readonly stream?: Tensor | undefined;
  /** For a mixer that `restores`: the stream before a layer gave fewer rows. */
  readonly earlier?: Tensor | undefined;
  /** Of a layer that pools, passed once more: it pools its rows no further, and this is where they are. */
  readonly again?: Positions | undefined;
  /** Whether further losses are asked for (`Outcome.losses`); a stack does where gradients are recorded. Default false. */
  readonly losses?: boolean | undefined;
}

/** What every layer of a stack is given. */
export interface Context extends BranchContext {
  /** How what is inside a branch is stored; the stream between the layers stays f32. Default `'f32'`. */
  readonly precision?: FloatDtype | undefined;
  /** What is computed in place of `mixer.forward(rows, context)`, such as a step with a cache; so for attention to an encoder. */
  readonly attend?: ((mixer: Mixer, rows: Tensor) => Tensor | Outcome) | undefined;
  /** An encoder's output, `[B, S, features]`, and its real rows. */
  readonly encoded?: Tensor | undefined;
  readonly encodedLengths?: readonly number[] | undefined;
  /** Which rows may see which of the encoder's. */
  readonly encodedMask?: Mask | undefined;
}

/** What hides pairs. */
export const someMask = made('a mask, such as document(ids)', Mask);

/** Lists of numbers, one for each sequence. */
export const someLists = listOf('lists of whole numbers', listOfNumbers);

const inBranch = {
  source: someTensor,
  offset: offsets,
  lengths: listOfNumbers,
  mask: someMask,
  globalTokens: someLists,
  types: someTensor,
  state: plainObject,
  losses: flag,
  stream: someTensor,
  earlier: someTensor,
  again: made('Positions', Positions),
};
const inContext = {
  ...inBranch,
  precision: oneOf(['f32', 'f16', 'bf16']),
  attend: callable,
  encoded: someTensor,
  encodedLengths: listOfNumbers,
  encodedMask: someMask,
};

/** @throws OptionError for what no layer is given, or a tensor that is not where x is. */
export const checkContext = (who: string, x: Tensor, context: Context): void => check(who, x, context, inContext);

/** @throws OptionError for what no branch is given, or a tensor that is not where x is. */
export const checkBranch = (who: string, x: Tensor, context: BranchContext): void => check(who, x, context, inBranch);

function check(who: string, x: Tensor, context: Context, requirements: Requirements): void {
  checkValues(who, context, requirements);
  const { source, encoded, stream, earlier, types, state = {} } = context;
  const given = [source, encoded, stream, earlier].filter((one) => one !== undefined);
  checkTensors(who, 'state', Object.values(state));
  commonDevice(who, [x, ...given, ...(types ? [types] : []), ...Object.values(state)]);
  if (types !== undefined && types.dtype !== 'i32') {
    throw new OptionError(`${who}: types must be i32; got ${types.dtype}.`);
  }
  if (given.some((one) => !isFloat(one.dtype))) {
    throw new OptionError(`${who}: source, encoded, stream and earlier must be floats.`);
  }
}

/** What the branches of a layer see of its context. */
export const branchContext = ({
  source,
  offset,
  lengths,
  mask,
  globalTokens,
  types,
  state,
  losses,
  earlier,
  again,
}: Context): BranchContext => ({
  source,
  earlier,
  again,
  lengths,
  mask,
  globalTokens,
  types,
  state,
  losses,
  ...(offset !== undefined && { offset }),
});

/** The branch of a layer in which tokens see each other. */
export interface Mixer extends Module {
  /** `[B, L, features] → [B, L′, features]`, in the dtype of x. */
  forward(x: Tensor, context: BranchContext): Tensor | Outcome;
  /** L′ for L rows, and for the real ones among them; default L. */
  resize?: ((rows: number) => number) | undefined;
  /**
   * What its rows are added to, of the stream x, where L′ is not L: `[B, L′, features]`. Undefined: its rows are the stream from there on.
   * Default: x.
   */
  base?: ((x: Tensor, context: BranchContext) => Tensor | undefined) | undefined;
  /** Rows L that it takes, where it gives those that the stream had before a layer gave fewer; that stream is `earlier` to it. */
  readonly restores?: number | 'any' | undefined;
  /** Of one with a recurrence: what goes on with texts, of their rows as one head, `[B, 1, L, features]`. */
  readonly decoder?: ((options: DecoderOptions) => Decoder) | undefined;
  /** Modules elsewhere whose parameters it reads. */
  readonly uses?: readonly Module[];
}

/** The branch of a layer that works on each token by itself. */
export interface FeedForward extends Module {
  /** `[B, L, features] → [B, L, features]`, in the dtype of x. */
  forward(x: Tensor, context: BranchContext): Tensor | Outcome;
  /** Modules elsewhere whose parameters it reads. */
  readonly uses?: readonly Module[];
}

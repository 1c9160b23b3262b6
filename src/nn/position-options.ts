import {
  flag,
  oneOf,
  plainObject,
  positive,
  reasonsAgainst,
  wholeFrom,
  type Requirement,
  type Requirements,
} from '../core/requirements.js';
import type { RopeScaling } from '../positions/index.js';
import { sinusoidalVariants, type SinusoidalVariant } from '../positions/sinusoidal.js';
import type { SlopeOptions } from '../scores/index.js';
import { TextPlace } from '../tensor/index.js';
import type { PositionGrid } from './grid-table.js';

/** How a model knows where its tokens are; see `positionMethods`. */
export type PositionOptions =
  | { readonly method: 'none' }
  | ({ readonly method: 'sinusoidal' } & SinusoidalPositions)
  | ({ readonly method: 'alibi' } & AlibiOptions)
  | ({ readonly method: 'learned' } & LearnedPositions)
  | RelativePositions
  | {
      readonly method: 'rope';
      readonly base?: number;
      readonly scaling?: RopeScaling;
      /** Components of a head that turn, the first ones; even, default all. */
      readonly rotary?: number;
    }
  | { readonly method: 't5'; readonly buckets?: number; readonly maxDistance?: number };

/** Terms of distances in the scores; each layer has weights of its own. */
export interface RelativePositions {
  readonly method: 'transformer-xl';
  /** Distances from here on count as this one; for attention to what came before. */
  readonly clamp?: number;
  /** Sines and cosines of a distance, an even number; default as many as features, and where keys are on both sides at most 254 − D. */
  readonly components?: number;
  /** Terms of whether the types of two tokens are alike; for attention to both sides. */
  readonly segments?: SegmentRule;
  /** Whether all layers have the same two biases, as in the authors' code, and not each its own; default false. */
  readonly shared?: boolean;
}

/** How types of tokens are compared, as batches name them in `types`. */
export interface SegmentRule {
  /** How many types there are. */
  readonly types: number;
  /** The type that is like every other; default none. */
  readonly class?: number;
}

const evenNumber: Requirement = {
  must: 'an even number of at least 2',
  holds: (value) => wholeFrom(2).holds(value) && (value as number) % 2 === 0,
};
export const ofRelative: Requirements = {
  clamp: wholeFrom(0),
  components: evenNumber,
  segments: plainObject,
  shared: flag,
};
const ofSegments: Requirements = { types: wholeFrom(2), class: wholeFrom(0) };

/** What is wrong with a rule of segments. */
export const segmentReasons = (rule: unknown): readonly string[] =>
  rule === undefined ? [] : reasonsAgainst(rule, ofSegments, ['types'], 'position.segments');

export interface AlibiOptions extends SlopeOptions {
  /** What the slopes are multiplied by: 1/√headDim in Falcon, which adds them before it scales the scores. Default 1. */
  readonly factor?: number;
  /** Whether the slopes are rounded to bfloat16, as Falcon has them; default: they are not. */
  readonly rounding?: 'bf16';
}

/** Of rows of sines. */
export interface SinusoidalPositions {
  /** Their layout and angles; default `'paper'`. fairseq (M2M-100, NLLB) has `'tensor2tensor'`. */
  readonly variant?: SinusoidalVariant;
  /** Position of the first token; default 0. */
  readonly first?: number;
}

/** Of a learned table. */
export interface LearnedPositions {
  /** Row that the first token reads; default 0. RoBERTa and Longformer: 2; BART: 2. */
  readonly first?: number;
  /** Rows of the table; default as many as the model's length needs. */
  readonly rows?: number;
  /** Token that has no position: it reads row `first − 1`, or 0, and those after it count as if it were not there. Default none. */
  readonly padding?: number;
  /** Two tables side by side in place of one, for the rows and columns of a grid that positions fill row by row. */
  readonly grid?: PositionGrid;
}

/** Position of the first token: of every sequence; a list, one for each; or a place that moves on, for steps of one token. */
export type Offset = number | readonly number[] | TextPlace;

export const offsets: Requirement = {
  must: 'a whole number of at least 0, or a list of them',
  holds: (value) =>
    wholeFrom(0).holds(value) ||
    value instanceof TextPlace ||
    (Array.isArray(value) && value.length > 0 && value.every((one) => wholeFrom(0).holds(one))),
};

export interface PositionSizes {
  readonly features: number;
  readonly heads: number;
  readonly headDim: number;
  /** Rows of a learned table. */
  readonly length: number;
  readonly causal: boolean;
  /** Tokens from one row to the next; default 1. */
  readonly stride?: number;
  /** Whether row 0 is a class, which is pooled by itself (`RowPooling`); default false. */
  readonly separateClass?: boolean;
}

export const extent = wholeFrom(1);

/** What each method takes beside its name. */
export const takes: Readonly<Record<PositionOptions['method'], Requirements>> = {
  none: {},
  sinusoidal: { variant: oneOf(sinusoidalVariants), first: wholeFrom(0) },
  alibi: { exponent: positive, factor: positive, rounding: oneOf(['bf16']) },
  learned: { first: wholeFrom(0), rows: extent, padding: wholeFrom(0), grid: plainObject },
  'transformer-xl': ofRelative,
  rope: { base: positive, scaling: plainObject, rotary: wholeFrom(2) },
  t5: { buckets: wholeFrom(2), maxDistance: wholeFrom(2) },
};
export const methods = oneOf(Object.keys(takes));
/** Of `PositionSizes`. */
export const needed = { features: extent, heads: extent, headDim: extent, length: extent, causal: flag };
export const ofSizes = { ...needed, stride: extent, separateClass: flag };

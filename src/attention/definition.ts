import { attend } from '../ops/attend.js';
import type { Choices } from './choices.js';
import type { Mask } from '../masks/index.js';
import type { Score } from '../scores/index.js';
import type { Tensor } from '../tensor/index.js';
import type { AttentionShape, OptionSpecs, OptionValues } from './options.js';
import type { ParameterSpecs } from './parameters.js';

/**
 * How a result relates to softmax attention: `exact`; `exact on its support` (exact over the pairs of its pattern);
 * `unbiased` (its expectation over the seed is exact up to the ratio of two unbiased sums); `biased`; `learned` (close
 * only after training).
 */
export const exactnesses = ['exact', 'exact on its support', 'unbiased', 'biased', 'learned'] as const;
export type Exactness = (typeof exactnesses)[number];

export const families = ['exact', 'patterns', 'low-rank', 'kernel-methods', 'hashing', 'mixers'] as const;

export interface Paper {
  readonly authors: string;
  readonly title: string;
  readonly year: number;
  /** arXiv id, where there is one. */
  readonly arxiv?: string;
}

/** What a mechanism takes; everything else is refused. */
export interface Supports {
  /** `'only'`: there is no bidirectional form. */
  readonly causal: boolean | 'only';
  /** Queries of another sequence, or L ≠ S. */
  readonly cross: boolean;
  /** `lengths`: keys beyond them are hidden. */
  readonly padding: boolean;
  /** A change of the scores. */
  readonly score: boolean;
  /** A mask of the caller's, such as that of packed documents: `forward` reads `call.mask`. Default: where it has no `forward`. */
  readonly mask?: boolean;
  /** `globalTokens` of a call, for each batch row its own: `forward` reads `call.globalTokens`. Default false. */
  readonly globalTokens?: boolean;
  /** Fewer key/value heads than query heads. */
  readonly groupedHeads: boolean;
  /** `'cache'`: steps attend to the keys so far; `'recurrent'`: a state of fixed size. */
  readonly decode: false | 'cache' | 'recurrent';
}

/** Tensors by name. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

/** A step of training: numbers that are drawn anew in it, such as noise, follow from both, as in `dropout`. */
export interface StepSeed {
  readonly seed: number;
  /** Names the step, and what draws in it. */
  readonly purpose: string;
}

/** One call, checked and complete: what `forward` computes with. */
export interface Call<O extends OptionSpecs = OptionSpecs, P extends string = string, I extends string = string> {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly shape: AttentionShape;
  readonly options: OptionValues<O>;
  readonly causal: boolean;
  readonly scale: number;
  readonly score: Score | undefined;
  /** Keys of each batch row; the others are padding. */
  readonly lengths: readonly number[] | undefined;
  readonly seed: number;
  /** The pattern, the padding and the caller's mask, without causality; undefined where everything may be seen. */
  readonly mask: Mask | undefined;
  /** The padding and the caller's mask alone. */
  readonly allowed: Mask | undefined;
  /** Positions of the global tokens of each batch row, in place of those of the options. */
  readonly globalTokens: readonly (readonly number[])[] | undefined;
  readonly parameters: Readonly<Record<P, Tensor>>;
  /** Further projections; where the caller has none, the plain q, k or v. */
  readonly inputs: Readonly<Record<I, Tensor>>;
  /** What the call before gave of this text as `state`; empty at its start. */
  readonly state: NamedTensors;
  /** Whether `losses` are asked for. */
  readonly losses: boolean;
  /** The step, in training; undefined otherwise: no noise then, and no `updates`. */
  readonly training: StepSeed | undefined;
}

export interface ForwardResult<P extends string = string> {
  /** `[B, H, L, E]` */
  readonly out: Tensor;
  /** `[B, H, L]`, where the mechanism has one. */
  readonly logsumexp?: Tensor;
  /** Further losses that train it, by name, `[]` each. */
  readonly losses?: NamedTensors;
  /** What it has of this text at its next call, by name; no gradient flows through it. */
  readonly state?: NamedTensors;
  /**
   * The next values of drawn parameters, such as moving averages: who trains sets them after the step. Those of a pass that is computed
   * again are not taken.
   */
  readonly updates?: Readonly<Partial<Record<NoInfer<P>, Tensor>>>;
  /** What was done otherwise than asked for: padding, a shorter form for short inputs. */
  readonly notes?: readonly string[];
}

/** The arithmetic that the formula needs. */
export interface Cost {
  /** Query–key pairs, all heads of one batch row, for mechanisms that have them. */
  readonly pairs?: number;
  /** Multiply-adds of matrix products, the whole batch, forward. */
  readonly multiplyAdds: number;
}

/** A state of fixed size that replaces the cache of keys and values. */
export interface Recurrence<O extends OptionSpecs, P extends string, I extends string> {
  /** Attends to the tokens so far, `state` being what `step` returned before, undefined at first; `start` tokens came before. */
  step(
    this: void,
    call: Call<O, P, I>,
    state: NamedTensors | undefined,
    start: number,
  ): ForwardResult<P> & { readonly state: NamedTensors };
}

/** Functions are written as methods, so that a mechanism with options of its own is a `Mechanism` too. */
export interface AttentionDefinition<
  O extends OptionSpecs = OptionSpecs,
  P extends string = string,
  I extends string = string,
  S extends Supports = Supports,
> {
  /** As in the command line: lower case, hyphens. */
  readonly name: string;
  readonly family: (typeof families)[number];
  /** A mixer replaces attention without comparing queries with keys; default `'attention'`. */
  readonly level?: 'attention' | 'mixer';
  /** The idea in one sentence. */
  readonly summary: string;
  readonly paper: Paper;
  readonly formula: string;
  /** Growth of the time with the length n, such as `n·r·d`. */
  readonly complexity: string;
  readonly exactness: Exactness;
  /** Where it departs from the paper. */
  readonly relativeToPaper?: string;
  readonly options: O;
  readonly supports: S;
  /** Tensors beside q, k and v. */
  parameters?(this: void, shape: AttentionShape, options: OptionValues<O>): Readonly<Record<P, ParameterSpecs[string]>>;
  /** Further projections it wants, and which of q, k, v stands in where the caller has none. */
  readonly inputs?: Readonly<Record<I, 'q' | 'k' | 'v'>>;
  /** Whether a call with these options, and global tokens of its rows where it has any, reads `inputs`: else no layer projects them. Default: it does. */
  readsInputs?(this: void, options: OptionValues<O>, globalTokens: readonly (readonly number[])[] | undefined): boolean;
  /** Pairs that may see each other, without causality and padding. */
  pattern?(
    this: void,
    shape: AttentionShape,
    options: OptionValues<O>,
    call: { readonly causal: boolean; readonly seed: number },
  ): Mask;
  /**
   * Pairs through which a result depends on tokens, without causality, for a mechanism without `pattern`: default all; `'data'`: which they
   * are depends on the data.
   */
  reach?(this: void, shape: AttentionShape, options: OptionValues<O>): Mask | 'data' | undefined;
  /** Reasons not to run a shape, a sentence each: what is wrong and what would do. */
  refuse?(this: void, shape: AttentionShape, options: OptionValues<O>, causal: boolean): readonly string[];
  cost(this: void, shape: AttentionShape, options: OptionValues<O>, causal: boolean): Cost;
  /**
   * The groups, orders and samples that the data decides in a call, for `subquad show`; undefined where it decides none, as in a text
   * that is attended to whole. Tensors are i32, and no gradient is asked for.
   */
  choices?(this: void, call: Call<O, P, I>): Choices | undefined;
  /** Default: exact attention under `pattern`. */
  forward?(this: void, call: Call<O, P, I>): ForwardResult<P>;
  /**
   * Whether `forward` takes f16 and bf16, and keeps what it keeps for gradients in them; else it is given f32, and its output is
   * stored as q is. Default: where there is no `forward`.
   */
  readonly takesHalves?: boolean;
  readonly recurrence?: Recurrence<O, P, I>;
}

/** Whether it hides the pairs that a caller names. */
export const takesMask = ({
  supports,
  forward = attendWithin,
}: Pick<AttentionDefinition, 'supports' | 'forward'>): boolean => supports.mask ?? forward === attendWithin;

/** Exact attention under the call's mask: the whole of `forward` for a mechanism that is a pattern. */
export function attendWithin(call: Call<OptionSpecs, never, never>): ForwardResult {
  const { q, k, v, causal, scale, score, mask } = call;
  const { out, logsumexp } = attend(q, k, v, { causal, scale, ...(mask && { mask }), ...(score && { score }) });
  return { out, logsumexp };
}

export interface AttentionResult<P extends string = string> extends ForwardResult<P> {
  readonly notes: readonly string[];
  /** Parameters that were drawn for this call, from `seed`. */
  readonly drawn: readonly string[];
  readonly seed: number;
}

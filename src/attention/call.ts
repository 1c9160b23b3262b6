import { describe, isPlainObject } from '../core/describe.js';
import { isFloat } from '../core/dtype.js';
import { CapabilityError, OptionError, ShapeError } from '../core/errors.js';
import { unknown } from '../core/names.js';
import {
  checkValue,
  finite,
  flag,
  made,
  notOptions,
  plainObject,
  reasonsAgainst,
  refuse,
  text,
  type Requirement,
  wholeFrom,
} from '../core/requirements.js';
import { sameShape, show } from '../core/shape.js';
import { Mask } from '../masks/index.js';
import { readSizes } from '../ops/attend/sizes.js';
import { Score } from '../scores/index.js';
import { commonDevice, someTensor, Tensor } from '../tensor/index.js';
import { takesMask, type AttentionDefinition, type NamedTensors, type StepSeed, type Supports } from './definition.js';
import { checkSizes, resolveOptions, type AttentionShape, type OptionSpecs, type OptionValues } from './options.js';

/** Options of every call; a mechanism's own stand beside them. (A type and no interface, so that it is a record as well.) */
export type CommonOptions<P extends string = string, I extends string = string, S extends Supports = Supports> = {
  /** Query i sees keys j ≤ i + S − L. Default false, or true where there is no other form. */
  readonly causal?: S['causal'] extends false ? false : boolean;
  /** Factor of q·k; default 1/√D. */
  readonly scale?: number;
  readonly score?: Score;
  /** Tokens of each batch row, from 1 to S; the keys beyond are padding. */
  readonly lengths?: readonly number[];
  /** Pairs that may see each other, of those that the mechanism and causality allow, such as `document(ids)`; default all. */
  readonly mask?: Mask;
  /** Positions of the global tokens, a list for each batch row, for mechanisms that have such; default those of its options. */
  readonly globalTokens?: readonly (readonly number[])[];
  /** What drawn parameters and random patterns depend on; default 0. */
  readonly seed?: number;
  /** Learned and drawn tensors by name; those left out are drawn from the seed. */
  readonly parameters?: Readonly<Partial<Record<P, Tensor>>>;
  /** Further projections by name. */
  readonly inputs?: Readonly<Partial<Record<I, Tensor>>>;
  /** What the call before gave of this text as `state`; default none, as at its start. */
  readonly state?: NamedTensors;
  /** Whether the mechanism's own losses are asked for, if it has any; default false. */
  readonly losses?: boolean;
  /** The step that is trained, for noise and moving averages; default: nothing is trained. */
  readonly training?: StepSeed | undefined;
};

export const commonOptions: readonly string[] = [
  'causal',
  'scale',
  'score',
  'lengths',
  'mask',
  'globalTokens',
  'seed',
  'parameters',
  'inputs',
  'state',
  'losses',
  'training',
] satisfies readonly (keyof CommonOptions)[];

/** Why a call is refused; the reasons of one class make one error. */
interface Faults {
  readonly shape: string[];
  readonly capability: string[];
  readonly option: string[];
}

/** A call's sizes and option values. */
export interface Settings<O extends OptionSpecs> {
  readonly values: OptionValues<O>;
  readonly causal: boolean;
  readonly seed: number;
}

type Given = Readonly<Record<string, unknown>>;

/** Splits a call's options into its own and the mechanism's. */
export function ownOptions(given: Given): Given {
  return Object.fromEntries(Object.entries(given).filter(([name]) => !commonOptions.includes(name)));
}

/**
 * The settings for a shape, without tensors.
 *
 * @throws OptionError, CapabilityError or ShapeError with every reason at once.
 */
export function settle<O extends OptionSpecs>(
  definition: AttentionDefinition<O>,
  shape: AttentionShape,
  given: Given,
): Settings<O> {
  checkSizes(definition.name, shape);
  checkCallOptions(definition, given);
  const faults = noFaults();
  const settings = collect(definition, shape, given, faults);
  report(definition.name, faults, `B=${shape.B}, H=${shape.H}, G=${shape.G}, L=${shape.L}, S=${shape.S}`);
  return settings;
}

/**
 * The shape and settings of a call.
 *
 * @throws OptionError, CapabilityError or ShapeError with every reason at once, before anything is allocated.
 */
export function checkCall<O extends OptionSpecs>(
  definition: AttentionDefinition<O>,
  tensors: { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor },
  given: Given,
): { readonly shape: AttentionShape; readonly settings: Settings<O> } {
  const who = definition.name;
  for (const [name, x] of Object.entries(tensors)) checkValue(who, name, x, someTensor);
  for (const [name, { dtype, shape }] of Object.entries(tensors)) {
    if (isFloat(dtype)) continue;
    throw new OptionError(`${who}: ${name} must be f32, f16 or bf16; got ${dtype}${show(shape)}. Use cast.`);
  }
  checkCallOptions(definition, given);
  const { q, k, v } = tensors;
  const further = ['parameters', 'inputs', 'state']
    .map((bag) => given[bag])
    .flatMap((some) => Object.values((some ?? {}) as Given));
  commonDevice(who, [q, k, v, ...further.filter((x) => x instanceof Tensor)]);
  const { sizes: shape, faults: wrong, got } = readSizes(who, tensors);
  const faults = noFaults();
  faults.shape.push(...wrong);
  const settings = collect(definition, shape, given, faults);
  if (faults.option.length === 0) checkTensors(definition, shape, settings, given, faults);
  report(who, faults, got);
  return { shape, settings };
}

function checkCallOptions({ name, options }: AttentionDefinition, given: unknown): void {
  if (!isPlainObject(given)) {
    return refuse(name, [notOptions(given, [...commonOptions, ...Object.keys(options)])]);
  }
  const { parameters, inputs, state } = given;
  refuse(name, reasonsAgainst({ parameters, inputs, state }, { parameters: byName, inputs: byName, state: byName }));
}

const step: Requirement = {
  must: 'a step, such as { seed: 1, purpose: "step 12" }',
  holds: (value) => reasonsAgainst(value, { seed: wholeFrom(0), purpose: text }, ['seed', 'purpose']).length === 0,
};

export const byName = { ...plainObject, must: 'an object of tensors by name' };
const common = {
  causal: flag,
  scale: finite,
  score: made('a Score, such as softcap(30)', Score),
  mask: made('a Mask, such as document(ids)', Mask),
  seed: wholeFrom(0),
  losses: flag,
  training: step,
};

const noFaults = (): Faults => ({ shape: [], capability: [], option: [] });

function collect<O extends OptionSpecs>(
  definition: AttentionDefinition<O>,
  shape: AttentionShape,
  given: Given,
  { capability, option }: Faults,
): Settings<O> {
  const { options, supports, refuse } = definition;
  const { L, S, G, H, B } = shape;
  const { values, refused } = resolveOptions(options, ownOptions(given), shape);
  option.push(...refused);
  const { causal = supports.causal === 'only', scale, score, lengths, mask, seed = 0 } = given;
  const { losses, training, globalTokens, state = {} } = given;
  option.push(...reasonsAgainst({ causal, scale, score, mask, seed, losses, training }, common));
  for (const [name, x] of Object.entries(state as Given)) {
    if (!(x instanceof Tensor)) option.push(`state.${name} must be a tensor; got ${describe(x)}`);
  }
  if (lengths !== undefined && !areLengths(lengths, B, S)) {
    option.push(`lengths must be ${B} whole numbers from 1 to ${S}, one a batch row; got ${describe(lengths)}`);
  }
  if (globalTokens !== undefined && !arePositions(globalTokens, B, S)) {
    option.push(
      `globalTokens must be ${B} lists of different whole numbers from 0 to ${S - 1}, one a batch row; got ${describe(globalTokens)}`,
    );
  }
  if (globalTokens !== undefined && supports.globalTokens !== true) {
    capability.push('it has no global tokens that a call names: leave globalTokens out, or take longformer');
  }
  if (globalTokens !== undefined && causal === true) {
    capability.push('global tokens that a call names are for attention to both sides');
  }
  if (causal === true && supports.causal === false) capability.push('it has no causal form');
  if (causal === false && supports.causal === 'only') capability.push('it has a causal form only');
  if (L !== S && !supports.cross && !(causal === true && supports.decode === 'cache')) {
    capability.push(`it takes one sequence, as many queries as keys; got L=${L} and S=${S}`);
  }
  if (G !== H && !supports.groupedHeads) capability.push(`it takes no grouped heads; repeat the ${G} key/value heads`);
  if (lengths !== undefined && !supports.padding)
    capability.push('it takes no padding; cut the inputs to their lengths');
  if (mask !== undefined && !takesMask(definition)) {
    capability.push('it takes no mask: it does not compare pair by pair; give documents one by one, or take flash');
  }
  if (score !== undefined && !supports.score) capability.push('it takes no change of scores');
  if (option.length === 0) option.push(...(refuse?.(shape, values, causal === true) ?? []));
  return { values, causal: causal === true, seed: seed as number };
}

const areLengths = (lengths: unknown, B: number, S: number): boolean =>
  Array.isArray(lengths) &&
  lengths.length === B &&
  lengths.every((length) => Number.isInteger(length) && length >= 1 && length <= S);

const arePositions = (lists: unknown, B: number, S: number): boolean =>
  Array.isArray(lists) &&
  lists.length === B &&
  lists.every(
    (list: unknown) =>
      Array.isArray(list) &&
      new Set(list).size === list.length &&
      list.every((one) => Number.isInteger(one) && one >= 0 && one < S),
  );

/** Parameters and further projections that the caller gave. */
function checkTensors<O extends OptionSpecs>(
  definition: AttentionDefinition<O>,
  shape: AttentionShape,
  { values }: Settings<O>,
  given: Given,
  faults: Faults,
): void {
  const specs = definition.parameters?.(shape, values) ?? {};
  const projections = projectionShapes(shape);
  const wanted: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>> = {
    parameters: Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, spec.shape])),
    inputs: Object.fromEntries(Object.entries(definition.inputs ?? {}).map(([name, of]) => [name, projections[of]])),
  };
  for (const [kind, shapes] of Object.entries(wanted)) {
    for (const [name, x] of Object.entries((given[kind] ?? {}) as Readonly<Record<string, unknown>>)) {
      const expected = shapes[name];
      if (expected === undefined) {
        faults.option.push(unknown(kind, [name], Object.keys(shapes)));
      } else if (x !== undefined && !(x instanceof Tensor && sameShape(x.shape, expected))) {
        const found = x instanceof Tensor ? show(x.shape) : `a value of type ${typeof x}`;
        faults.shape.push(`${kind}.${name} must be ${show(expected)}; got ${found}`);
      }
    }
  }
}

/** Shapes of the projections of a call. */
export const projectionShapes = ({
  B,
  H,
  G,
  L,
  S,
  D,
  E,
}: AttentionShape): Record<'q' | 'k' | 'v', readonly number[]> => ({
  q: [B, H, L, D],
  k: [B, G, S, D],
  v: [B, G, S, E],
});

function report(who: string, { option, capability, shape }: Faults, got: string): void {
  const all = [...option, ...capability, ...shape];
  if (all.length === 0) return;
  const message = `${who}: ${all.join('; ')} (${got}).`;
  if (option.length > 0) throw new OptionError(message);
  throw capability.length > 0 ? new CapabilityError(message) : new ShapeError(message);
}

/** Options whose type does not matter, for code over any mechanism. */
export type AnyOptions = CommonOptions & Readonly<Record<string, unknown>>;

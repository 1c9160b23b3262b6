import type { AttentionShape, Mechanism } from '../../../src/attention/index.js';
import { CapabilityError, OptionError, ShapeError } from '../../../src/core/errors.js';
import { full } from '../../support/full.js';
import { callOptions } from './data.js';
import type { Case, GateSpec, Gated, Options } from './spec.js';

// one head size wherever it does not matter: every size is kernels to compile
export const D = 8;

export const base: AttentionShape = { B: 2, H: 2, G: 2, L: 17, S: 17, D, E: D };

export const isRefusal = (error: unknown): boolean =>
  error instanceof OptionError || error instanceof CapabilityError || error instanceof ShapeError;

/** Whether the mechanism takes the call, by its own word. */
export function admits(mechanism: Mechanism, one: Case): boolean {
  try {
    mechanism.settle(one.shape, callOptions(one));
    return true;
  } catch (error) {
    if (isRefusal(error)) return false;
    throw error;
  }
}

export function causalities({ definition: { supports } }: Mechanism): readonly boolean[] {
  if (supports.causal === 'only') return [true];
  return supports.causal ? [false, true] : [false];
}

export const optionSets = ({ options }: GateSpec): readonly Options[] => options ?? [{}];

const square = (n: number): AttentionShape => ({ ...base, L: n, S: n });

/** `[17, 37, 131]`, or what the specification says. */
export const sizesOf = ({ sizes = [17, 37, 131] }: GateSpec): readonly [number, number, number] => sizes;

/** The first two option sets; the full run has all. */
const someSets = (spec: GateSpec): readonly Options[] => optionSets(spec).slice(0, full ? undefined : 2);

/** A small self-attention with some option sets, both ways: what most checks run on. */
export function plainCases({ mechanism, spec }: Gated, sets = someSets(spec)): Case[] {
  const [small] = sizesOf(spec);
  return required(
    mechanism,
    cross(mechanism, sets, [square(small)]),
    `length ${small} with the options of the specification`,
  );
}

export const causalCases = (gated: Gated): Case[] => plainCases(gated).filter(({ causal }) => causal);

/** Self-attention of two batch rows of which both have padding. */
export function paddedCases({ mechanism, spec }: Gated): Case[] {
  if (!mechanism.definition.supports.padding) return [];
  const [small] = sizesOf(spec);
  const cases = cross(mechanism, someSets(spec), [square(small)]);
  return required(
    mechanism,
    cases.map((one) => ({ ...one, lengths: [small - 5, 1] })),
    'padding',
  );
}

/**
 * Lengths 1, primes and beyond a tile; grouped heads, L ≠ S, E ≠ D, padding and score changes where supported: all of it for the
 * first option set, a small and an uneven shape for the second, or `everything` for every one.
 */
export function oracleCases(gated: Gated, everything = full): Case[] {
  const { mechanism, spec } = gated;
  const { supports } = mechanism.definition;
  const [small, middle, large] = sizesOf(spec);
  const sets = optionSets(spec);
  const first = sets.slice(0, 1);
  const widely = everything ? sets : first;
  const some = everything ? sets : someSets(spec);
  const [more, fewer] = [2 * small - 11, small - 6];
  const uneven: AttentionShape = { ...square(middle), B: 1, E: 5 };
  const optional = [
    ...cross(mechanism, some, [uneven]),
    ...cross(mechanism, first, [
      { ...square(1), B: 1 },
      { ...square(large), B: 1, H: 1, G: 1 },
      ...(spec.shapes ?? []),
      ...(supports.groupedHeads ? [{ ...square(small - 4), B: 1, H: 4, G: 2 }] : []),
    ]),
    ...(supports.cross
      ? cross(mechanism, widely, [
          { ...base, L: fewer, S: more },
          { ...base, B: 1, L: more, S: fewer },
        ])
      : []),
    ...(supports.decode === 'cache'
      ? cross(mechanism, widely, [{ ...base, L: 3, S: small }]).filter(({ causal }) => causal)
      : []),
    ...paddedCases(gated).filter(({ options }) => widely.includes(options)),
    ...(supports.cross && supports.padding
      ? cross(mechanism, first, [{ ...base, L: fewer, S: more }]).map((one) => ({ ...one, lengths: [more - 4, 2] }))
      : []),
    ...(supports.score ? cross(mechanism, widely, [square(small)]).map((one) => ({ ...one, softcap: true })) : []),
    ...cross(mechanism, first, [square(small)]).map((one) => ({ ...one, scale: 0.7 })),
    ...(mechanism.definition.inputs ? plainCases(gated).map((one) => ({ ...one, plain: true })) : []),
  ];
  return [...plainCases(gated, some), ...optional.filter((one) => admits(mechanism, one))];
}

/** Every option set with every shape, both ways where there are two. */
function cross(mechanism: Mechanism, sets: readonly Options[], shapes: readonly AttentionShape[]): Case[] {
  return sets.flatMap((options) =>
    shapes.flatMap((shape) => causalities(mechanism).map((causal) => ({ shape, options, causal }))),
  );
}

/** Cases that must run: a gate that finds nothing to do proves nothing. */
function required(mechanism: Mechanism, cases: Case[], what: string): Case[] {
  for (const options of new Set(cases.map((one) => one.options))) {
    if (cases.some((one) => one.options === options && admits(mechanism, one))) continue;
    throw new Error(
      `gate: ${mechanism.name} refuses ${what} (${JSON.stringify(options)}); give the specification sizes or options it takes`,
    );
  }
  return cases.filter((one) => admits(mechanism, one));
}

export function describeCase({ shape, options, causal, lengths, scale, softcap, plain }: Case): string {
  return JSON.stringify({ ...shape, ...options, causal, lengths, scale, softcap, plain }).replaceAll('"', '');
}

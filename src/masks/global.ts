import { isList, isPlainObject } from '../core/describe.js';
import { ShapeError } from '../core/errors.js';
import { checkValues, int32From, oneOf } from '../core/requirements.js';
import { constant, lookup, tableOf, type Bool, type I32 } from '../codegen/expression/index.js';
import { Mask } from './mask.js';
import { integers } from './options.js';
import { place, type AttendShape } from './place.js';

const accesses = ['symmetric', 'readOnly', 'writeOnly'] as const;

/** `readOnly`: every query sees the global keys. `writeOnly`: the global queries see every key. `symmetric`: both. */
export type GlobalAccess = (typeof accesses)[number];

// more separate stretches of positions than this are looked up in a table
const maxStretches = 4;

/**
 * Global tokens: `q ∈ G or k ∈ G`, with G in the keys' numbering, given as positions or as the `first` n.
 * (Longformer 2020; ETC, Ainslie et al. 2020, arXiv 2004.08483.) Under `causal()` only leading positions are of use.
 *
 * @throws OptionError for positions that are no whole numbers of at least 0; ShapeError for positions beyond the keys.
 * @example within({ radius: 256 }).or(global([0, 77]))
 */
export function global(
  positions: ArrayLike<number> | { readonly first: number },
  options: { readonly access?: GlobalAccess } = {},
): Mask {
  checkValues('global', options, { access: oneOf(accesses) });
  const { access = 'symmetric' } = options;
  const set = isPlainObject(positions) ? firstOf(positions) : listed(positions);
  const suffix = access === 'symmetric' ? '' : `, { access: '${access}' }`;
  return new Mask(`global(${set.name}${suffix})`, (shape) => {
    const holds = set.within(shape);
    const [read, written] = [holds(place.k), holds(place.q)];
    return { symmetric: written.or(read), readOnly: read, writeOnly: written }[access];
  });
}

interface PositionSet {
  readonly name: string;
  readonly within: (shape: AttendShape) => (x: I32) => Bool;
}

function firstOf(options: { readonly first: number }): PositionSet {
  checkValues('global', options, { first: int32From(0) }, ['first']);
  const { first } = options;
  // queries before the first key (L > S) are not among the first positions
  return { name: `{ first: ${first} }`, within: () => (x) => x.lt(first).and(x.ge(0)) };
}

function listed(list: ArrayLike<number>): PositionSet {
  const positions = isList(list) && list.length === 0 ? new Int32Array(0) : integers('global', 'positions', list, 0);
  const sorted = Array.from(new Set(positions)).sort((a, b) => a - b);
  const stretches: { from: number; to: number }[] = [];
  for (const position of sorted) {
    const last = stretches.at(-1);
    if (last !== undefined && last.to === position - 1) last.to = position;
    else stretches.push({ from: position, to: position });
  }
  const shown = sorted.length <= 6 ? sorted.join(', ') : `${sorted.slice(0, 3).join(', ')}, … ${sorted.length} in all`;
  return {
    name: `[${shown}]`,
    within: ({ S }) => {
      if (sorted.length > 0 && sorted.at(-1)! >= S) {
        throw new ShapeError(`global: position ${sorted.at(-1)} is outside the ${S} keys (positions count from 0).`);
      }
      if (stretches.length > maxStretches) {
        const flags = new Uint8Array(S);
        for (const position of sorted) flags[position] = 1;
        const table = tableOf('global', flags);
        return (x) => lookup(table, x).ne(0);
      }
      return (x) =>
        stretches
          .map(({ from, to }) => (from === to ? x.eq(from) : x.ge(from).and(x.le(to))))
          .reduce((any, stretch) => any.or(stretch), constant(false));
    },
  };
}

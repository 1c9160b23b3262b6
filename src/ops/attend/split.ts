import {
  constant,
  freeVariables,
  key,
  lookup,
  node,
  simplify,
  substitute,
  tableOf,
  variable,
  type Expression,
} from '../../codegen/expression/index.js';
import { memoised } from '../../core/memo.js';
import { axisRuns } from '../../masks/axis.js';
import { periodicity } from '../../masks/index.js';
import { FULL } from '../../masks/runs.js';

/** More terms than this are not worth looking at. */
const mostTerms = 16;

/** Pairs of a mask that are attended to in a way of their own. */
export interface MaskPart {
  readonly mask: Expression;
  /** Where its keys lie so far apart that they are worth gathering: `mask` is then one among these. */
  readonly gathered?: GatheredKeys;
}

export interface GatheredKeys {
  readonly keys: Int32Array;
  /** An expression of positions, over places in the list. */
  readonly place: (e: Expression) => Expression;
}

export interface SplitOptions {
  /** Number of keys. */
  readonly S: number;
  /** Keys that are visited together. */
  readonly keyBlock: number;
  /** Whether keys may be gathered. */
  readonly gather: boolean;
}

const always = constant(true);

/**
 * Writes a mask as a union of disjoint parts: of one period each, such as the strided pattern as a window and a grid without
 * the window, and of few keys each, such as the summary columns of the fixed pattern. Attention over each is dense, and one
 * adds to the other. One part if there is nothing to split.
 */
export const splitMask = memoised(split, {
  by: (mask, { S, keyBlock, gather }) => [mask, S, keyBlock, gather],
  most: 256,
});

/** Terms that are attended to together. */
interface Group {
  readonly terms: Expression[];
  readonly keys?: Int32Array;
}

function split(mask: Expression, options: SplitOptions): readonly MaskPart[] {
  const periods = new Map<number, Group>();
  const gathered = new Map<string, Group>();
  const all = terms(mask);
  if (all.length > mostTerms) return [{ mask }];
  for (const term of all) {
    const apart = options.gather ? fewKeys(term, options) : undefined;
    if (apart !== undefined) {
      const group = gathered.get(apart.name) ?? { terms: [], keys: apart.keys };
      group.terms.push(term);
      gathered.set(apart.name, group);
      continue;
    }
    const period = periodicity(term)?.period ?? 1;
    const group = periods.get(period) ?? { terms: [] };
    group.terms.push(term);
    periods.set(period, group);
  }
  const groups = [...[...periods].sort(([a], [b]) => a - b).map(([, group]) => group), ...gathered.values()];
  if (groups.length < 2 && gathered.size === 0) return [{ mask }];
  const before: Expression[] = [];
  return groups.map(({ terms: own, keys }) => {
    const parts = own.map((term) => {
      const rest = keys === undefined ? term : withoutKeyConditions(term);
      return before
        .filter((other) => !inOtherHeads(term, other))
        .reduce((left, other) => node('and', left, node('not', other)), rest);
    });
    before.push(...own);
    const union = simplify(parts.reduce((a, b) => node('or', a, b)));
    if (keys === undefined) return { mask: union };
    const gathered = gatheredKeys(keys, options.S);
    return { mask: simplify(gathered.place(union)), gathered };
  });
}

function gatheredKeys(keys: Int32Array, S: number): GatheredKeys {
  const [q, k] = [variable('q', 'i32'), variable('k', 'i32')];
  // row i has q = i + keys − L in their numbering, and i + S − L in that of all keys
  const positions = { q: q.add(S - keys.length), k: lookup(tableOf('keys', keys), k) };
  return { keys, place: (e) => substitute(e, positions) };
}

/** The disjunctive terms of a mask: `a ∧ (b ∨ c)` has `a ∧ b` and `a ∧ c`. A condition on the key alone is one set of keys. */
function terms(e: Expression): readonly Expression[] {
  if (readsOnly(e, 'k')) return [e];
  if (e.op === 'or') return e.args.flatMap(terms);
  if (e.op !== 'and') return [e];
  const [left, right] = e.args.map(terms) as [readonly Expression[], readonly Expression[]];
  if (left.length * right.length > mostTerms) return [e];
  return left.flatMap((a) => right.map((b) => node('and', a, b)));
}

const conditions = (e: Expression): readonly Expression[] => (e.op === 'and' ? e.args.flatMap(conditions) : [e]);

const readsOnly = (e: Expression, name: string): boolean => {
  const names = freeVariables(e);
  return names.size === 1 && names.has(name);
};

/** Whether two terms want different values of one expression of the head. */
function inOtherHeads(a: Expression, b: Expression): boolean {
  const wanted = (e: Expression): readonly (readonly [string, number])[] =>
    conditions(e)
      .filter(({ op, args }) => op === 'eq' && readsOnly(args[0]!, 'h') && args[1]!.op === 'constant')
      .map(({ args }) => [key(args[0]!), args[1]!.value!] as const);
  return wanted(a).some(([left, x]) => wanted(b).some(([right, y]) => left === right && x !== y));
}

/** What a term demands besides conditions on the key alone; it must have such a condition. */
function withoutKeyConditions(term: Expression): Expression {
  const rest = conditions(term).filter((e) => !readsOnly(e, 'k'));
  return rest.length === 0 ? always : rest.reduce((a, b) => node('and', a, b));
}

/** A share of visited keys below this is worth gathering for. */
const sparse = 0.6;

/** The keys that a term allows, if they are a small part of the blocks they lie in; `name` stands for the set. */
function fewKeys(
  term: Expression,
  { S, keyBlock }: SplitOptions,
): { readonly name: string; readonly keys: Int32Array } | undefined {
  const own = conditions(term).filter((e) => readsOnly(e, 'k'));
  if (own.length === 0) return undefined;
  const condition = own.reduce((a, b) => node('and', a, b));
  const runs = axisRuns(condition, 'k', 0, S - 1);
  const keys: number[] = [];
  let blocks = 0;
  let last = -1;
  for (let run = 0, start = 0; run < runs.count; run++) {
    const end = runs.ends[run]!;
    // what f32 rounding leaves open, and what is hardly sparse
    if (runs.kinds[run] !== FULL && runs.kinds[run] !== 0) return undefined;
    if (runs.kinds[run] === FULL) {
      for (let k = start; k < end; k++) keys.push(k);
      blocks += Math.floor((end - 1) / keyBlock) - Math.max(last, Math.floor(start / keyBlock) - 1);
      last = Math.floor((end - 1) / keyBlock);
    }
    start = end;
  }
  return keys.length > 0 && keys.length < sparse * blocks * keyBlock
    ? { name: keys.join(), keys: Int32Array.from(keys) }
    : undefined;
}

import { node, simplify, type Expression } from '../../codegen/expression/index.js';
import { periodicity } from '../../masks/index.js';

/** More terms than this are not worth looking at. */
const mostTerms = 8;

const known = new WeakMap<Expression, readonly Expression[]>();

/**
 * Writes a mask as a union of disjoint masks of one period each, such as the strided pattern as a window and a grid without
 * the window: attention over each is dense, and the results merge exactly. One mask if there is nothing to split.
 */
export function splitByPeriod(mask: Expression): readonly Expression[] {
  let parts = known.get(mask);
  if (parts === undefined) {
    parts = split(mask);
    known.set(mask, parts);
  }
  return parts;
}

function split(mask: Expression): readonly Expression[] {
  const groups = new Map<number, Expression[]>();
  const all = terms(mask);
  if (all.length > mostTerms) return [mask];
  for (const term of all) {
    const period = periodicity(term)?.period ?? 1;
    groups.set(period, [...(groups.get(period) ?? []), term]);
  }
  if (groups.size < 2) return [mask];
  const parts: Expression[] = [];
  let before: Expression | undefined;
  for (const [, group] of [...groups].sort(([a], [b]) => a - b)) {
    const union = group.reduce((a, b) => node('or', a, b));
    parts.push(simplify(before ? node('and', union, node('not', before)) : union));
    before = before ? node('or', before, union) : union;
  }
  return parts;
}

/** The disjunctive terms of a mask: `a ∧ (b ∨ c)` has `a ∧ b` and `a ∧ c`. */
function terms(e: Expression): readonly Expression[] {
  if (e.op === 'or') return e.args.flatMap(terms);
  if (e.op !== 'and') return [e];
  const [left, right] = e.args.map(terms) as [readonly Expression[], readonly Expression[]];
  if (left.length * right.length > mostTerms) return [e];
  return left.flatMap((a) => right.map((b) => node('and', a, b)));
}

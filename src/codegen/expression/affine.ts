import { memoised } from '../../core/memo.js';
import { rebuild, constantNode, freeVariables, node, variableNode, type Expression } from './node.js';
import { key } from './print.js';
import { fold, isConstant, simplify } from './simplify.js';

/** `constant + Σ coefficient · atom`, where an atom is an i32 node that is not a sum itself. */
interface Affine {
  readonly constant: number;
  readonly terms: ReadonlyMap<string, Term>;
}
interface Term {
  readonly coefficient: number;
  readonly atom: Expression;
}

const difference = variableNode('d', 'i32');

/** The name of the variable that stands for `q − k`. */
export const differenceName = 'd';

// nodes never change, and shared sums are asked for often
const affine = memoised(affineOf);

function affineOf(e: Expression): Affine {
  if (e.op === 'constant') return { constant: e.value!, terms: new Map() };
  if (e.op === 'neg') return combine(affine(e.args[0]!), -1, nothing);
  if (e.op === 'add' || e.op === 'sub') return combine(affine(e.args[1]!), e.op === 'add' ? 1 : -1, affine(e.args[0]!));
  if (e.op === 'mul') {
    const [a, b] = e.args as readonly [Expression, Expression];
    if (a.op === 'constant') return combine(affine(b), a.value!, nothing);
    if (b.op === 'constant') return combine(affine(a), b.value!, nothing);
  }
  return { constant: 0, terms: new Map([[key(e), { coefficient: 1, atom: e }]]) };
}

const nothing: Affine = { constant: 0, terms: new Map() };

/** `factor · x + y` */
function combine(x: Affine, factor: number, y: Affine): Affine {
  const terms = new Map(y.terms);
  for (const [name, { coefficient, atom }] of x.terms) {
    const sum = factor * coefficient + (terms.get(name)?.coefficient ?? 0);
    if (sum === 0) terms.delete(name);
    else terms.set(name, { coefficient: sum, atom });
  }
  return { constant: factor * x.constant + y.constant, terms };
}

const keyOf = { q: key(variableNode('q', 'i32')), k: key(variableNode('k', 'i32')), d: key(difference) };

/** With `c·q − c·k` replaced by `c·d`, or undefined where there is no such pair. */
function withDifference(x: Affine): Affine | undefined {
  const c = x.terms.get(keyOf.q)?.coefficient ?? 0;
  if (c === 0 || x.terms.get(keyOf.k)?.coefficient !== -c) return undefined;
  // rewritten sums must still fit an i32
  if (Math.abs(x.constant) >= 2 ** 31 || [...x.terms.values()].some((t) => Math.abs(t.coefficient) >= 2 ** 30))
    return undefined;
  const terms = new Map([...x.terms].filter(([name]) => name !== keyOf.q && name !== keyOf.k));
  const old = terms.get(keyOf.d)?.coefficient ?? 0;
  terms.delete(keyOf.d);
  return {
    constant: x.constant,
    terms: old + c === 0 ? terms : new Map([[keyOf.d, { coefficient: old + c, atom: difference }], ...terms]),
  };
}

function toExpression(x: Affine): Expression {
  let sum: Expression | undefined;
  for (const { coefficient, atom } of x.terms.values()) {
    const size = Math.abs(coefficient);
    const term = size === 1 ? atom : node('mul', atom, constantNode(size, 'i32'));
    if (sum === undefined) sum = coefficient < 0 ? fold('neg', term) : term;
    else sum = node(coefficient < 0 ? 'sub' : 'add', sum, term);
  }
  if (sum === undefined) return constantNode(x.constant, 'i32');
  if (x.constant === 0) return sum;
  return node(x.constant < 0 ? 'sub' : 'add', sum, constantNode(Math.abs(x.constant), 'i32'));
}

type Comparison = 'lt' | 'le' | 'gt' | 'ge' | 'eq' | 'ne';
const mirrored: { readonly [O in Comparison]: Comparison } = {
  lt: 'gt',
  le: 'ge',
  gt: 'lt',
  ge: 'le',
  eq: 'eq',
  ne: 'ne',
};

/**
 * Rewrites integer sums in which q and k have opposite coefficients in terms of the variable `d` = q − k, also across
 * the two sides of a comparison and of `q mod s = k mod s`. What then depends on `d` alone is constant along diagonals.
 */
export function differences(expression: Expression): Expression {
  return rebuild(simplify(expression), (e) => {
    if (e.type === 'i32' && (e.op === 'add' || e.op === 'sub')) {
      const sum = affine(e);
      const found = sum.terms.size === 0 && Math.abs(sum.constant) < 2 ** 31 ? sum : withDifference(sum);
      return found === undefined ? e : toExpression(found);
    }
    if (!(e.op in mirrored) || e.args[0]!.type !== 'i32') return e;
    const [a, b] = e.args as readonly [Expression, Expression];
    return compared(e, a, b) ?? congruent(e, a, b) ?? e;
  });
}

/** `a ⋈ b` as `a − b without its constant ⋈ constant`, with d counted positively. */
function compared(e: Expression, a: Expression, b: Expression): Expression | undefined {
  const found = withDifference(combine(affine(b), -1, affine(a)));
  if (found === undefined) return undefined;
  const falls = (found.terms.get(keyOf.d)?.coefficient ?? 0) < 0;
  const { constant, terms } = falls ? combine(found, -1, nothing) : found;
  const op = falls ? mirrored[e.op as Comparison] : (e.op as Comparison);
  return node(op, toExpression({ constant: 0, terms }), constantNode(-constant, 'i32'));
}

/** `x mod s = y mod s` as `(x − y) mod s = 0`, where x − y is a difference. */
function congruent(e: Expression, a: Expression, b: Expression): Expression | undefined {
  if ((e.op !== 'eq' && e.op !== 'ne') || a.op !== 'mod' || b.op !== 'mod') return undefined;
  const s = a.args[1]!;
  if (s.op !== 'constant' || !isConstant(b.args[1]!, s.value!)) return undefined;
  const found = withDifference(combine(affine(b.args[0]!), -1, affine(a.args[0]!)));
  if (found === undefined) return undefined;
  return node(e.op, node('mod', toExpression(found), s), constantNode(0, 'i32'));
}

/** `left ⋈ right` with the same truth as an integer comparison. */
export interface Separated {
  readonly left: Expression;
  readonly right: Expression;
}

/**
 * Splits an i32 comparison `a ⋈ b` into sides that have no variable in common: terms of a − b that read only `leftNames` go to
 * the left, those that read none of them to the right. Undefined where a term reads both.
 */
export function separate(comparison: Expression, leftNames: ReadonlySet<string>): Separated | undefined {
  const [a, b] = comparison.args as readonly [Expression, Expression];
  if (a.type !== 'i32') return undefined;
  const left: [string, Term][] = [];
  const right: [string, Term][] = [];
  const all = combine(affine(b), -1, affine(a));
  for (const [name, term] of all.terms) {
    const names = [...freeVariables(term.atom)];
    if (names.every((variable) => leftNames.has(variable))) left.push([name, term]);
    else if (names.some((variable) => leftNames.has(variable))) return undefined;
    else right.push([name, { ...term, coefficient: -term.coefficient }]);
  }
  return {
    left: toExpression({ constant: 0, terms: new Map(left) }),
    right: toExpression({ constant: -all.constant, terms: new Map(right) }),
  };
}

import { meaning } from './evaluate.js';
import { constantNode, node, rebuild, type Expression, type Op } from './node.js';

type Inner = Exclude<Op, 'constant' | 'variable' | 'parameter' | 'table'>;
type Identity = (...args: readonly Expression[]) => Expression | undefined;

/** Is the expression this literal? */
export const isConstant = (e: Expression, value: number): boolean => e.op === 'constant' && e.value === value;

const same = (a: Expression, b: Expression): boolean =>
  a === b ||
  (a.op === 'constant' && b.op === 'constant' && a.type === b.type && Object.is(a.value, b.value)) ||
  (a.op === 'variable' && b.op === 'variable' && a.name === b.name && a.type === b.type);

/** What an operation is when an argument is special; nothing here changes a result, NaN and −0 aside in sums. */
const identities: { readonly [O in Inner]?: Identity } = {
  neg: (a) => (a.op === 'neg' ? a.args[0] : undefined),
  add: (a, b) =>
    isConstant(a, 0) ? b : isConstant(b, 0) ? a : b.op === 'neg' ? fold('sub', a, b.args[0]!) : undefined,
  sub: (a, b) =>
    isConstant(b, 0)
      ? a
      : isConstant(a, 0)
        ? fold('neg', b)
        : b.op === 'neg'
          ? fold('add', a, b.args[0]!)
          : a.type === 'i32' && same(a, b)
            ? constantNode(0, 'i32')
            : undefined,
  mul: (a, b) => {
    if (isConstant(a, 1)) return b;
    if (isConstant(b, 1)) return a;
    if (isConstant(a, -1)) return fold('neg', b);
    if (isConstant(b, -1)) return fold('neg', a);
    // 0 · x is not 0 for an infinite f32
    return a.type === 'i32' && (isConstant(a, 0) || isConstant(b, 0)) ? constantNode(0, 'i32') : undefined;
  },
  div: (a, b) => (isConstant(b, 1) ? a : undefined),
  floorDiv: (a, b) => (isConstant(b, 1) ? a : undefined),
  mod: (_, b) => (isConstant(b, 1) || isConstant(b, -1) ? constantNode(0, 'i32') : undefined),
  min: (a, b) => (same(a, b) ? a : undefined),
  max: (a, b) => (same(a, b) ? a : undefined),
  pow: (a, b) => (isConstant(b, 1) ? a : isConstant(b, 0) ? constantNode(1, 'f32') : undefined),
  and: (a, b) =>
    isConstant(a, 0) || isConstant(b, 1) ? a : isConstant(b, 0) || isConstant(a, 1) || same(a, b) ? b : undefined,
  or: (a, b) =>
    isConstant(a, 1) || isConstant(b, 0) ? a : isConstant(b, 1) || isConstant(a, 0) || same(a, b) ? b : undefined,
  not: (a) => (a.op === 'not' ? a.args[0] : undefined),
  select: (c, a, b) => (c.op === 'constant' ? (c.value === 1 ? a : b) : same(a, b) ? a : undefined),
};

/** The node of an operation over arguments that are simple already, or something simpler. */
export function fold(op: Inner, ...args: readonly Expression[]): Expression {
  // refused when written, but defined when it comes about
  if ((op === 'floorDiv' || op === 'mod') && isConstant(args[1]!, 0)) return constantNode(0, 'i32');
  const plain = node(op, ...args);
  if (args.every((arg) => arg.op === 'constant')) {
    const [a = 0, b = 0, c = 0] = args.map((arg) => arg.value!);
    const value = meaning[op](a, b, c);
    const holds = plain.type === 'f32' ? Number.isFinite(value) : Math.abs(value) < 2 ** 31;
    if (holds) return constantNode(value, plain.type);
  }
  return identities[op]?.(...args) ?? plain;
}

/** The same function with literals folded and operations that do nothing removed; what is simple already stays the same object. */
export function simplify(expression: Expression): Expression {
  return rebuild(expression, (e) => {
    if (e.op === 'constant' || e.op === 'variable' || e.op === 'parameter' || e.op === 'table') return e;
    const folded = fold(e.op, ...e.args);
    const unchanged = folded.op === e.op && folded.args.every((arg, i) => arg === e.args[i]);
    return unchanged ? e : folded;
  });
}

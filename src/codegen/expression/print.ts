import { describe } from '../../core/describe.js';
import { OptionError } from '../../core/errors.js';
import { isExpression, topological, tablesOf, type Expression, type Op } from './node.js';

// binding strength: the weaker argument is put in parentheses
const strength = { or: 1, and: 2, not: 3, compare: 4, sum: 5, product: 6, sign: 7, atom: 8 } as const;
type Strength = (typeof strength)[keyof typeof strength];
interface Printed {
  readonly text: string;
  readonly strength: Strength;
}
type Printer = (e: Expression, args: readonly Printed[]) => Printed;

const tight = (arg: Printed, least: Strength): string => (arg.strength < least ? `(${arg.text})` : arg.text);
const infix =
  (symbol: string, level: Strength, associative: boolean): Printer =>
  (_, args) => {
    const right = (associative ? level : level + 1) as Strength;
    return { text: `${tight(args[0]!, level)} ${symbol} ${tight(args[1]!, right)}`, strength: level };
  };
// comparisons do not chain
const compare =
  (symbol: string): Printer =>
  (_, args) => ({
    text: `${tight(args[0]!, strength.sum)} ${symbol} ${tight(args[1]!, strength.sum)}`,
    strength: strength.compare,
  });
const call =
  (name: string): Printer =>
  (_, args) => ({ text: `${name}(${args.map((arg) => arg.text).join(', ')})`, strength: strength.atom });
const atom = (text: string): Printed => ({ text, strength: strength.atom });

const printers: { readonly [O in Op]: Printer } = {
  constant: (e) =>
    e.type === 'bool'
      ? atom(e.value === 0 ? 'false' : 'true')
      : { text: number(e.value!), strength: e.value! < 0 ? strength.sign : strength.atom },
  variable: (e) => atom(e.name!),
  parameter: (e) => atom(`$${e.value}`),
  table: (e, args) => atom(`${e.table!.name}[${args.map((arg) => arg.text).join(', ')}]`),
  neg: (_, args) => ({ text: `-${tight(args[0]!, strength.atom)}`, strength: strength.sign }),
  abs: (_, args) => atom(`|${args[0]!.text}|`),
  sqrt: call('sqrt'),
  exp: call('exp'),
  log: call('log'),
  tanh: call('tanh'),
  erf: call('erf'),
  sin: call('sin'),
  cos: call('cos'),
  acos: call('acos'),
  floor: call('floor'),
  ceil: call('ceil'),
  min: call('min'),
  max: call('max'),
  pow: call('pow'),
  atan2: call('atan2'),
  add: infix('+', strength.sum, false),
  sub: infix('-', strength.sum, false),
  mul: infix('*', strength.product, false),
  div: infix('/', strength.product, false),
  floorDiv: infix('//', strength.product, false),
  mod: infix('mod', strength.product, false),
  lt: compare('<'),
  le: compare('<='),
  gt: compare('>'),
  ge: compare('>='),
  eq: compare('='),
  ne: compare('!='),
  and: infix('and', strength.and, true),
  or: infix('or', strength.or, true),
  not: (_, args) => ({ text: `not ${tight(args[0]!, strength.not)}`, strength: strength.not }),
  select: call('select'),
  toF32: call('f32'),
  toI32: call('i32'),
};

const number = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));

/** The expression as readable infix text, such as `|q - k| <= 256 and k <= q`. @throws OptionError for what is none. */
export function print(expression: Expression): string {
  if (!isExpression(expression)) throw new OptionError(`print: takes an expression; got ${describe(expression)}.`);
  const printed = new Map<Expression, Printed>();
  for (const e of topological(expression))
    printed.set(
      e,
      printers[e.op](
        e,
        e.args.map((arg) => printed.get(arg)!),
      ),
    );
  return printed.get(expression)!.text;
}

/**
 * A name for the structure: equal for expressions that compile to one program, however their nodes are shared.
 * Tables count by name, type, rank and order of first use, not by their numbers.
 */
export function key(expression: Expression): string {
  const tables = tablesOf(expression);
  const lines = new Map<string, number>();
  const index = new Map<Expression, number>();
  for (const e of topological(expression)) {
    const args = e.args.map((arg) => index.get(arg)!).join(',');
    const line = `${e.op}.${e.type}(${args})${detail(e, tables)}`;
    if (!lines.has(line)) lines.set(line, lines.size);
    index.set(e, lines.get(line)!);
  }
  return [...lines.keys()].join(';');
}

function detail(e: Expression, tables: ReturnType<typeof tablesOf>): string {
  if (e.table !== undefined)
    return JSON.stringify([tables.indexOf(e.table), e.table.name, e.table.dtype, e.table.shape.length]);
  if (e.name !== undefined) return JSON.stringify(e.name);
  return e.value === undefined ? '' : number(e.value);
}

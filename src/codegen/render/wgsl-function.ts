import type { Expression, Table } from '../expression/index.js';
import { lower, type Environment, type TableBinding } from '../lower.js';
import type { Access, Instruction, Kind, Operation, ParameterKind, Value } from '../program.js';
import { VectorBuilder, type Pointer } from '../vector.js';
import { forms as laneForms, literal } from './wgsl-forms.js';

// Texts for GPUs are written by hand, and what is an expression in them is written here: straight-line programs of the vector builder as
// WGSL functions. A vector has one lane, or four, which are a `vec4`. So the meaning of expressions, and the polynomials of exp and its
// kin, exist once.

/** What a WGSL function is given, or what its text finds around it: an expression of WGSL and its kind. */
export interface WgslValue {
  readonly kind: Kind;
  readonly text: string;
}

const width = 4;

export const wgslTypes: Record<Kind, string> = {
  i32: 'i32',
  f32: 'f32',
  pointer: 'u32',
  vf: 'vec4<f32>',
  vi: 'vec4<i32>',
};
const isVector = (kind: Kind): boolean => kind === 'vf' || kind === 'vi';
const isFloat = (kind: Kind): boolean => kind === 'vf' || kind === 'f32';
const number = (kind: Kind, value: number): string =>
  isVector(kind) ? `${wgslTypes[kind]}(${literal(kind, value)})` : literal(kind, value);

type Form = (kind: Kind, args: readonly string[], immediate: number) => string;

const truth = (kind: Kind, test: string): string =>
  isVector(kind) ? `select(vec4<i32>(0), vec4<i32>(-1), ${test})` : `select(0i, 1i, ${test})`;
const compare =
  (sign: string): Form =>
  (kind, [a, b]) =>
    truth(kind, `${a} ${sign} ${b}`);
const unsigned = (kind: Kind): string => (isVector(kind) ? 'vec4<u32>' : 'u32');
const signed = (kind: Kind): string => (isVector(kind) ? 'vec4<i32>' : 'i32');
const float = (kind: Kind): string => (isVector(kind) ? 'vec4<f32>' : 'f32');
const filled = (kind: Kind, bits: string): string => (isVector(kind) ? `vec4<u32>(${bits})` : bits);
/** `x == x`, which a compiler may take for true. */
const isNumber = (kind: Kind, a: string): string =>
  `(bitcast<${unsigned(kind)}>(${a}) & ${filled(kind, '0x7fffffffu')}) <= ${filled(kind, '0x7f800000u')}`;

/** Those of one lane, but where four need types or constants of their own. Undefined: not in straight-line texts. */
const forms: Partial<Record<Operation, Form>> = {
  ...laneForms,
  shl: (kind, [a], bits) => `${a} << ${filled(kind, `${bits}u`)}`,
  shrSigned: (kind, [a], bits) => `${a} >> ${filled(kind, `${bits}u`)}`,
  shrUnsigned: (kind, [a], bits) =>
    `bitcast<${signed(kind)}>(bitcast<${unsigned(kind)}>(${a}) >> ${filled(kind, `${bits}u`)})`,
  lt: compare('<'),
  le: compare('<='),
  gt: compare('>'),
  ge: compare('>='),
  eq: (kind, [a, b]) => truth(kind, isFloat(kind) && a === b ? isNumber(kind, a!) : `${a} == ${b}`),
  // `!=` of a NaN is false on some drivers
  ne: (kind, [a, b]) => {
    if (!isFloat(kind)) return truth(kind, `${a} != ${b}`);
    return truth(kind, a === b ? `!(${isNumber(kind, a!)})` : `!(${a} == ${b})`);
  },
  select: (kind, [test, a, b]) => `select(${b}, ${a}, ${test} != ${isVector(kind) ? 'vec4<i32>(0)' : '0i'})`,
  splat: (kind, [a]) => `vec4<${kind}>(${a})`,
  lane: (_, [a], index) => `${a}[${index}]`,
  iota: () => 'vec4<i32>(0, 1, 2, 3)',
  toFloat: (kind, [a]) => `${float(kind)}(${a})`,
  toInt: (kind, [a]) => `${signed(kind)}(${a})`,
  bits: (kind, [a]) => `bitcast<${signed(kind)}>(${a})`,
  fromBits: (kind, [a]) => `bitcast<${float(kind)}>(${a})`,
};

/** High 32 bits of products of 32 bits, from products of 16. Beside functions that draw random numbers. */
export const mulHigh = `
fn mulHigh(x: vec4<i32>, y: vec4<i32>) -> vec4<i32> {
  let a = bitcast<vec4<u32>>(x);
  let b = bitcast<vec4<u32>>(y);
  let half = vec4<u32>(16u);
  let mask = vec4<u32>(0xffffu);
  let low = (a & mask) * (b & mask);
  let first = (a >> half) * (b & mask) + (low >> half);
  let second = (a & mask) * (b >> half) + (first & mask);
  return bitcast<vec4<i32>>((a >> half) * (b >> half) + (first >> half) + (second >> half));
}
`;

const loads: Partial<Record<Access, (p: string) => string>> = {
  i32: (p) => `bitcast<i32>(arena[(${p}) >> 2u])`,
  f32: (p) => `bitcast<f32>(arena[(${p}) >> 2u])`,
  pointer: (p) => `arena[(${p}) >> 2u]`,
  u8: (p) => `i32((arena[(${p}) >> 2u] >> (((${p}) & 3u) * 8u)) & 0xffu)`,
};
const gathers = { vf: ['f32', 4], vi: ['i32', 4], vu8: ['u8', 1] } as const;

function statement(instruction: Instruction, given: readonly WgslValue[], name: (value: Value) => string): string {
  const declare = (to: Value, text: string): string => `  let ${name(to)} = ${text};`;
  switch (instruction.do) {
    case 'constant':
      return declare(instruction.to, number(instruction.to.kind, instruction.value));
    case 'parameter':
      return declare(instruction.to, given[instruction.index]!.text);
    case 'operation': {
      const { op, to, args, immediate } = instruction;
      const form = forms[op];
      if (form === undefined) throw new Error(`wgsl: ${op} has no place in a function`);
      return declare(to, form(args.at(-1)?.kind ?? 'vi', args.map(name), immediate));
    }
    case 'load': {
      const { access, to, from, offset } = instruction;
      const load = loads[access];
      if (load === undefined) throw new Error(`wgsl: a function does not load ${access}`);
      return declare(to, load(offset === 0 ? name(from) : `${name(from)} + ${offset}u`));
    }
    case 'gather': {
      const { access, to, from, index } = instruction;
      const [of, bytes] = gathers[access];
      const lanes = Array.from({ length: width }, (_, i) =>
        loads[of]!(`${name(from)} + u32(${name(index)}[${i}]) * ${bytes}u`),
      );
      return declare(to, `${wgslTypes[to.kind]}(${lanes.join(', ')})`);
    }
    case 'assign':
    case 'if':
    case 'loadStrided':
    case 'loop':
    case 'prefetch':
    case 'shuffle':
    case 'store':
    case 'storeStrided':
    case 'while':
      throw new Error(`wgsl: a function of expressions has no ${instruction.do}`);
  }
}

/**
 * A WGSL function over what `body` writes with the builder. `given` are its arguments, by name; `around` are expressions that the text has
 * in scope. Several results come back as an `array`.
 */
export function wgslFunction(
  name: string,
  given: Readonly<Record<string, Kind>>,
  body: (k: VectorBuilder, args: readonly Value[], around: readonly Value[]) => Value | readonly Value[],
  around: readonly WgslValue[] = [],
): string {
  const own = Object.entries(given).map(([text, kind]) => ({ text, kind }));
  const all = [...own, ...around];
  // vectors are no parameters of kernels: the recorder does not mind
  const k = new VectorBuilder({ name, parameters: all.map(({ kind }) => kind as ParameterKind) }, width);
  const values = all.map(({ kind }, i) => k.parameter(i, kind as 'i32') as Value);
  const result = body(k, values.slice(0, own.length), values.slice(own.length));
  const text = (value: Value): string => `v${value.id}`;
  const lines = k.finish().body.map((instruction) => statement(instruction, all, text));
  const results = Array.isArray(result) ? (result as readonly Value[]) : [result as Value];
  const type = wgslTypes[results[0]!.kind];
  const returned = results.length === 1 ? type : `array<${type}, ${results.length}>`;
  const value = results.length === 1 ? text(results[0]!) : `${returned}(${results.map(text).join(', ')})`;
  const parameters = own.map(({ text: argument, kind }) => `${argument}: ${wgslTypes[kind]}`);
  return [`fn ${name}(${parameters.join(', ')}) -> ${returned} {`, ...lines, `  return ${value};`, '}', ''].join('\n');
}

/** What the expressions of a text find around them: lifted constants, and where tables lie, as WGSL. */
export interface WgslEnvironment {
  readonly constants?: readonly WgslValue[];
  readonly tables?: readonly {
    readonly table: Table;
    readonly pointer: string;
    readonly dimensions: readonly string[];
  }[];
  readonly checked?: Environment['checked'];
}

/** An expression as a WGSL function of its variables, of four lanes where one of them is a vector. Booleans are 0, and 1 or −1. */
export function expressionFunction(
  name: string,
  expression: Expression,
  variables: Readonly<Record<string, Kind>>,
  { constants = [], tables = [], checked }: WgslEnvironment = {},
): string {
  const bindings = tables.map(({ pointer, dimensions }): readonly WgslValue[] => [
    { kind: 'pointer', text: pointer },
    ...dimensions.map((text) => ({ kind: 'i32', text }) as const),
  ]);
  const vector = Object.values(variables).some(isVector);
  return wgslFunction(
    name,
    variables,
    (k, args, around) => {
      const bound = new Map<Table, TableBinding>();
      let at = constants.length;
      bindings.forEach((binding, i) => {
        const [pointer, ...dimensions] = around.slice(at, (at += binding.length));
        bound.set(tables[i]!.table, { pointer: pointer as Pointer, dimensions: dimensions as Value<'i32'>[] });
      });
      const named = Object.fromEntries(
        Object.keys(variables).map((variable, i) => [variable, args[i]! as Value<'vf'>]),
      );
      const found = lower(k, expression, {
        variables: named,
        parameter: (slot) => around[slot] as Value<'f32'>,
        table: (table) => bound.get(table)!,
        ...(checked && { checked }),
      });
      if (!vector || isVector(found.kind)) return found;
      // as `lowerVector`: what depends on no lane is the same in all
      if (found.kind === 'f32') return k.splat(found);
      return k.splat(
        expression.type === 'bool' ? k.sub(k.constant('i32', 0), found as Value<'i32'>) : (found as Value<'i32'>),
      );
    },
    [...constants, ...bindings.flat()],
  );
}

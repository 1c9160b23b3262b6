import { record, type Kernel } from '../kernel.js';
import type { Access, Instruction, Kind, Operation, Value } from '../program.js';
import { prelude } from './c-prelude.js';

const types: Record<Kind, string> = { i32: 'int32_t', f32: 'float', pointer: 'char *', vf: 'vf', vi: 'vi' };

const name = (value: Value): string => (['params', 'scratch', 'begin', 'end'] as const)[value.id] ?? `v${value.id}`;

type Form = (kind: Kind, args: readonly string[], immediate: number) => string;

const infix =
  (sign: string): Form =>
  (_, [a, b]) =>
    `${a} ${sign} ${b}`;
/** i32 arithmetic wraps, as on every other target: computed unsigned. */
const wrapping =
  (sign: string): Form =>
  (kind, [a, b]) =>
    kind === 'i32' ? `(int32_t)((uint32_t)${a} ${sign} (uint32_t)${b})` : `${a} ${sign} ${b}`;
const call =
  (stem: string): Form =>
  (kind, args) =>
    `${stem}_${kind}(${args.join(', ')})`;
const compare =
  (sign: string): Form =>
  (kind, [a, b]) =>
    kind === 'vf' || kind === 'vi' ? `(vi)(${a} ${sign} ${b})` : `${a} ${sign} ${b}`;

/** One C expression per operation; `kind` is that of the last argument. */
const forms: Record<Operation, Form> = {
  add: wrapping('+'),
  sub: wrapping('-'),
  mul: wrapping('*'),
  div: infix('/'),
  rem: infix('%'),
  min: call('min'),
  max: call('max'),
  and: infix('&'),
  or: infix('|'),
  xor: infix('^'),
  shl: (kind, [a], bits) => (kind === 'i32' ? `(int32_t)((uint32_t)${a} << ${bits})` : `(vi)((vu)${a} << ${bits})`),
  shrSigned: (_, [a], bits) => `${a} >> ${bits}`,
  shrUnsigned: (kind, [a], bits) =>
    kind === 'i32' ? `(int32_t)((uint32_t)${a} >> ${bits})` : `(vi)((vu)${a} >> ${bits})`,
  neg: (_, [a]) => `-${a}`,
  abs: call('abs'),
  sqrt: call('sqrt'),
  floor: call('floor'),
  ceil: call('ceil'),
  nearest: call('nearest'),
  trunc: call('trunc'),
  lt: compare('<'),
  le: compare('<='),
  gt: compare('>'),
  ge: compare('>='),
  eq: compare('=='),
  ne: compare('!='),
  fma: (_, [a, b, c]) => `${a} * ${b} + ${c}`,
  select: (kind, args) =>
    kind === 'vf' || kind === 'vi' ? call('select')(kind, args, 0) : `${args[0]} ? ${args[1]} : ${args[2]}`,
  splat: (kind, [a]) => (kind === 'f32' ? `splat_vf(${a})` : `splat_vi(${a})`),
  lane: (_, [a], index) => `${a}[${index}]`,
  iota: () => 'iota',
  toFloat: (kind, [a]) => (kind === 'i32' ? `(float)${a}` : `__builtin_convertvector(${a}, vf)`),
  toInt: (kind, [a]) => (kind === 'f32' ? `(int32_t)${a}` : `__builtin_convertvector(${a}, vi)`),
  bits: (kind, [a]) => (kind === 'f32' ? `bits_f32(${a})` : `(vi)${a}`),
  fromBits: (kind, [a]) => (kind === 'i32' ? `from_bits_i32(${a})` : `(vf)${a}`),
  mulHighUnsigned: call('mul_high'),
  any: call('any'),
  reduceAdd: call('reduce_add'),
  reduceMax: call('reduce_max'),
  reduceMin: call('reduce_min'),
  keep: call('keep'),
  offset: (_, [p, index, stride]) => `${p} + (int64_t)${index} * ${stride}`,
};

const loads: Record<Access, (address: string) => string> = {
  pointer: (p) => `*(char *const *)(${p})`,
  i32: (p) => `*(const i32u *)(${p})`,
  f32: (p) => `*(const f32u *)(${p})`,
  u8: (p) => `*(const uint8_t *)(${p})`,
  u16: (p) => `*(const u16u *)(${p})`,
  vf: (p) => `*(const vfu *)(${p})`,
  vi: (p) => `*(const viu *)(${p})`,
  splat: (p) => `splat_vf(*(const f32u *)(${p}))`,
  vu8: (p) => `__builtin_convertvector(*(const vu8u *)(${p}), vi)`,
  vu16: (p) => `__builtin_convertvector(*(const vu16u *)(${p}), vi)`,
};
const stores: Record<Exclude<Access, 'splat' | 'pointer'>, (address: string, value: string) => string> = {
  i32: (p, v) => `*(i32u *)(${p}) = ${v}`,
  f32: (p, v) => `*(f32u *)(${p}) = ${v}`,
  u8: (p, v) => `*(uint8_t *)(${p}) = (uint8_t)${v}`,
  u16: (p, v) => `*(u16u *)(${p}) = (uint16_t)${v}`,
  vf: (p, v) => `*(vfu *)(${p}) = ${v}`,
  vi: (p, v) => `*(viu *)(${p}) = ${v}`,
  vu8: (p, v) => `*(vu8u *)(${p}) = __builtin_convertvector(${v}, vu8)`,
  vu16: (p, v) => `*(vu16u *)(${p}) = __builtin_convertvector(${v}, vu16)`,
};

/** A float literal that C reads back to the same bits. */
function literal(kind: Kind, value: number): string {
  if (kind === 'i32') return value === -2147483648 ? '(-2147483647 - 1)' : String(value);
  if (kind === 'vi') return `splat_vi(${literal('i32', value)})`;
  if (kind === 'vf') return `splat_vf(${literal('f32', value)})`;
  const float = Math.fround(value);
  if (Number.isNaN(float)) return '__builtin_nanf("")';
  if (!Number.isFinite(float)) return float > 0 ? '__builtin_inff()' : '-__builtin_inff()';
  const text = String(float);
  const digits = Object.is(float, -0) ? '-0.0' : /[.e]/.test(text) ? text : `${text}.0`;
  return `${digits}f`;
}

function statement(instruction: Instruction, width: number, indent: string): string[] {
  const declare = (to: Value): string =>
    `${indent}const ${types[to.kind]} ${name(to)} =`.replace('const char *', 'char *');
  const address = (pointer: Value, offset: number): string =>
    offset === 0 ? name(pointer) : `${name(pointer)} + ${offset}`;
  const block = (body: readonly Instruction[]): string[] =>
    body.flatMap((inner) => statement(inner, width, `${indent}  `));
  switch (instruction.do) {
    case 'constant':
      return [`${declare(instruction.to)} ${literal(instruction.to.kind, instruction.value)};`];
    case 'parameter': {
      const slot = `params + ${8 * instruction.index}`;
      return [`${declare(instruction.to)} ${loads[instruction.to.kind as 'pointer' | 'i32' | 'f32'](slot)};`];
    }
    case 'operation': {
      const { op, to, args, immediate } = instruction;
      const kind = op === 'offset' ? 'pointer' : (args.at(-1)?.kind ?? 'vi');
      return [`${declare(to)} ${forms[op](kind, args.map(name), immediate)};`];
    }
    case 'load': {
      const { access, to, from, offset, count } = instruction;
      const p = address(from, offset);
      return [`${declare(to)} ${count ? `load_partial_${access}(${p}, ${name(count)})` : loads[access](p)};`];
    }
    case 'store': {
      const { access, to, value, offset, count } = instruction;
      const p = address(to, offset);
      if (count) return [`${indent}store_partial_${access}(${p}, ${name(value)}, ${name(count)});`];
      if (access === 'splat' || access === 'pointer') throw new Error(`c: a ${access} cannot be stored`);
      return [`${indent}${stores[access](p, name(value))};`];
    }
    case 'loadStrided': {
      const { to, from, offset, stride } = instruction;
      const lanes = Array.from({ length: width }, (_, i) => loads.f32(address(from, offset + i * stride)));
      return [`${declare(to)} (vf){${lanes.join(', ')}};`];
    }
    case 'storeStrided': {
      const { to, value, offset, stride } = instruction;
      return Array.from(
        { length: width },
        (_, i) => `${indent}${stores.f32(address(to, offset + i * stride), `${name(value)}[${i}]`)};`,
      );
    }
    case 'prefetch': {
      const { from, offset, write } = instruction;
      return [`${indent}__builtin_prefetch(${address(from, offset)}, ${write ? 1 : 0}, 2);`];
    }
    case 'shuffle': {
      const { to, a, b, lanes } = instruction;
      return [`${declare(to)} SHUFFLE(${name(a)}, ${name(b)}, ${lanes.join(', ')});`];
    }
    case 'gather':
      return [
        `${declare(instruction.to)} gather_${instruction.access}(${name(instruction.from)}, ${name(instruction.index)});`,
      ];
    case 'assign':
      return [`${indent}${name(instruction.to)} = ${name(instruction.value)};`];
    case 'loop': {
      const { counter, start, end, step, body } = instruction;
      const i = name(counter);
      return [
        `${indent}for (int32_t ${i} = ${name(start)}; ${i} < ${name(end)}; ${i} += ${step}) {`,
        ...block(body),
        `${indent}}`,
      ];
    }
    case 'while': {
      const { condition, test, body } = instruction;
      return [
        `${indent}for (;;) {`,
        ...block(condition),
        `${indent}  if (!${name(test)}) break;`,
        ...block(body),
        `${indent}}`,
      ];
    }
    case 'if': {
      const { test, then, otherwise } = instruction;
      const tail = otherwise.length > 0 ? [`${indent}} else {`, ...block(otherwise)] : [];
      return [`${indent}if (${name(test)}) {`, ...block(then), ...tail, `${indent}}`];
    }
    default:
      return instruction satisfies never;
  }
}

function variablesOf(body: readonly Instruction[], found: Map<number, Kind>): Map<number, Kind> {
  for (const instruction of body) {
    if (instruction.do === 'assign') found.set(instruction.to.id, instruction.to.kind);
    if (instruction.do === 'loop') variablesOf(instruction.body, found);
    if (instruction.do === 'while') variablesOf([...instruction.condition, ...instruction.body], found);
    if (instruction.do === 'if') variablesOf([...instruction.then, ...instruction.otherwise], found);
  }
  return found;
}

/** The kernel as a C translation unit without includes, exporting `subquad_run`. */
export function renderC(kernel: Kernel, options: { readonly width: number }): string {
  const program = record(kernel, options.width);
  const variables = [...variablesOf(program.body, new Map())].map(([id, kind]) => `  ${types[kind]} v${id};`);
  const body = program.body.flatMap((instruction) => statement(instruction, options.width, '  '));
  return [
    `/* ${program.name} */`,
    prelude(options.width),
    'void subquad_run(const char *params, char *scratch, int32_t begin, int32_t end) {',
    ...variables,
    ...body,
    '}',
    '',
  ].join('\n');
}

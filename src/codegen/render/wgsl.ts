import { type GpuTarget, type GpuText, wgslArgument } from '../gpu.js';
import { record, type Kernel } from '../kernel.js';
import { barriersOf } from '../analysis/visibility.js';
import { uniformLoads } from '../analysis/uniformity.js';
import { walk } from '../analysis/walk.js';
import type { Access, Instruction, Kind, Program, Value } from '../program.js';
import { exchange } from './wgsl-exchange.js';
import { forms, type LaneOperation, literal, mulHigh, types } from './wgsl-forms.js';

/** 1.5·2²³, see codegen/math.ts. */
const ROUNDING = 12582912;

/** Invocations of a workgroup where each is a thread with tasks of its own. */
const THREADS = 32;

const name = (value: Value): string =>
  (['', 'scratch', 'i32(task)', '(i32(task) + 1)'] as const)[value.id] ?? `v${value.id}`;

/** Bytes of an element in memory, and the kind that it is loaded to. */
const elements: Record<Access, { readonly bytes: number; readonly kind: Kind }> = {
  pointer: { bytes: 8, kind: 'pointer' },
  i32: { bytes: 4, kind: 'i32' },
  f32: { bytes: 4, kind: 'f32' },
  u8: { bytes: 1, kind: 'i32' },
  u16: { bytes: 2, kind: 'i32' },
  vf: { bytes: 4, kind: 'vf' },
  vi: { bytes: 4, kind: 'vi' },
  splat: { bytes: 4, kind: 'f32' },
  vu8: { bytes: 1, kind: 'vi' },
  vu16: { bytes: 2, kind: 'vi' },
};
const isVector = (access: Access): boolean =>
  access === 'vf' || access === 'vi' || access === 'vu8' || access === 'vu16';

/**
 * The text of `cpu` in WGSL. A vector is a workgroup of `width` lanes that run in step: scalars are computed by all of them, and where lanes
 * see each other, by `lane`, sums or memory, they wait for each other. Or, with one lane, an invocation is a thread: nothing waits.
 */
export function renderWgsl(kernel: Kernel, target: GpuTarget): GpuText {
  const width = kernel.vectorOn === 'invocation' ? 1 : target.width;
  const program = record(kernel, width);
  return new Renderer(program, kernel, width).text();
}

class Renderer {
  readonly #barriers: ReadonlySet<Instruction>;
  readonly #uniform: ReadonlySet<Instruction>;
  /** Narrow elements share words, so those programs write words bit by bit. */
  readonly #atomic: boolean;
  readonly #tables: string[] = [];
  /** Values of constants, by their locals. */
  readonly #constants = new Map<number, number>();
  readonly #uses = new Set<'mulHigh' | 'narrow' | 'exchange'>();

  constructor(
    readonly program: Program,
    readonly kernel: Kernel,
    readonly width: number,
  ) {
    const lanes = width > 1;
    this.#barriers = lanes ? barriersOf(program) : new Set();
    this.#uniform = lanes ? uniformLoads(program, this.#barriers) : new Set();
    let narrow = false;
    walk(program.body, (instruction) => {
      narrow ||= instruction.do === 'store' && elements[instruction.access].bytes < 4;
    });
    this.#atomic = narrow;
  }

  text(): GpuText {
    const { width, program } = this;
    const variables = new Map<number, Kind>();
    walk(program.body, (instruction) => {
      if (instruction.do === 'assign') variables.set(instruction.to.id, instruction.to.kind);
    });
    const body = this.#block(program.body, '  ');
    const wgsl = [
      ...this.#memory(),
      ...(this.#uses.has('mulHigh') ? [mulHigh] : []),
      ...(this.#uses.has('exchange') ? [exchange(width)] : []),
      ...this.#tables,
      'fn run(task: u32, lane: u32) {',
      ...[...variables].map(([id, kind]) => `  var v${id}: ${types[kind]};`),
      ...body,
      '}',
    ].join('\n');
    return {
      wgsl,
      workgroupSize: width > 1 ? width : THREADS,
      tasksOf: width > 1 ? 'workgroup' : 'invocation',
      element: this.#atomic ? 'atomic<u32>' : 'u32',
    };
  }

  /** Functions that read and write the arena, at addresses in bytes. */
  #memory(): string[] {
    const word = this.#atomic ? 'atomicLoad(&arena[at / 4u])' : 'arena[at / 4u]';
    const put = this.#atomic ? 'atomicStore(&arena[at / 4u], word);' : 'arena[at / 4u] = word;';
    return [
      // takers of tasks are fewer than 2³¹, which only the host knows
      'fn opaque(a: f32) -> f32 { return bitcast<f32>(bitcast<u32>(a) | (call[0].w >> 31u)); }',
      `fn peek(at: u32) -> u32 { return ${word}; }`,
      `fn poke(at: u32, word: u32) { ${put} }`,
      ...(this.#uses.has('narrow')
        ? [
            'fn peek8(at: u32) -> u32 { return (peek(at) >> (8u * (at & 3u))) & 0xffu; }',
            'fn peek16(at: u32) -> u32 { return (peek(at) >> (8u * (at & 2u))) & 0xffffu; }',
          ]
        : []),
      // neighbours in the word belong to other invocations, which write them meanwhile
      ...(this.#atomic
        ? ([8, 16] as const).map((bits) => {
            const mask = bits === 8 ? '0xffu' : '0xffffu';
            return `fn poke${bits}(at: u32, value: u32) {
  let shift = 8u * (at & ${bits === 8 ? '3u' : '2u'});
  atomicAnd(&arena[at / 4u], ~(${mask} << shift));
  atomicOr(&arena[at / 4u], (value & ${mask}) << shift);
}`;
          })
        : []),
    ];
  }

  #block(body: readonly Instruction[], indent: string): string[] {
    return body.flatMap((instruction) => {
      const lines = this.#statement(instruction, indent);
      return this.#barriers.has(instruction) ? [`${indent}storageBarrier(); workgroupBarrier();`, ...lines] : lines;
    });
  }

  #statement(instruction: Instruction, indent: string): string[] {
    const inner = `${indent}  `;
    const define = (to: Value, value: string): string[] => [`${indent}let ${name(to)}: ${types[to.kind]} = ${value};`];
    switch (instruction.do) {
      case 'constant':
        this.#constants.set(instruction.to.id, instruction.value);
        return define(instruction.to, literal(instruction.to.kind, instruction.value));
      case 'parameter':
        return define(
          instruction.to,
          wgslArgument(instruction.index, instruction.to.kind as 'pointer' | 'i32' | 'f32'),
        );
      case 'operation':
        return define(instruction.to, this.#operation(instruction));
      case 'load': {
        const { access, to, from, offset, count } = instruction;
        const value = this.#load(
          access,
          to.kind,
          this.#at(from, offset, isVector(access) ? elements[access].bytes : 0),
        );
        if (count)
          return define(
            to,
            `select(${types[to.kind]}(0), ${value}, ${this.width === 1 ? '0i' : 'i32(lane)'} < ${name(count)})`,
          );
        if (!this.#uniform.has(instruction)) return define(to, value);
        this.#uses.add('exchange');
        return [
          `${indent}if (lane == 0u) { handed = ${asWord(to.kind, value)}; }`,
          ...define(to, fromWord(to.kind, 'workgroupUniformLoad(&handed)')),
        ];
      }
      case 'store': {
        const { access, to, value, offset, count } = instruction;
        const vector = isVector(access);
        const line = this.#store(access, this.#at(to, offset, vector ? elements[access].bytes : 0), value);
        const only = count
          ? `${this.width === 1 ? '0i' : 'i32(lane)'} < ${name(count)}`
          : vector || this.width === 1
            ? undefined
            : 'lane == 0u';
        return [only === undefined ? `${indent}${line}` : `${indent}if (${only}) { ${line} }`];
      }
      case 'loadStrided':
        return define(
          instruction.to,
          this.#load('vf', 'vf', this.#at(instruction.from, instruction.offset, instruction.stride)),
        );
      case 'storeStrided':
        return [
          `${indent}${this.#store('vf', this.#at(instruction.to, instruction.offset, instruction.stride), instruction.value)}`,
        ];
      case 'prefetch':
        return [];
      case 'shuffle':
        return define(instruction.to, this.#shuffle(instruction));
      case 'gather': {
        const { access, to, from, index } = instruction;
        return define(
          to,
          this.#load(access, to.kind, `${name(from)} + bitcast<u32>(${name(index)} * ${elements[access].bytes})`),
        );
      }
      case 'assign':
        return [`${indent}${name(instruction.to)} = ${name(instruction.value)};`];
      case 'loop': {
        const { counter, start, end, step, body } = instruction;
        const i = name(counter);
        return [
          `${indent}for (var ${i}: i32 = ${name(start)}; ${i} < ${name(end)}; ${i} += ${step}) {`,
          ...this.#block(body, inner),
          `${indent}}`,
        ];
      }
      case 'while': {
        const { condition, test, body } = instruction;
        return [
          `${indent}loop {`,
          ...this.#block(condition, inner),
          `${inner}if (${name(test)} == 0) { break; }`,
          ...this.#block(body, inner),
          `${indent}}`,
        ];
      }
      case 'if': {
        const { test, then, otherwise } = instruction;
        const tail = otherwise.length > 0 ? [`${indent}} else {`, ...this.#block(otherwise, inner)] : [];
        return [`${indent}if (${name(test)} != 0) {`, ...this.#block(then, inner), ...tail, `${indent}}`];
      }
      default:
        return instruction satisfies never;
    }
  }

  #operation(instruction: Extract<Instruction, { do: 'operation' }>): string {
    const { op, args, immediate } = instruction;
    const [a] = args.map(name);
    if (op === 'lane' || op === 'any' || op === 'reduceAdd' || op === 'reduceMax' || op === 'reduceMin')
      return this.#across(instruction, op, a!);
    if (op === 'mulHighUnsigned') this.#uses.add('mulHigh');
    const kind = op === 'offset' ? 'pointer' : (args.at(-1)?.kind ?? 'vi');
    if (op === 'iota' && this.width === 1) return '0i';
    // a sum with this constant is rounded to a whole number: no compiler may see that the same is subtracted again
    if (op === 'sub' && this.#constants.get(args[1]!.id) === ROUNDING) return `opaque(${a!}) - ${name(args[1]!)}`;
    return forms[op satisfies LaneOperation](kind, args.map(name), immediate);
  }

  #across(
    instruction: Extract<Instruction, { do: 'operation' }>,
    op: 'lane' | 'any' | 'reduceAdd' | 'reduceMax' | 'reduceMin',
    a: string,
  ): string {
    if (this.width === 1) return op === 'any' ? `select(0i, 1i, ${a} != 0)` : a;
    this.#uses.add('exchange');
    const { kind } = instruction.args[0]!;
    if (op === 'lane') return fromWord(kind, `laneOf(${asWord(kind, a)}, ${instruction.immediate}u, lane)`);
    const result = `${op === 'any' ? 'anyLane' : op}(${a}, lane)`;
    if (!this.#uniform.has(instruction)) return result;
    return fromWord(instruction.to.kind, `handedFrom0(${asWord(instruction.to.kind, result)}, lane)`);
  }

  #shuffle({ to, a, b, lanes }: Extract<Instruction, { do: 'shuffle' }>): string {
    if (this.width === 1) return name(lanes[0] === 0 ? a : b);
    this.#uses.add('exchange');
    const table = `lanes${to.id}`;
    this.#tables.push(`const ${table} = array<u32, ${this.width}>(${lanes.map((lane) => `${lane}u`).join(', ')});`);
    return `shuffled(${name(a)}, ${name(b)}, ${table}[lane], lane)`;
  }

  /** `pointer + offset + stride·lane`. */
  #at(pointer: Value, offset: number, stride: number): string {
    const own = stride === 0 || this.width === 1 ? '' : ` + ${stride >>> 0}u * lane`;
    return `${name(pointer)}${offset === 0 ? '' : ` + ${offset >>> 0}u`}${own}`;
  }

  #load(access: Access, kind: Kind, at: string): string {
    const { bytes } = elements[access];
    if (bytes >= 4) return fromWord(kind, `peek(${at})`);
    this.#uses.add('narrow');
    return `i32(peek${8 * bytes}(${at}))`;
  }

  #store(access: Access, at: string, value: Value): string {
    const { bytes } = elements[access];
    return `poke${bytes < 4 ? 8 * bytes : ''}(${at}, ${asWord(value.kind, name(value))});`;
  }
}

const asWord = (kind: Kind, value: string): string => (kind === 'pointer' ? value : `bitcast<u32>(${value})`);
const fromWord = (kind: Kind, word: string): string => (kind === 'pointer' ? word : `bitcast<${types[kind]}>(${word})`);

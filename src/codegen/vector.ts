import type {
  Access,
  Comparison,
  F32,
  I32,
  Instruction,
  Kind,
  Operation,
  Pointer,
  Signature,
  Program,
  Value,
  Variable,
  VF,
  VI,
} from './program.js';

export type { F32, I32, Kind, Pointer, Value, Variable, VF, VI } from './program.js';

type Numeric<K extends Kind> = Value<K> | number;
type Mask<K extends Kind> = K extends 'vf' | 'vi' ? 'vi' : 'i32';
type Scalar = 'i32' | 'f32';

/**
 * The CPU kernel builder: a kernel text calls these methods once, and the recorded program is rendered to WebAssembly
 * or C. `width` is the number of f32 lanes of one vector register on the target, known while the text runs, so
 * TypeScript loops unroll and the program's loops (`loop`, `while`) do not.
 */
export class VectorBuilder {
  readonly #kinds: Kind[] = ['pointer', 'pointer', 'i32', 'i32'];
  #block: Instruction[] = [];
  /** This thread's workspace, 64-byte aligned. */
  readonly scratch: Pointer = { kind: 'pointer', id: 1 };
  readonly begin: I32 = { kind: 'i32', id: 2 };
  readonly end: I32 = { kind: 'i32', id: 3 };

  constructor(
    readonly kernel: Signature,
    /** f32 lanes of one vector. */
    readonly width: number,
  ) {}

  /** @internal */
  finish(): Program {
    return { name: this.kernel.name, kinds: this.#kinds, body: this.#block };
  }

  #local<K extends Kind>(kind: K): Value<K> {
    this.#kinds.push(kind);
    return { kind, id: this.#kinds.length - 1 };
  }

  #emit(instruction: Instruction): void {
    this.#block.push(instruction);
  }

  #operation<K extends Kind>(op: Operation, kind: K, args: readonly Value[], immediate = 0): Value<K> {
    const to = this.#local(kind);
    this.#emit({ do: 'operation', op, to, args, immediate });
    return to;
  }

  #as<K extends Kind>(kind: K, value: Numeric<K>): Value<K> {
    return typeof value === 'number' ? this.constant(kind, value) : value;
  }

  constant<K extends Kind>(kind: K, value: number): Value<K> {
    const to = this.#local(kind);
    this.#emit({ do: 'constant', to, value });
    return to;
  }

  /** Argument `index` of the kernel. */
  parameter(index: number, kind: 'pointer'): Pointer;
  parameter(index: number, kind: 'i32'): I32;
  parameter(index: number, kind: 'f32'): F32;
  parameter(index: number, kind: 'pointer' | 'i32' | 'f32'): Value {
    if (this.kernel.parameters[index] !== kind)
      throw new Error(
        `${this.kernel.name}: parameter ${index} is ${String(this.kernel.parameters[index])}, not ${kind}`,
      );
    const to = this.#local(kind);
    this.#emit({ do: 'parameter', to, index });
    return to;
  }

  variable<K extends Kind>(kind: K, initial: Numeric<K>): Variable<K> {
    const to = { ...this.#local(kind), variable: true as const };
    this.assign(to, initial);
    return to;
  }

  assign<K extends Kind>(to: Variable<K>, value: Numeric<K>): void {
    this.#emit({ do: 'assign', to, value: this.#as(to.kind, value) });
  }

  #binary<K extends Kind>(op: Operation, a: Value<K>, b: Numeric<K>): Value<K> {
    return this.#operation(op, a.kind, [a, this.#as(a.kind, b)]);
  }

  add<K extends Scalar | 'vf' | 'vi'>(a: Value<K>, b: Numeric<K>): Value<K> {
    return this.#binary('add', a, b);
  }
  sub<K extends Scalar | 'vf' | 'vi'>(a: Value<K>, b: Numeric<K>): Value<K> {
    return this.#binary('sub', a, b);
  }
  mul<K extends Scalar | 'vf' | 'vi'>(a: Value<K>, b: Numeric<K>): Value<K> {
    return this.#binary('mul', a, b);
  }
  /** Float division, or truncating i32 division (the divisor must not be 0). */
  div<K extends Scalar | 'vf'>(a: Value<K>, b: Numeric<K>): Value<K> {
    return this.#binary('div', a, b);
  }
  rem(a: I32, b: Numeric<'i32'>): I32 {
    return this.#binary('rem', a, b);
  }
  /** `b < a ? b : a`: a NaN in `a` stays, a NaN in `b` is ignored. */
  min<K extends Scalar | 'vf' | 'vi'>(a: Value<K>, b: Numeric<K>): Value<K> {
    return this.#binary('min', a, b);
  }
  /** `a < b ? b : a`: a NaN in `a` stays, a NaN in `b` is ignored. */
  max<K extends Scalar | 'vf' | 'vi'>(a: Value<K>, b: Numeric<K>): Value<K> {
    return this.#binary('max', a, b);
  }
  and<K extends 'i32' | 'vi'>(a: Value<K>, b: Numeric<K>): Value<K> {
    return this.#binary('and', a, b);
  }
  or<K extends 'i32' | 'vi'>(a: Value<K>, b: Numeric<K>): Value<K> {
    return this.#binary('or', a, b);
  }
  xor<K extends 'i32' | 'vi'>(a: Value<K>, b: Numeric<K>): Value<K> {
    return this.#binary('xor', a, b);
  }
  /** Shifts take a constant number of bits. */
  shl<K extends 'i32' | 'vi'>(a: Value<K>, bits: number): Value<K> {
    return this.#operation('shl', a.kind, [a], bits);
  }
  shrSigned<K extends 'i32' | 'vi'>(a: Value<K>, bits: number): Value<K> {
    return this.#operation('shrSigned', a.kind, [a], bits);
  }
  shrUnsigned<K extends 'i32' | 'vi'>(a: Value<K>, bits: number): Value<K> {
    return this.#operation('shrUnsigned', a.kind, [a], bits);
  }
  /** The high 32 bits of the unsigned 64-bit product. */
  mulHighUnsigned(a: VI, b: VI): VI {
    return this.#operation('mulHighUnsigned', 'vi', [a, b]);
  }

  neg<K extends 'f32' | 'vf'>(a: Value<K>): Value<K> {
    return this.#operation('neg', a.kind, [a]);
  }
  abs<K extends 'f32' | 'vf'>(a: Value<K>): Value<K> {
    return this.#operation('abs', a.kind, [a]);
  }
  sqrt<K extends 'f32' | 'vf'>(a: Value<K>): Value<K> {
    return this.#operation('sqrt', a.kind, [a]);
  }
  floor<K extends 'f32' | 'vf'>(a: Value<K>): Value<K> {
    return this.#operation('floor', a.kind, [a]);
  }
  ceil<K extends 'f32' | 'vf'>(a: Value<K>): Value<K> {
    return this.#operation('ceil', a.kind, [a]);
  }
  /** Rounds half to even. */
  nearest<K extends 'f32' | 'vf'>(a: Value<K>): Value<K> {
    return this.#operation('nearest', a.kind, [a]);
  }
  trunc<K extends 'f32' | 'vf'>(a: Value<K>): Value<K> {
    return this.#operation('trunc', a.kind, [a]);
  }
  /** `a·b + c`, fused where the target fuses. */
  fma<K extends 'f32' | 'vf'>(a: Value<K>, b: Numeric<K>, c: Numeric<K>): Value<K> {
    return this.#operation('fma', a.kind, [a, this.#as(a.kind, b), this.#as(a.kind, c)]);
  }

  #compare<K extends Scalar | 'vf' | 'vi'>(op: Comparison, a: Value<K>, b: Numeric<K>): Value<Mask<K>> {
    const kind = (a.kind === 'vf' || a.kind === 'vi' ? 'vi' : 'i32') as Mask<K>;
    return this.#operation(op, kind, [a, this.#as(a.kind, b)]);
  }
  lt<K extends Scalar | 'vf' | 'vi'>(a: Value<K>, b: Numeric<K>): Value<Mask<K>> {
    return this.#compare('lt', a, b);
  }
  le<K extends Scalar | 'vf' | 'vi'>(a: Value<K>, b: Numeric<K>): Value<Mask<K>> {
    return this.#compare('le', a, b);
  }
  gt<K extends Scalar | 'vf' | 'vi'>(a: Value<K>, b: Numeric<K>): Value<Mask<K>> {
    return this.#compare('gt', a, b);
  }
  ge<K extends Scalar | 'vf' | 'vi'>(a: Value<K>, b: Numeric<K>): Value<Mask<K>> {
    return this.#compare('ge', a, b);
  }
  eq<K extends Scalar | 'vf' | 'vi'>(a: Value<K>, b: Numeric<K>): Value<Mask<K>> {
    return this.#compare('eq', a, b);
  }
  ne<K extends Scalar | 'vf' | 'vi'>(a: Value<K>, b: Numeric<K>): Value<Mask<K>> {
    return this.#compare('ne', a, b);
  }
  /** `test ? a : b`, lane by lane for vectors (lanes of `test` are 0 or −1). */
  select<K extends Kind>(test: Value<Mask<K>>, a: Value<K>, b: Numeric<K>): Value<K> {
    return this.#operation('select', a.kind, [test, a, this.#as(a.kind, b)]);
  }
  /** 1 if any lane is not 0. */
  any(a: VI): I32 {
    return this.#operation('any', 'i32', [a]);
  }

  splat(a: F32): VF;
  splat(a: I32): VI;
  splat(a: Value<Scalar>): VF | VI {
    return a.kind === 'f32' ? this.#operation('splat', 'vf', [a]) : this.#operation('splat', 'vi', [a]);
  }
  lane(a: VF, index: number): F32;
  lane(a: VI, index: number): I32;
  lane(a: VF | VI, index: number): F32 | I32 {
    return a.kind === 'vf' ? this.#operation('lane', 'f32', [a], index) : this.#operation('lane', 'i32', [a], index);
  }
  /** Lanes 0, 1, 2, … */
  iota(): VI {
    return this.#operation('iota', 'vi', []);
  }
  /** Lane i is lane `lanes[i]` of `a` followed by `b`. */
  shuffle(a: VF, b: VF, lanes: readonly number[]): VF {
    const to = this.#local('vf');
    this.#emit({ do: 'shuffle', to, a, b, lanes });
    return to;
  }
  /** Sums the lanes pairwise: lane i with lane i + width/2, and so on. */
  reduceAdd(a: VF): F32 {
    return this.#operation('reduceAdd', 'f32', [a]);
  }
  reduceMax(a: VF): F32 {
    return this.#operation('reduceMax', 'f32', [a]);
  }
  reduceMin(a: VF): F32 {
    return this.#operation('reduceMin', 'f32', [a]);
  }
  toFloat(a: I32): F32;
  toFloat(a: VI): VF;
  toFloat(a: I32 | VI): F32 | VF {
    return a.kind === 'i32' ? this.#operation('toFloat', 'f32', [a]) : this.#operation('toFloat', 'vf', [a]);
  }
  /** Truncates; out of range and NaN give an unspecified integer, never a trap. */
  toInt(a: F32): I32;
  toInt(a: VF): VI;
  toInt(a: F32 | VF): I32 | VI {
    return a.kind === 'f32' ? this.#operation('toInt', 'i32', [a]) : this.#operation('toInt', 'vi', [a]);
  }
  /** The bit pattern of a float. */
  bits(a: F32): I32;
  bits(a: VF): VI;
  bits(a: F32 | VF): I32 | VI {
    return a.kind === 'f32' ? this.#operation('bits', 'i32', [a]) : this.#operation('bits', 'vi', [a]);
  }
  fromBits(a: I32): F32;
  fromBits(a: VI): VF;
  fromBits(a: I32 | VI): F32 | VF {
    return a.kind === 'i32' ? this.#operation('fromBits', 'f32', [a]) : this.#operation('fromBits', 'vf', [a]);
  }

  /** The same value, from here on in a register: a C compiler may else read it anew from memory for each use. */
  keep(a: VF): VF {
    return this.#operation('keep', 'vf', [a]);
  }

  /** `pointer + index·stride` bytes, computed in the width of an address. */
  offset(pointer: Pointer, index: Numeric<'i32'>, stride: Numeric<'i32'> = 1): Pointer {
    return this.#operation('offset', 'pointer', [pointer, this.#as('i32', index), this.#as('i32', stride)]);
  }

  #load<K extends Kind>(access: Access, kind: K, from: Pointer, offset: number, count?: I32): Value<K> {
    const to = this.#local(kind);
    this.#emit({ do: 'load', access, to, from, offset, ...(count && { count }) });
    return to;
  }
  /** Offsets are constant bytes ≥ 0. */
  loadI32(from: Pointer, offset = 0): I32 {
    return this.#load('i32', 'i32', from, offset);
  }
  /** An address stored in an 8-byte slot. */
  loadPointer(from: Pointer, offset = 0): Pointer {
    return this.#load('pointer', 'pointer', from, offset);
  }
  loadF32(from: Pointer, offset = 0): F32 {
    return this.#load('f32', 'f32', from, offset);
  }
  loadU8(from: Pointer, offset = 0): I32 {
    return this.#load('u8', 'i32', from, offset);
  }
  loadU16(from: Pointer, offset = 0): I32 {
    return this.#load('u16', 'i32', from, offset);
  }
  /** One f32 in every lane. */
  loadSplat(from: Pointer, offset = 0): VF {
    return this.#load('splat', 'vf', from, offset);
  }
  /** `width` consecutive f32; with `count`, lanes from `count` on are 0 and not read. */
  loadVF(from: Pointer, offset = 0, count?: I32): VF {
    return this.#load('vf', 'vf', from, offset, count);
  }
  loadVI(from: Pointer, offset = 0, count?: I32): VI {
    return this.#load('vi', 'vi', from, offset, count);
  }
  /** `width` consecutive bytes, zero-extended. */
  loadVU8(from: Pointer, offset = 0, count?: I32): VI {
    return this.#load('vu8', 'vi', from, offset, count);
  }
  loadVU16(from: Pointer, offset = 0, count?: I32): VI {
    return this.#load('vu16', 'vi', from, offset, count);
  }
  /** Lane i is the f32 at `from + offset + i·stride` bytes. */
  loadStrided(from: Pointer, stride: number, offset = 0): VF {
    const to = this.#local('vf');
    this.#emit({ do: 'loadStrided', to, from, offset, stride });
    return to;
  }
  storeStrided(to: Pointer, value: VF, stride: number, offset = 0): void {
    this.#emit({ do: 'storeStrided', to, value, offset, stride });
  }
  /** A hint that the cache line at `from + offset` will soon be read, or written; it may lie outside any buffer. */
  prefetch(from: Pointer, offset = 0, access: 'read' | 'write' = 'read'): void {
    this.#emit({ do: 'prefetch', from, offset, write: access === 'write' });
  }
  /** Element `index[lane]` of an array of f32 (`vf`), i32 (`vi`) or u8 (`vu8`). */
  gatherVF(from: Pointer, index: VI): VF {
    const to = this.#local('vf');
    this.#emit({ do: 'gather', access: 'vf', to, from, index });
    return to;
  }
  gatherVI(from: Pointer, index: VI, access: 'vi' | 'vu8' = 'vi'): VI {
    const to = this.#local('vi');
    this.#emit({ do: 'gather', access, to, from, index });
    return to;
  }

  #store(access: Access, to: Pointer, value: Value, offset: number, count?: I32): void {
    this.#emit({ do: 'store', access, to, value, offset, ...(count && { count }) });
  }
  /** Stores by the kind of the value; with `count`, only the first `count` lanes. */
  store(to: Pointer, value: I32 | F32 | VF | VI, offset = 0, count?: I32): void {
    if (value.kind !== 'vf' && value.kind !== 'vi' && count)
      throw new Error(`${this.kernel.name}: only vectors are stored in part, not a ${value.kind}`);
    this.#store(value.kind, to, value, offset, count);
  }
  storeU8(to: Pointer, value: I32, offset = 0): void {
    this.#store('u8', to, value, offset);
  }
  storeU16(to: Pointer, value: I32, offset = 0): void {
    this.#store('u16', to, value, offset);
  }
  /** Lanes must hold 0 … 255. */
  storeVU8(to: Pointer, value: VI, offset = 0, count?: I32): void {
    this.#store('vu8', to, value, offset, count);
  }
  /** Lanes must hold 0 … 65535. */
  storeVU16(to: Pointer, value: VI, offset = 0, count?: I32): void {
    this.#store('vu16', to, value, offset, count);
  }

  #record(body: () => void): Instruction[] {
    const outer = this.#block;
    this.#block = [];
    body();
    const recorded = this.#block;
    this.#block = outer;
    return recorded;
  }

  /** `for (i = start; i < end; i += step)`. */
  loop(start: Numeric<'i32'>, end: Numeric<'i32'>, body: (i: I32) => void, step = 1): void {
    const [first, last] = [this.#as('i32', start), this.#as('i32', end)];
    const counter = this.#local('i32');
    this.#emit({ do: 'loop', counter, start: first, end: last, step, body: this.#record(() => body(counter)) });
  }

  /** Repeats `body` while `test`, computed anew before each round, is not 0. */
  while(test: () => I32, body: () => void): void {
    let result: I32 | undefined;
    const condition = this.#record(() => (result = test()));
    this.#emit({ do: 'while', condition, test: result!, body: this.#record(body) });
  }

  if(test: I32, then: () => void, otherwise?: () => void): void {
    this.#emit({
      do: 'if',
      test,
      then: this.#record(then),
      otherwise: otherwise ? this.#record(otherwise) : [],
    });
  }
}

/** What a kernel text records: typed locals, instructions on them, and structured control. Renderers turn it into code. */
export type Kind = 'i32' | 'f32' | 'pointer' | 'vf' | 'vi';

/** A local of the program. `vf` and `vi` hold `width` lanes; a comparison of lanes gives a `vi` of 0 and −1. */
export interface Value<K extends Kind = Kind> {
  readonly kind: K;
  readonly id: number;
}
/** A local that `assign` may change. */
export interface Variable<K extends Kind = Kind> extends Value<K> {
  readonly variable: true;
}
export type I32 = Value<'i32'>;
export type F32 = Value<'f32'>;
export type Pointer = Value<'pointer'>;
export type VF = Value<'vf'>;
export type VI = Value<'vi'>;

export type Arithmetic = 'add' | 'sub' | 'mul' | 'div' | 'rem' | 'min' | 'max';
export type Bitwise = 'and' | 'or' | 'xor' | 'shl' | 'shrSigned' | 'shrUnsigned';
export type Unary = 'neg' | 'abs' | 'sqrt' | 'floor' | 'ceil' | 'nearest' | 'trunc';
export type Comparison = 'lt' | 'le' | 'gt' | 'ge' | 'eq' | 'ne';
export type Special =
  | 'fma'
  | 'select'
  | 'splat'
  | 'lane'
  | 'iota'
  | 'toFloat'
  | 'toInt'
  | 'bits'
  | 'fromBits'
  | 'mulHighUnsigned'
  | 'any'
  | 'reduceAdd'
  | 'reduceMax'
  | 'reduceMin'
  | 'keep'
  | 'offset';
export type Operation = Arithmetic | Bitwise | Unary | Comparison | Special;

/** How memory is read or written: a scalar, a vector, a scalar in all lanes, or a vector of narrow elements. */
export type Access = 'pointer' | 'i32' | 'f32' | 'u8' | 'u16' | 'vf' | 'vi' | 'splat' | 'vu8' | 'vu16';

export type Instruction =
  | { readonly do: 'constant'; readonly to: Value; readonly value: number }
  | { readonly do: 'parameter'; readonly to: Value; readonly index: number }
  | {
      readonly do: 'operation';
      readonly op: Operation;
      readonly to: Value;
      readonly args: readonly Value[];
      readonly immediate: number;
    }
  | {
      readonly do: 'load';
      readonly access: Access;
      readonly to: Value;
      readonly from: Pointer;
      readonly offset: number;
      readonly count?: I32;
    }
  | {
      readonly do: 'store';
      readonly access: Access;
      readonly to: Pointer;
      readonly value: Value;
      readonly offset: number;
      readonly count?: I32;
    }
  | {
      readonly do: 'loadStrided';
      readonly to: Value;
      readonly from: Pointer;
      readonly offset: number;
      readonly stride: number;
    }
  | {
      readonly do: 'storeStrided';
      readonly to: Pointer;
      readonly value: VF;
      readonly offset: number;
      readonly stride: number;
    }
  | { readonly do: 'prefetch'; readonly from: Pointer; readonly offset: number; readonly write: boolean }
  | {
      readonly do: 'shuffle';
      readonly to: Value;
      readonly a: VF;
      readonly b: VF;
      readonly lanes: readonly number[];
    }
  | {
      readonly do: 'gather';
      readonly access: 'vf' | 'vi' | 'vu8';
      readonly to: Value;
      readonly from: Pointer;
      readonly index: VI;
    }
  | { readonly do: 'assign'; readonly to: Variable; readonly value: Value }
  | {
      readonly do: 'loop';
      readonly counter: I32;
      readonly start: I32;
      readonly end: I32;
      readonly step: number;
      readonly body: readonly Instruction[];
    }
  | {
      readonly do: 'while';
      readonly condition: readonly Instruction[];
      readonly test: I32;
      readonly body: readonly Instruction[];
    }
  | {
      readonly do: 'if';
      readonly test: I32;
      readonly then: readonly Instruction[];
      readonly otherwise: readonly Instruction[];
    };

/** The recorded program. Locals 0–3 are `params`, `scratch`, `begin`, `end`. */
export interface Program {
  readonly name: string;
  readonly kinds: readonly Kind[];
  readonly body: readonly Instruction[];
}

/** What an argument is. */
export type ParameterKind = 'pointer' | 'i32' | 'f32';

/** How a program is called. */
export interface Signature {
  readonly name: string;
  readonly parameters: readonly ParameterKind[];
}

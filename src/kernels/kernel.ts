import type { F32, I32, Pointer, VectorBuilder } from '../codegen/vector.js';
import type { KernelArgument } from '../devices/device.js';

export type ParameterKind = 'pointer' | 'i32' | 'f32';

/**
 * A computation a device can run over a range of independent tasks.
 *
 * `key` names the specialisation (sizes, flags, expressions): two kernels with one key are the same program, so a
 * device compiles each key once. `cpu` writes the program; it is called at most once per key and device.
 */
export interface Kernel {
  readonly name: string;
  readonly key: string;
  readonly parameters: readonly ParameterKind[];
  /**
   * Emits the CPU program. `k.parameter(i)` reads argument i, `k.begin`/`k.end` bound the tasks of one call,
   * `k.scratch` points to this thread's workspace (64-byte aligned).
   */
  readonly cpu: (k: VectorBuilder) => void;
}

type Values = { pointer: Pointer; i32: I32; f32: F32 };
type Names = Readonly<Record<string, ParameterKind>>;

/** Named parameters: `kinds` for the kernel, `read` inside its text, `pack` for the call, all in one order. */
export interface ParameterList<P extends Names> {
  readonly kinds: readonly ParameterKind[];
  read(k: VectorBuilder): { readonly [N in keyof P]: Values[P[N]] };
  pack(values: { readonly [N in keyof P]: KernelArgument }): readonly KernelArgument[];
}

export function parameterList<const P extends Names>(names: P): ParameterList<P> {
  const order = Object.keys(names);
  return {
    kinds: order.map((name) => names[name]!),
    read: (k) => {
      const values = order.map((name, i) => [name, k.parameter(i, names[name] as never)]);
      return Object.fromEntries(values) as { [N in keyof P]: Values[P[N]] };
    },
    pack: (values) => order.map((name) => values[name]!),
  };
}

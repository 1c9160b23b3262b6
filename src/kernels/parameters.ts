import { wgslArgument } from '../codegen/gpu.js';
import type { ParameterKind } from '../codegen/kernel.js';
import type { F32, I32, Pointer, VectorBuilder } from '../codegen/vector.js';
import type { KernelArgument } from '../devices/device.js';

type Values = { pointer: Pointer; i32: I32; f32: F32 };
type Names = Readonly<Record<string, ParameterKind>>;

/** Named parameters: `kinds` for the kernel, `read` and `wgsl` inside its texts, `pack` for the call, all in one order. */
export interface ParameterList<P extends Names> {
  readonly kinds: readonly ParameterKind[];
  read(k: VectorBuilder): { readonly [N in keyof P]: Values[P[N]] };
  /** Expressions of a text for GPUs: a u32 byte address for a pointer, else an i32 or f32. */
  readonly wgsl: { readonly [N in keyof P]: string };
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
    wgsl: Object.fromEntries(order.map((name, i) => [name, wgslArgument(i, names[name]!)])) as {
      [N in keyof P]: string;
    },
    pack: (values) => order.map((name) => values[name]!),
  };
}

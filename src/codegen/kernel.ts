import type { ParameterKind, Program } from './program.js';
import { VectorBuilder } from './vector.js';

export type { ParameterKind } from './program.js';

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

/** The same for two kernels that are one program: equal keys of different families do not meet. */
export const identityOf = ({ name, key }: Kernel): string => `${name}\0${key}`;

/** Runs a kernel's text for vectors of `width` lanes. */
export function record(kernel: Kernel, width: number): Program {
  const builder = new VectorBuilder(kernel, width);
  kernel.cpu(builder);
  return builder.finish();
}

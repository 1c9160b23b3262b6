import type { GpuTarget, GpuText } from './gpu.js';
import type { ParameterKind, Program } from './program.js';
import { VectorBuilder } from './vector.js';

export type { GpuTarget, GpuText } from './gpu.js';
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
  /**
   * What a vector of `cpu` is on a GPU, where that text is rendered to WGSL: `'workgroup'` (default), a lane is an invocation, for texts
   * whose inner loops are of vectors; `'invocation'`, vectors have one lane and an invocation is a thread with tasks of its own, for texts
   * whose inner loops are of scalars (sorts, scans). The latter must not depend on the width that a launcher sees in `info.width`.
   */
  readonly vectorOn?: 'workgroup' | 'invocation' | undefined;
  /** A text of its own for GPUs, for products of matrices and attention; called at most once per key and target; undefined
   * where `cpu` is to be rendered after all. See `GpuText`. */
  readonly gpu?: (target: GpuTarget) => GpuText | undefined;
}

/** The same for two kernels that are one program: equal keys of different families do not meet. */
export const identityOf = ({ name, key }: Kernel): string => `${name}\0${key}`;

/** Runs a kernel's text for vectors of `width` lanes. */
export function record(kernel: Kernel, width: number): Program {
  const builder = new VectorBuilder(kernel, width);
  kernel.cpu(builder);
  return builder.finish();
}

import type { DeviceBuffer } from '../../devices/device.js';
import type { StateLayout } from '../../kernels/linear-attend/launch.js';
import type { Tensor } from '../../tensor/index.js';
import type { LinearShape } from './check.js';

/** A checked call. The kernels read q, k and v in f32. */
export interface LinearProblem extends LinearShape {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly initialState: Tensor | undefined;
  readonly decay: Tensor | undefined;
  readonly causal: boolean;
  readonly normalise: boolean;
  readonly eps: number;
  readonly chunk: number;
  readonly lengths: readonly number[];
}

/** A state `[M, E]`, or `[M, E+1]` if normalised, as the forward sweep reads it. */
export function publicLayout({ M, E, normalise }: LinearProblem): StateLayout {
  const columns = normalise ? E + 1 : E;
  return { size: M * columns, row: columns, column: 1 };
}

/** The same state for sweeps whose features are the values. */
export function transposedLayout(problem: LinearProblem): StateLayout {
  const { size, row, column } = publicLayout(problem);
  return { size, row: column, column: row };
}

/** Uploads the lengths; the caller frees the buffer. */
export function lengthsOf({ q, lengths }: LinearProblem): { buffer: DeviceBuffer; values: readonly number[] } {
  const buffer = q.device.allocate(4 * lengths.length, 'workspace');
  q.device.write(buffer, Int32Array.from(lengths));
  return { buffer, values: lengths };
}

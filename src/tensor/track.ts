import type { Lifetime } from './storage.js';

/** The gradient of a table `[N, D]` of which few rows were read: `rows[i]` is that of row `indices[i]`, all others are zeros. */
export interface RowGradientOf<Value> {
  readonly shape: readonly number[];
  /** `[C]`, i32: ascending, each once; N from there on where there are fewer than C. */
  readonly indices: Value;
  /** `[C, D]`, f32; zeros where the index is N. */
  readonly rows: Value;
}

/**
 * Vector-Jacobian product: from the gradients of the outputs (undefined where none arrived) to those of the inputs.
 * `needs[i]` says whether input i's is wanted; the others may be undefined. Gradients are f32, whatever the dtype of the
 * value. Runs in a scope and without the tape; the inputs and outputs named in `saved` are readable even if disposed.
 */
export type VjpOf<Value> = (
  cotangents: readonly (Value | undefined)[],
  needs: readonly boolean[],
) => readonly (Value | RowGradientOf<Value> | undefined)[];

/** One operation on the tape; `Value` is the tensor, which is declared above this file. */
export interface EntryOf<Value> {
  readonly name: string;
  /** Entries are swept from the highest order to the lowest. */
  readonly order: number;
  readonly inputs: readonly { readonly track: TrackOf<Value> | undefined; readonly shape: readonly number[] }[];
  readonly outputs: readonly (TrackOf<Value> | undefined)[];
  readonly vjp: VjpOf<Value>;
  readonly saved: readonly Value[];
  /** What the versions of the saved tensors were. */
  readonly versions: readonly number[];
  readonly lifetime: Lifetime;
  released: boolean;
}

/** The identity of a value for gradients: output `output` of an entry, or a leaf. */
export interface TrackOf<Value> {
  readonly entry: EntryOf<Value> | undefined;
  readonly output: number;
  /** What errors call a leaf. */
  name?: () => string;
}

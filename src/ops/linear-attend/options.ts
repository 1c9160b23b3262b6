import type { Tensor } from '../../tensor/index.js';

export interface LinearAttendOptions {
  /** Query i sees keys j ≤ i + S − L; default false. */
  readonly causal?: boolean;
  /** Divide by Σ_j q_i·k_j + eps; default true. */
  readonly normalise?: boolean;
  /** Added to the divisor; default 1e-6. */
  readonly eps?: number;
  /** The state before the first key, as `state` of an earlier call; default 0. */
  readonly initialState?: Tensor;
  /** `[B,H,S]`, causal only: the finite logarithm of what the state is multiplied by before key j is added; default 0. */
  readonly decay?: Tensor;
  /** Positions computed at a time, 1 … 1024: changes rounding and speed, not the result. */
  readonly chunk?: number;
  /** Keys of each batch that exist; the others, and their decay, are ignored. Default S. */
  readonly lengths?: readonly number[];
  /**
   * Told how many rows see keys and are 0 because their divisor is, where there are any: at once on a CPU, else before the next read
   * from the device resolves.
   */
  readonly onRowsLost?: (rows: number) => void;
}

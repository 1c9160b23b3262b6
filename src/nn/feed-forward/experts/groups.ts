import { pad, reshape, slice } from '../../../ops/index.js';
import { tensor, type Tensor } from '../../../tensor/index.js';

export interface GroupOptions {
  /** Whose tokens are counted together: those of a sequence, or of all sequences of a batch. */
  readonly group: 'sequence' | 'batch';
  /** Tokens of a group at most; 0: all of them. */
  readonly groupSize: number;
}

/** Tokens of a group at most, of `length` in a sequence; of a batch there may be any number. */
export const groupTokens = (length: number, { groupSize }: GroupOptions): number =>
  groupSize === 0 ? length : Math.min(groupSize, length);

/**
 * Rows `[B, L, F]` in groups of S: `[G·S, F]` and back. The last group of a sequence, or of the batch, may have rows after its end, as sequences have
 * after theirs: `real` tells them, and `counts` how many of each group are real.
 */
export class Groups {
  readonly count: number;
  readonly size: number;
  readonly counts: readonly number[];
  /** Of all groups. */
  readonly total: number;
  readonly #real: Float32Array | undefined;
  readonly #length: number;
  readonly #sequences: number;

  constructor(B: number, L: number, { group, groupSize }: GroupOptions, lengths: readonly number[] | undefined) {
    [this.#sequences, this.#length] = group === 'batch' ? [1, B * L] : [B, L];
    this.size = groupSize === 0 ? this.#length : Math.min(groupSize, this.#length);
    const parts = Math.ceil(this.#length / this.size);
    this.count = this.#sequences * parts;
    const padded = parts * this.size;
    const real = Float32Array.from({ length: this.count * this.size }, (_, i) => {
      const [sequence, token] = [Math.floor(i / padded), i % padded];
      if (token >= this.#length) return 0;
      const at = sequence * this.#length + token;
      return Number(lengths === undefined || at % L < lengths[Math.floor(at / L)]!);
    });
    this.counts = Array.from({ length: this.count }, (_, g) =>
      real.subarray(g * this.size, (g + 1) * this.size).reduce((sum, one) => sum + one, 0),
    );
    this.total = this.counts.reduce((sum, one) => sum + one, 0);
    this.#real = this.total < real.length ? real : undefined;
  }

  /** 1 for real rows, 0 for others, `[G, S]`; undefined where all are. */
  real(x: Tensor): Tensor | undefined {
    return this.#real && tensor(this.#real, [this.count, this.size], { device: x.device });
  }

  /** A number of each group as a tensor `[G, 1, 1]`. */
  each(x: Tensor, of: (count: number) => number): Tensor {
    return tensor(Float32Array.from(this.counts, of), [this.count, 1, 1], { device: x.device });
  }

  /** `[B, L, F] → [G·S, F]` */
  rows(x: Tensor): Tensor {
    const F = x.shape[2]!;
    const missing = (this.count * this.size) / this.#sequences - this.#length;
    const sequences = reshape(x, [this.#sequences, this.#length, F]);
    const whole =
      missing === 0
        ? sequences
        : pad(sequences, [
            [0, 0],
            [0, missing],
            [0, 0],
          ]);
    return reshape(whole, [this.count * this.size, F]);
  }

  /** `[G·S, F] → [B, L, F]`, shaped as x. */
  back(rows: Tensor, x: Tensor): Tensor {
    const padded = (this.count * this.size) / this.#sequences;
    const sequences = reshape(rows, [this.#sequences, padded, rows.shape[1]!]);
    const whole = padded === this.#length ? sequences : slice(sequences, { axis: 1, end: this.#length });
    return reshape(whole, [...x.shape.slice(0, -1), rows.shape[1]!]);
  }
}

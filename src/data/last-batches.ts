import type { Batches } from './batches.js';

/** Windows of a text, of which the targets of the last tokens count: what a trainer takes as its batches. */
export interface LastBatches {
  readonly batchSize: number;
  /** Targets of a row. */
  readonly length: number;
  readonly windows: number;
  batch(step: number): {
    readonly inputs: Readonly<
      Record<'tokens' | 'targets', { readonly data: Int32Array; readonly shape: readonly number[] }>
    >;
    readonly counted: number;
  };
  startsAnew(step: number): boolean;
}

/** The windows of `batches` for a model that predicts what follows the last `targets` tokens of each: inputs `tokens [B, L]`, `targets [B, N]`. */
export function lastBatches(batches: Batches, targets: number): LastBatches {
  const { batchSize: B, length: L, windows } = batches;
  return {
    batchSize: B,
    length: targets,
    windows,
    startsAnew: (step) => batches.startsAnew(step),
    batch(step) {
      const rows = batches.batch(step);
      const part = (from: number, to: number) => {
        const data = new Int32Array(B * (to - from));
        for (let row = 0; row < B; row++) {
          data.set(rows.subarray(row * (L + 1) + from, row * (L + 1) + to), row * (to - from));
        }
        return { data, shape: [B, to - from] };
      };
      return { inputs: { tokens: part(0, L), targets: part(L + 1 - targets, L + 1) }, counted: B * targets };
    },
  };
}

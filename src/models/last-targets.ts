import { gatherRows, pad, reshape, scatterRows, slice } from '../ops/index.js';
import { scope, tensor, type Tensor } from '../tensor/index.js';

/** The last rows of each sequence, of which there are as many for all: `rows`, or its real ones and what follows them. */
export interface LastRows {
  readonly rows: number;
  /** Real rows of each sequence; those beyond are padding. */
  readonly lengths: readonly number[] | undefined;
}

/** Of targets `[B, L]` those at the last rows: `[B, rows]`. */
export function lastTargets(targets: Tensor, { rows, lengths }: LastRows): Tensor {
  const [B, L] = targets.shape as [number, number];
  if (lengths === undefined) return slice(targets, { axis: 1, start: L - rows });
  return scope(() => reshape(gatherRows(reshape(targets, [B, L, 1]), placesOf(targets, { rows, lengths })), [B, rows]));
}

/** Losses `[B, rows]` of the last rows at their places of L: `[B, L]`, 0 before. */
export function atLast(losses: Tensor, L: number, { rows, lengths }: LastRows): Tensor {
  const [B] = losses.shape as [number];
  const before = [
    [0, 0],
    [L - rows, 0],
  ] as const;
  if (lengths === undefined) return pad(losses, before);
  return scope(() =>
    reshape(scatterRows(reshape(losses, [B, rows, 1]), placesOf(losses, { rows, lengths }), L), [B, L]),
  );
}

function placesOf({ device }: Tensor, { rows, lengths = [] }: LastRows): Tensor {
  const places = lengths.flatMap((length) =>
    Array.from({ length: rows }, (_, row) => Math.max(0, length - rows) + row),
  );
  return tensor(Int32Array.from(places), [lengths.length, rows], { device });
}

import { ShapeError } from '../core/errors.js';
import { show } from '../core/shape.js';
import { concat, detach, slice } from '../ops/index.js';
import { commonDevice, type Tensor } from '../tensor/index.js';
import type { ModelState } from './model.js';

/**
 * What one layer has of the segments before: inputs of the layer, `[B, rows, width]`, oldest first; absent where there
 * are none.
 */
export interface LayerMemory {
  /** As they were. */
  readonly recent?: Tensor | undefined;
  /** Older ones, several in one. */
  readonly compressed?: Tensor | undefined;
}

/** Compressed rows come before recent ones. */
export const rowsOf = ({ recent, compressed }: LayerMemory): Tensor[] =>
  [compressed, recent].filter((one) => one !== undefined);

/** Number of rows of parts that may be absent. */
export const countRows = (parts: readonly (Tensor | undefined)[]): number =>
  parts.reduce((sum, part) => sum + (part?.shape[1] ?? 0), 0);

/**
 * Rows `start … end − 1` of the parts `[B, rows, width]` one after the other, as a tensor of its own that no gradient
 * flows through; undefined where there are none. A start before the first row is the first row.
 */
export function rowsBetween(
  parts: readonly (Tensor | undefined)[],
  start: number,
  end = countRows(parts),
): Tensor | undefined {
  let before = 0;
  const pieces: Tensor[] = [];
  for (const part of parts) {
    if (part === undefined) continue;
    const rows = part.shape[1]!;
    const [first, last] = [Math.max(0, start - before), Math.min(rows, end - before)];
    before += rows;
    if (first >= last) continue;
    const own = detach(part);
    pieces.push(last - first === rows ? own : slice(own, { axis: 1, start: first, end: last }));
  }
  return pieces.length > 1 ? concat(pieces, { axis: 1 }) : pieces[0];
}

export interface StateRule {
  readonly names: readonly (keyof LayerMemory)[];
  readonly layers: number;
  readonly batch: number;
  readonly width: number;
}

/** @throws ShapeError naming every tensor of a memory that does not fit the model; what else a state holds is its layers'. */
export function checkState(who: string, state: ModelState = {}, { names, layers, batch, width }: StateRule): void {
  const known = new Set(names.flatMap((name) => Array.from({ length: layers }, (_, layer) => `${name}.${layer}`)));
  const given = Object.values(state);
  if (given.length > 0) commonDevice(who, given);
  const reasons = Object.entries(state).flatMap(([name, { shape }]) => {
    if (!known.has(name)) return /^(recent|compressed)\./.test(name) ? [`unexpected ${name} ${show(shape)}`] : [];
    const fits = shape.length === 3 && shape[0] === batch && shape[2] === width;
    return fits ? [] : [`${name} must be [${batch},rows,${width}], not ${show(shape)}`];
  });
  if (reasons.length > 0) {
    throw new ShapeError(
      `${who}: ${reasons.length} tensors of the state do not fit: ${reasons.join('; ')}. ` +
        'Pass what this model returned for the segment before of the same batch, or none at the start of a text.',
    );
  }
}

import type { I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import { vectorGroups } from '../linear-attend/state.js';
import { rowAt } from './rows.js';
import type { Rows, Workspace } from './spec.js';

/** A row of some columns of a step, and its place in the others. */
export interface Line {
  readonly r: I32;
  readonly at: (rows: Rows, r: I32) => Pointer;
  /** Bytes of its vectors. */
  readonly lanes: readonly number[];
}

/** Visits the rows of a step in their order, some vectors at a time: a row may read what the ones before have become. */
export function eachLine(k: VectorBuilder, w: Workspace, body: (line: Line) => void): void {
  vectorGroups(k, w.u.pitch, w.tile.vectors, (first, vectors) => {
    const at = (rows: Rows, r: I32): Pointer => k.offset(rowAt(k, rows, r), first, 4 * k.width);
    const lanes = Array.from({ length: vectors }, (_, v) => 4 * v * k.width);
    k.loop(0, w.spec.chunk, (r) => body({ r, at, lanes }));
  });
}

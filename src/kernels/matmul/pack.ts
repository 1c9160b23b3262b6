import type { FloatDtype } from '../../core/dtype.js';
import type { I32, Pointer, VectorBuilder, VF } from '../../codegen/vector.js';
import { accumulators } from '../tile.js';

/** Reads one element as f32. */
export function loadScalar(k: VectorBuilder, dtype: FloatDtype, from: Pointer, offset = 0) {
  return dtype === 'f32' ? k.loadF32(from, offset) : k.lane(loadVector(k, dtype, from, offset, k.constant('i32', 1)), 0);
}
export function loadVector(k: VectorBuilder, dtype: FloatDtype, from: Pointer, offset = 0, count?: I32): VF {
  if (dtype === 'f32') return k.loadVF(from, offset, count);
  return k.fromBits(k.shl(k.loadVU16(from, offset, count), 16));
}
void accumulators;

/** Where a matrix lies: element (i, j) at `pointer + i·row + j·column` bytes; steps are i32 program values. */
export interface Matrix {
  readonly pointer: Pointer;
  readonly row: I32;
  readonly column: I32;
  readonly dtype: FloatDtype;
}

/**
 * Copies `length` steps of `lanes` neighbouring vectors of a matrix to `to[step][lane]`, as f32. Lanes past `count`
 * repeat the last: they are computed and never stored, so they must be readable and nothing else.
 */
export function packScalars(
  k: VectorBuilder,
  from: { readonly pointer: Pointer; readonly lane: I32; readonly step: I32; readonly dtype: FloatDtype },
  to: Pointer,
  lanes: number,
  count: I32,
  length: I32,
): void {
  const last = k.sub(count, 1);
  const sources = Array.from({ length: lanes }, (_, lane) =>
    k.variable('pointer', k.offset(from.pointer, k.min(k.constant('i32', lane), last), from.lane)),
  );
  const target = k.variable('pointer', to);
  k.loop(0, length, () => {
    sources.forEach((source, lane) => {
      k.store(target, loadScalar(k, from.dtype, source), 4 * lane);
      k.assign(source, k.offset(source, 1, from.step));
    });
    k.assign(target, k.offset(target, 4 * lanes));
  });
}

import type { I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import { bytesPerElement, type FloatDtype } from '../../core/dtype.js';
import { loadFloats, loadSplat } from '../cast/convert.js';
import { typedKernel } from '../typed-kernel.js';
import { eachVector } from '../lanes.js';

/** Bytes that are copied at a time, whatever they mean. */
export type Unit = 1 | 2 | 4;

export interface GatherSpec {
  readonly unit: Unit;
  /** Rows of one unit. */
  readonly single: boolean;
  /** Whether every outer row has indices of its own. */
  readonly along: boolean;
}

/** The index of row i under outer row o. */
function indexOf(k: VectorBuilder, along: boolean, p: { indices: Pointer; count: I32 }, o: I32, i: I32): I32 {
  return k.loadI32(k.offset(p.indices, along ? k.add(k.mul(o, p.count), i) : i, 4));
}

/**
 * `out[o, i, ·] = x[o, indices[i], ·]`, or `indices[o, i]`. Tasks are groups of rows × chunks of a row. The indices
 * must have been checked.
 */
export const gatherKernel = typedKernel({
  name: 'gather',
  key: ({ unit, single, along }: GatherSpec) => `${unit}${single ? ' single' : ''}${along ? ' along' : ''}`,
  parameters: {
    x: 'pointer',
    indices: 'pointer',
    out: 'pointer',
    /** Extent of the axis in x, and in the result. */
    length: 'i32',
    count: 'i32',
    /** Units of a row. */
    inner: 'i32',
    rows: 'i32',
    rowsPerTask: 'i32',
    chunk: 'i32',
    chunks: 'i32',
  },
  text: (k, { unit, single, along }, p) =>
    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(k.div(task, p.chunks), p.rowsPerTask);
      const begin = k.mul(k.rem(task, p.chunks), p.chunk);
      const end = k.min(k.add(begin, p.chunk), p.inner);
      k.loop(first, k.min(k.add(first, p.rowsPerTask), p.rows), (row) => {
        const o = k.div(row, p.count);
        const index = indexOf(k, along, p, o, k.rem(row, p.count));
        const from = k.offset(p.x, k.mul(k.add(k.mul(o, p.length), index), p.inner), unit);
        const to = k.offset(p.out, k.mul(row, p.inner), unit);
        if (single) copyOne(k, unit, from, to);
        else
          eachVector(k, begin, end, (at, count) =>
            copyLanes(k, unit, k.offset(from, at, unit), k.offset(to, at, unit), count),
          );
      });
    }),
});

function copyOne(k: VectorBuilder, unit: Unit, from: Pointer, to: Pointer): void {
  if (unit === 4) k.store(to, k.loadI32(from));
  else if (unit === 2) k.storeU16(to, k.loadU16(from));
  else k.storeU8(to, k.loadU8(from));
}

function copyLanes(k: VectorBuilder, unit: Unit, from: Pointer, to: Pointer, count?: I32): void {
  if (unit === 4) k.store(to, k.loadVI(from, 0, count), 0, count);
  else if (unit === 2) k.storeVU16(to, k.loadVU16(from, 0, count), 0, count);
  else k.storeVU8(to, k.loadVU8(from, 0, count), 0, count);
}

export interface ScatterSpec {
  readonly dtype: FloatDtype;
  readonly single: boolean;
  readonly along: boolean;
}

/**
 * `out[o, indices[i], ·] += updates[o, i, ·]` in the order of i, in f32. A task owns the columns of a group, so that no two
 * write to one place and equal indices add up in order.
 */
export const scatterKernel = typedKernel({
  name: 'scatter add',
  key: ({ dtype, single, along }: ScatterSpec) => `${dtype}${single ? ' single' : ''}${along ? ' along' : ''}`,
  parameters: {
    indices: 'pointer',
    updates: 'pointer',
    out: 'pointer',
    length: 'i32',
    count: 'i32',
    inner: 'i32',
    columnsPerTask: 'i32',
    groups: 'i32',
  },
  text: (k, { dtype, single, along }, p) =>
    k.loop(k.begin, k.end, (task) => {
      const o = k.div(task, p.groups);
      const begin = k.mul(k.rem(task, p.groups), p.columnsPerTask);
      const end = k.min(k.add(begin, p.columnsPerTask), p.inner);
      const size = bytesPerElement[dtype];
      k.loop(0, p.count, (i) => {
        const index = indexOf(k, along, p, o, i);
        const from = k.offset(p.updates, k.mul(k.add(k.mul(o, p.count), i), p.inner), size);
        const to = k.offset(p.out, k.mul(k.add(k.mul(o, p.length), index), p.inner), 4);
        if (single) {
          const update =
            dtype === 'f32'
              ? k.loadF32(from)
              : k.lane(loadSplat(k, dtype, from) as ReturnType<VectorBuilder['loadVF']>, 0);
          k.store(to, k.add(k.loadF32(to), update));
          return;
        }
        eachVector(k, begin, end, (at, count) => {
          const target = k.offset(to, at, 4);
          const update = loadFloats(k, dtype, k.offset(from, at, size), 0, count);
          k.store(target, k.add(k.loadVF(target, 0, count), update), 0, count);
        });
      });
    }),
});

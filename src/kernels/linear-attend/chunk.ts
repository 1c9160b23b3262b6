import { exp } from '../../codegen/math.js';
import type { F32, I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import { eachVector } from '../lanes.js';
import { eachColumn } from '../transpose.js';
import type { Parameters, Workspace } from './spec.js';

/** One head of one batch: where its operands begin. */
export interface Head {
  readonly q: Pointer;
  readonly k: Pointer;
  readonly v: Pointer;
  readonly out: Pointer;
  readonly norm: Pointer;
  readonly extra: Pointer;
  readonly decay: Pointer;
  /** Positions of k and v that exist. */
  readonly length: I32;
  readonly index: I32;
}

/** `index` counts query heads over all batches. */
export function headOf(k: VectorBuilder, w: Workspace, p: Parameters, index: I32): Head {
  const { M, E, reverse, extra } = w.spec;
  const shared = k.div(index, p.group);
  const [rowHead, keyHead] = reverse ? [shared, index] : [index, shared];
  const [rows, keys] = [k.mul(rowHead, p.rows), k.mul(keyHead, p.keys)];
  return {
    q: k.offset(p.q, rows, 4 * M),
    k: k.offset(p.k, keys, 4 * M),
    v: k.offset(p.v, keys, 4 * E),
    out: k.offset(p.out, rows, 4 * E),
    norm: k.offset(p.norm, rows, 4),
    extra: k.offset(p.extra, extra === 'row' ? rows : keys, 4),
    decay: k.offset(p.decay, k.mul(index, p.S), 4),
    length: k.loadI32(k.offset(p.lengths, k.div(index, p.H), 4)),
    index,
  };
}

/** A step: `rowCount` rows from `row` and `keyCount` keys from `key`, at the same positions in time. */
export interface Chunk {
  readonly row: I32;
  readonly rowCount: I32;
  /** Rows of the step, also those whose position does not exist. */
  readonly rowTotal: I32;
  readonly key: I32;
  readonly keyCount: I32;
  /** The decay over the whole chunk. */
  readonly total: F32 | undefined;
}

/**
 * Step `order` of the sweep. Rows and keys end together; where one begins earlier, its first chunks end where the other
 * begins, so that both start at the beginning of a chunk.
 */
export function chunkOf(k: VectorBuilder, w: Workspace, p: Parameters, head: Head, order: I32): Chunk {
  const { chunk, reverse } = w.spec;
  const [rows, keys] = [p.rows, p.keys];
  const length = k.max(rows, keys);
  const shorter = k.sub(length, k.min(rows, keys));
  const index = reverse ? k.sub(k.sub(p.chunks, 1), order) : order;
  const leads = k.lt(index, p.leading);
  const start = k.select(leads, k.mul(index, chunk), k.add(shorter, k.mul(k.sub(index, p.leading), chunk)));
  const end = k.min(k.add(start, chunk), k.select(leads, shorter, length));
  const within = (count: I32, exist: I32) => {
    const first = k.sub(start, k.sub(length, count));
    const present = k.min(k.sub(end, start), k.max(k.sub(exist, first), 0));
    return { first: k.max(first, 0), count: k.select(k.lt(first, 0), k.constant('i32', 0), present) };
  };
  const row = within(rows, reverse ? head.length : rows);
  const key = within(keys, reverse ? keys : head.length);
  return {
    row: row.first,
    rowCount: row.count,
    rowTotal: within(rows, rows).count,
    key: key.first,
    keyCount: key.count,
    total: w.spec.decay ? decayFactors(k, w, head, reverse ? row : key) : undefined,
  };
}

/**
 * With b the running sum of the decays in the chunk and b_end its last: a row is exp(b_r) from the state before the chunk, a
 * key exp(b_end − b_c) from the state after it; in reverse exp(b_end − b_r) and exp(b_c). Returns exp(b_end).
 */
function decayFactors(k: VectorBuilder, w: Workspace, head: Head, at: { first: I32; count: I32 }): F32 {
  const sum = k.variable('f32', 0);
  k.loop(0, w.line, (t) => {
    k.if(k.lt(t, at.count), () =>
      k.assign(sum, k.add(sum, k.loadF32(k.offset(k.offset(head.decay, at.first, 4), t, 4)))),
    );
    k.store(k.offset(w.decay, t, 4), sum);
  });
  const all = k.splat(sum);
  const [before, after] = w.spec.reverse ? [w.keyFactors, w.rowFactors] : [w.rowFactors, w.keyFactors];
  eachVector(k, k.constant('i32', 0), k.constant('i32', w.line), (t) => {
    const b = k.loadVF(k.offset(w.decay, t, 4));
    k.store(k.offset(before, t, 4), exp(k, b));
    k.store(k.offset(after, t, 4), exp(k, k.sub(all, b)));
  });
  return k.lane(exp(k, all), 0);
}

/** Keys as columns: `[M, line]`, zero where there is none. */
export function transposeKeys(k: VectorBuilder, w: Workspace, head: Head, chunk: Chunk): void {
  const { M } = w.spec;
  const rows = k.offset(head.k, chunk.key, 4 * M);
  k.loop(
    0,
    chunk.keyCount,
    (c) => {
      const [from, to] = [k.offset(rows, c, 4 * M), k.offset(w.keys, c, 4)];
      const left = k.sub(chunk.keyCount, c);
      k.if(
        k.ge(left, k.width),
        () =>
          eachColumn(k, { rows: from, pitch: 4 * M, columns: M }, (m, i, lanes) =>
            k.store(k.offset(to, m, 4 * w.line), lanes, i * 4 * w.line),
          ),
        () =>
          k.loop(0, M, (m) => {
            k.store(k.offset(to, m, 4 * w.line), k.constant('vf', 0));
            k.loop(0, left, (lane) =>
              k.store(
                k.offset(k.offset(to, m, 4 * w.line), lane, 4),
                k.loadF32(k.offset(k.offset(from, lane, 4 * M), m, 4)),
              ),
            );
          }),
      );
    },
    k.width,
  );
}

/** Rows of values that can be read in whole vectors. */
export interface Values {
  readonly rows: Pointer;
  /** Bytes from one to the next. */
  readonly pitch: number;
}

/** The values of a chunk: where they lie if whole vectors fit, else padded with zeros. With `weighted`, times the keys' decay. */
export function valuesOf(k: VectorBuilder, w: Workspace, head: Head, chunk: Chunk, weighted: boolean): Values {
  const { E } = w.spec;
  const rows = k.offset(head.v, chunk.key, 4 * E);
  if (!weighted && E % k.width === 0) return { rows, pitch: 4 * E };
  k.loop(0, chunk.keyCount, (c) => {
    const [from, to] = [k.offset(rows, c, 4 * E), k.offset(w.values, c, 4 * w.wide)];
    const factor = weighted ? k.loadSplat(k.offset(w.keyFactors, c, 4)) : undefined;
    eachVector(k, k.constant('i32', 0), k.constant('i32', E), (e, count) => {
      const x = k.loadVF(k.offset(from, e, 4), 0, count);
      k.store(k.offset(to, e, 4), factor ? k.mul(x, factor) : x);
    });
  });
  return { rows: w.values, pitch: 4 * w.wide };
}

import type { I32, Pointer, VectorBuilder, VF } from '../../codegen/vector.js';
import { fill } from '../attend/panel.js';
import { eachVector } from '../lanes.js';
import { accumulators, multiplyTile, rowGroups } from '../tile.js';
import type { Chunk, Head, Values } from './chunk.js';
import { stateElements, type Parameters, type Workspace } from './spec.js';

/** Calls `body(first vector, vectors, lanes of the last one)` for a row of `columns` numbers; undefined where all are used. */
export function vectorGroups(
  k: VectorBuilder,
  columns: number,
  group: number,
  body: (first: I32, vectors: number, lanes: I32 | undefined) => void,
): void {
  const vectors = Math.ceil(columns / k.width);
  const rest = columns % k.width;
  const last = vectors % group || (rest === 0 ? 0 : group);
  if (vectors > last) k.loop(0, vectors - last, (first) => body(first, group, undefined), group);
  if (last > 0) body(k.constant('i32', vectors - last), last, rest === 0 ? undefined : k.constant('i32', rest));
}

export function clearState(k: VectorBuilder, w: Workspace): void {
  fill(k, w.state, 4 * stateElements(w.spec, k.width), 0);
}

export function copyState(k: VectorBuilder, w: Workspace, from: Pointer, to: Pointer): void {
  const bytes = 4 * k.width;
  k.loop(0, stateElements(w.spec, k.width) / k.width, (i) =>
    k.store(k.offset(to, i, bytes), k.loadVF(k.offset(from, i, bytes))),
  );
}

/** Visits the elements of a state: their place in the caller's layout, and in the workspace. */
function eachElement(
  k: VectorBuilder,
  w: Workspace,
  p: Parameters,
  state: Pointer,
  body: (outside: Pointer, inside: Pointer) => void,
): void {
  const { M, E, extra, normalise } = w.spec;
  k.loop(0, M + (extra ? 1 : 0), (m) => {
    const line = k.offset(state, k.mul(m, p.stateRow), 4);
    k.loop(0, E, (e) =>
      body(k.offset(line, k.mul(e, p.stateColumn), 4), k.offset(k.offset(w.state, m, 4 * w.wide), e, 4)),
    );
  });
  if (!normalise) return;
  k.loop(0, M, (m) => {
    const line = k.offset(state, k.mul(m, p.stateRow), 4);
    body(k.offset(line, k.mul(p.stateColumn, E), 4), k.offset(w.keySum, m, 4));
  });
}

/** The state a head begins with. */
export function loadInitial(k: VectorBuilder, w: Workspace, p: Parameters, head: I32): void {
  clearState(k, w);
  k.if(p.hasInitial, () =>
    eachElement(k, w, p, k.offset(p.initial, k.mul(head, p.stateSize), 4), (outside, inside) =>
      k.store(inside, k.loadF32(outside)),
    ),
  );
}

export function storeFinal(k: VectorBuilder, w: Workspace, p: Parameters, head: I32): void {
  eachElement(k, w, p, k.offset(p.final, k.mul(head, p.stateSize), 4), (outside, inside) =>
    k.store(outside, k.loadF32(inside)),
  );
}

/** `S ← total·S + Σ_c k_c v_cᵀ` over the keys of a chunk, `values` already being weighted by their decay. */
export function updateState(k: VectorBuilder, w: Workspace, head: Head, chunk: Chunk, values: Values): void {
  const { M, E, extra } = w.spec;
  const keys = k.offset(head.k, chunk.key, 4 * M);
  const total = chunk.total && k.splat(chunk.total);
  const add = (line: Pointer, rows: number, features: Pointer, step: number): void =>
    vectorGroups(k, E, w.tile.vectors, (first, vectors) => {
      const to = k.offset(line, first, 4 * k.width);
      // from 0, not from what is there: the state is large, and is rounded once a chunk instead of once a key
      const c = accumulators(k, rows, vectors);
      const b = { pointer: k.offset(values.rows, first, 4 * k.width), step: values.pitch, stride: 4 * k.width };
      multiplyTile(k, c, { pointer: features, step, stride: 4 }, b, chunk.keyCount);
      c.forEach((row, r) =>
        row.forEach((x, v) => {
          const at = 4 * (r * w.wide + v * k.width);
          k.store(to, plus(k, total, k.loadVF(to, at), x), at);
        }),
      );
    });
  rowGroups(k, M, w.tile.rows, (first, rows) =>
    add(k.offset(w.state, first, 4 * w.wide), rows, k.offset(keys, first, 4), 4 * M),
  );
  if (extra) {
    const features = extra === 'row' ? w.ones : k.offset(head.extra, chunk.key, 4);
    add(k.offset(w.state, 4 * M * w.wide), 1, features, 4);
  }
  if (w.spec.normalise) addKeys(k, w, keys, chunk);
}

/** `factor · before + sum`. */
const plus = (k: VectorBuilder, factor: VF | undefined, before: VF, sum: VF): VF =>
  factor ? k.fma(before, factor, sum) : k.add(before, sum);

/** `Σ k ← total·Σ k + Σ_c k_c`. */
function addKeys(k: VectorBuilder, w: Workspace, keys: Pointer, chunk: Chunk): void {
  const { M } = w.spec;
  eachVector(k, k.constant('i32', 0), k.constant('i32', M), (m, count) => {
    const to = k.offset(w.keySum, m, 4);
    const sum = k.variable('vf', 0);
    k.loop(0, chunk.keyCount, (c) => {
      const x = k.loadVF(k.offset(k.offset(keys, c, 4 * M), m, 4), 0, count);
      k.assign(sum, chunk.total ? k.fma(x, k.loadSplat(k.offset(w.keyFactors, c, 4)), sum) : k.add(sum, x));
    });
    k.store(to, plus(k, chunk.total && k.splat(chunk.total), k.loadVF(to), sum));
  });
}

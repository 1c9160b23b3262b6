import { exp } from '../../codegen/math.js';
import type { I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import type { Read } from '../typed-kernel.js';
import { dots, fillRows, loadRows, rowAt, vectorsOf } from './rows.js';
import type { common, Workspace } from './spec.js';

/** `count` positions that exist from `first`, of `total` that the tensors have. */
export interface Step {
  readonly head: I32;
  /** Counted over all heads. */
  readonly row: I32;
  readonly count: I32;
  readonly total: I32;
}

export function stepOf(k: VectorBuilder, w: Workspace, p: Read<typeof common>, head: I32, index: I32): Step {
  const { chunk } = w.spec;
  const first = k.mul(index, chunk);
  const length = k.loadI32(k.offset(p.lengths, k.div(head, p.H), 4));
  const within = (end: I32): I32 => k.max(k.min(k.sub(end, first), chunk), 0);
  return { head, row: k.add(k.mul(head, p.n), first), count: within(length), total: within(p.n) };
}

/** Queries, keys, α and β of a step. Rows that do not exist are 0, and nothing is forgotten there. */
export function loadStep(k: VectorBuilder, w: Workspace, p: Read<typeof common>, step: Step): void {
  const { M, chunk, decay, delta } = w.spec;
  const rows = [step.count, chunk] as const;
  loadRows(k, k.offset(p.q, step.row, 4 * M), M, w.q, rows);
  loadRows(k, k.offset(p.k, step.row, 4 * M), M, w.k, rows);
  if (decay === 'feature') loadRows(k, k.offset(p.decay, step.row, 4 * M), M, w.alpha, rows, (x) => exp(k, x), 1);
  if (decay === 'head') {
    k.loop(0, step.count, (r) => {
      const α = exp(k, k.loadSplat(k.offset(k.offset(p.decay, step.row, 4), r, 4)));
      const to = rowAt(k, w.alpha, r);
      k.loop(0, w.alpha.pitch, (i) => k.store(k.offset(to, i, 4), α), k.width);
    });
    fillRows(k, w.alpha, step.count, chunk, 1);
  }
  if (!delta) return;
  fillRows(k, w.beta, k.constant('i32', 0), 1, 0);
  k.loop(0, step.count, (r) =>
    k.store(k.offset(w.beta.pointer, r, 4), k.loadF32(k.offset(k.offset(p.beta, step.row, 4), r, 4))),
  );
}

/**
 * With D_rs = α_(s+1) ∘ … ∘ α_r, products that never grow and are never divided by: queries and keys times D_r0, keys times D_Cs, and
 * `readByQueries_rs = Σ_m q_r k_s D_rs` for s ≤ r, `readByKeys_rs = Σ_m k_r k_s D_rs` for s < r; 0 elsewhere.
 */
export function weighStep(k: VectorBuilder, w: Workspace, scores: boolean): void {
  const { chunk, delta } = w.spec;
  const zero = k.constant('i32', 0);
  if (scores) {
    fillRows(k, w.readByQueries, zero, chunk, 0);
    if (delta) fillRows(k, w.readByKeys, zero, chunk, 0);
  }
  if (w.decays) fillRows(k, w.total, zero, 1, 1);
  k.loop(0, chunk, (r) => {
    const row = {
      q: rowAt(k, w.q, r),
      k: rowAt(k, w.k, r),
      α: rowAt(k, w.alpha, r),
    };
    if (w.decays) startRow(k, w, r, row);
    const score = (s: I32, weighted: Pointer, withKeys: boolean): void => {
      const pairs = [[row.q, weighted] as const, ...(withKeys ? [[row.k, weighted] as const] : [])];
      const [byQuery, byKey] = dots(k, vectorsOf(k, w.k), pairs);
      k.store(k.offset(rowAt(k, w.readByQueries, r), s, 4), byQuery!);
      if (byKey) k.store(k.offset(rowAt(k, w.readByKeys, r), s, 4), byKey);
    };
    if (w.decays || scores)
      k.loop(0, r, (s) => {
        const weighted = rowAt(k, w.kToEnd, s);
        if (w.decays) scaleRow(k, w, weighted, row.α);
        if (scores) score(s, weighted, delta);
      });
    if (scores) score(r, row.k, false);
  });
}

function startRow(k: VectorBuilder, w: Workspace, r: I32, row: Readonly<Record<'q' | 'k' | 'α', Pointer>>): void {
  const [q, key, end] = [w.qFromStart, w.kFromStart, w.kToEnd].map((to) => rowAt(k, to, r)) as [
    Pointer,
    Pointer,
    Pointer,
  ];
  k.loop(
    0,
    w.total.pitch,
    (i) => {
      const at = (pointer: Pointer): Pointer => k.offset(pointer, i, 4);
      const total = k.mul(k.loadVF(at(w.total.pointer)), k.loadVF(at(row.α)));
      const own = k.loadVF(at(row.k));
      k.store(at(w.total.pointer), total);
      k.store(at(q), k.mul(k.loadVF(at(row.q)), total));
      if (w.spec.delta) k.store(at(key), k.mul(own, total));
      k.store(at(end), own);
    },
    k.width,
  );
}

function scaleRow(k: VectorBuilder, w: Workspace, to: Pointer, α: Pointer): void {
  for (let i = 0; i < vectorsOf(k, w.k); i++) {
    const at = 4 * i * k.width;
    k.store(to, k.mul(k.loadVF(to, at), k.loadVF(α, at)), at);
  }
}

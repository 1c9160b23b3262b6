import type { I32, Pointer, VectorBuilder, VF } from '../../codegen/vector.js';
import { eachColumn } from '../transpose.js';
import { typedKernel, type Read } from '../typed-kernel.js';
import { storeDecayGradient, weighGradients } from './between.js';
import { eachLine } from './line.js';
import { byColumns, byRows, dots, fillRows, loadRows, products, rowAt, storeRows, total, vectorsOf } from './rows.js';
import { blockSteps, common, specKey, workspace, type RecurrentSpec, type Rows, type Workspace } from './spec.js';
import { loadStep, stepOf, weighStep, type Step } from './step.js';

const names = {
  ...common,
  dout: 'pointer',
  dq: 'pointer',
  dk: 'pointer',
  dv: 'pointer',
  ddecay: 'pointer',
  dbeta: 'pointer',
  /** `[heads, M, E]`: gradients of the final and of the initial state. */
  dfinal: 'pointer',
  dinitial: 'pointer',
  hasFinal: 'i32',
} as const;
type Parameters = Read<typeof names>;

/**
 * The gradient, from the end to the beginning. With Λ that of the state, e_t = β_t du_t and α, D as in `recurrentForward`,
 *
 *     Λ_t  = q_t dout_tᵀ + α_(t+1) ∘ (Λ_(t+1) − k_(t+1) e_(t+1)ᵀ),   du_t = Λ_tᵀ k_t
 *     dq_t = S_t dout_t,   dk_t = Λ_t u_t − (α_t ∘ S_(t−1)) e_t,   dv_t = e_t,   dβ_t = du_t·(v_t − (α_t ∘ S_(t−1))ᵀ k_t)
 *
 * and the same without e, dv_t = du_t, where the value is written as it is. By steps like the forward pass: the states before the steps of
 * a block are computed from the one that was kept.
 */
export const recurrentBackward = typedKernel({
  name: 'recurrent attend backward',
  key: specKey,
  parameters: names,
  text: (k, spec: RecurrentSpec, p) => {
    const w = workspace(k, spec, 'backward');
    k.loop(k.begin, k.end, (head) => backwardHead(k, w, p, head));
  },
});

function backwardHead(k: VectorBuilder, w: Workspace, p: Parameters, head: I32): void {
  const { M, E } = w.spec;
  const zero = k.constant('i32', 0);
  const state = (of: Pointer): Pointer => k.offset(of, head, 4 * M * E);
  fillRows(k, w.adjoint, zero, Math.ceil(M / k.width) * k.width, 0);
  k.if(p.hasFinal, () => loadRows(k, state(p.dfinal), E, w.adjoint, [M, M]));
  k.loop(0, p.blockCount, (n) => {
    const block = k.sub(k.sub(p.blockCount, 1), n);
    const first = k.mul(block, blockSteps);
    const count = k.min(k.sub(p.steps, first), blockSteps);
    statesOfBlock(k, w, p, head, block, count);
    k.loop(0, count, (i) => {
      const place = k.sub(k.sub(count, 1), i);
      backwardStep(k, w, p, stepOf(k, w, p, head, k.add(first, place)), stateBefore(k, w, place));
    });
  });
  storeRows(k, w.adjoint, state(p.dinitial), E, M);
}

/** The state before a step of the block, its columns as rows. */
const stateBefore = (k: VectorBuilder, w: Workspace, place: I32): Rows => ({
  pointer: k.offset(w.states.pointer, place, 4 * w.spec.E * w.states.pitch),
  pitch: w.states.pitch,
});

function statesOfBlock(k: VectorBuilder, w: Workspace, p: Parameters, head: I32, block: I32, count: I32): void {
  const { M, E, chunk } = w.spec;
  const kept = k.offset(p.blocks, k.add(k.mul(head, p.blockCount), block), 4 * M * E);
  fillRows(k, w.states, k.constant('i32', 0), E, 0);
  k.loop(0, E, (e) =>
    k.loop(0, M, (m) =>
      k.store(k.offset(rowAt(k, w.states, e), m, 4), k.loadF32(k.offset(k.offset(kept, m, 4 * E), e, 4))),
    ),
  );
  k.loop(0, k.sub(count, 1), (place) => {
    const step = stepOf(k, w, p, head, k.add(k.mul(block, blockSteps), place));
    loadStep(k, w, p, step);
    weighStep(k, w, false);
    loadWritten(k, w, p, step);
    const [before, after] = [stateBefore(k, w, place), stateBefore(k, w, k.add(place, 1))];
    const written = { a: byColumns(w.u), b: w.kToEnd, depth: chunk };
    products(k, w, after, E, [written]);
    k.loop(0, E, (e) => {
      const [from, to] = [rowAt(k, before, e), rowAt(k, after, e)];
      for (let i = 0; i < vectorsOf(k, before); i++) {
        const at = 4 * i * k.width;
        const [old, sum] = [k.loadVF(from, at), k.loadVF(to, at)];
        k.store(to, w.decays ? k.fma(old, k.loadVF(w.total.pointer, at), sum) : k.add(old, sum), at);
      }
    });
  });
}

/** What the keys of a step wrote: values, or β times the differences. */
function loadWritten(k: VectorBuilder, w: Workspace, p: Parameters, step: Step): void {
  const { E, chunk, delta } = w.spec;
  const rows = [step.count, chunk] as const;
  const from = k.offset(delta ? p.written : p.v, step.row, 4 * E);
  if (!delta) return loadRows(k, from, E, w.u, rows);
  loadRows(k, from, E, w.written, rows);
  k.loop(0, chunk, (r) => {
    const β = k.loadSplat(k.offset(w.beta.pointer, r, 4));
    const [source, to] = [rowAt(k, w.written, r), rowAt(k, w.u, r)];
    k.loop(0, w.u.pitch, (i) => k.store(k.offset(to, i, 4), k.mul(β, k.loadVF(k.offset(source, i, 4)))), k.width);
  });
}

function backwardStep(k: VectorBuilder, w: Workspace, p: Parameters, step: Step, state: Rows): void {
  const { M, E, chunk, delta } = w.spec;
  loadStep(k, w, p, step);
  weighStep(k, w, true);
  loadWritten(k, w, p, step);
  loadRows(k, k.offset(p.dout, step.row, 4 * E), E, w.dout, [step.count, chunk]);
  writtenGradients(k, w);
  if (delta) throughBeta(k, w, p, step);
  storeRows(k, w.du, k.offset(p.dv, step.row, 4 * E), E, step.total);
  scoreGradients(k, w);
  k.loop(
    0,
    M,
    (m) =>
      eachColumn(k, { rows: rowAt(k, w.adjoint, m), pitch: 4 * w.adjoint.pitch, columns: E }, (c, i, lanes) =>
        k.store(k.offset(rowAt(k, w.adjointColumns, c), m, 4), lanes, 4 * i * w.adjointColumns.pitch),
      ),
    k.width,
  );
  products(k, w, w.dq, chunk, [{ a: byRows(w.dout), b: state, depth: E }]);
  if (delta) products(k, w, w.dkRead, chunk, [{ a: byRows(w.dread), b: state, depth: E }]);
  products(k, w, w.dkAfter, chunk, [{ a: byRows(w.u), b: w.adjointColumns, depth: E }]);
  weighGradients(k, w, state);
  storeRows(k, w.dq, k.offset(p.dq, step.row, 4 * M), M, step.total);
  storeRows(k, w.dk, k.offset(p.dk, step.row, 4 * M), M, step.total);
  storeDecayGradient(k, w, p.ddecay, step);
  updateAdjoint(k, w);
}

/**
 * Λ ← D_C0 ∘ Λ + Σ_r (q_r ∘ D_r0) dout_rᵀ − (k_r ∘ D_r0) e_rᵀ. What keys overwrote cancels, so with the delta rule it is summed in the
 * order of the recurrence, from Λ on; else from 0, as the state is.
 */
function updateAdjoint(k: VectorBuilder, w: Workspace): void {
  const { M, chunk, delta } = w.spec;
  const kept = (old: VF, m: I32, r: number): VF => (w.decays ? k.mul(old, total(k, w, m, r)) : old);
  if (!delta) {
    const written = { a: byColumns(w.qFromStart), b: w.dout, depth: chunk };
    return products(k, w, w.adjoint, M, [written], (sum, old, m, r) => k.add(kept(old(), m, r), sum));
  }
  k.loop(0, chunk, (r) => {
    const to = k.mul(k.sub(k.constant('i32', chunk - 1), r), 2);
    const copy = (from: Rows, target: Rows, place: I32): void =>
      k.loop(
        0,
        from.pitch,
        (i) => k.store(k.offset(rowAt(k, target, place), i, 4), k.loadVF(k.offset(rowAt(k, from, r), i, 4))),
        k.width,
      );
    copy(w.qFromStart, w.reads, to);
    copy(w.kFromStart, w.reads, k.add(to, 1));
    copy(w.dout, w.cotangents, to);
    copy(w.dread, w.cotangents, k.add(to, 1));
  });
  const all = { a: byColumns(w.reads), b: w.cotangents, depth: 2 * chunk };
  products(k, w, w.adjoint, M, [all], undefined, kept);
}

/**
 * du, from the last key to the first: by the queries and, the delta rule, by the keys behind it, in the order of the recurrence, so that
 * what is overwritten cancels as it does there.
 */
function writtenGradients(k: VectorBuilder, w: Workspace): void {
  const { M, chunk, delta } = w.spec;
  products(k, w, w.du, chunk, [{ a: byRows(w.kToEnd), b: w.adjoint, depth: M }]);
  eachLine(k, w, (line) => {
    const r = k.sub(k.constant('i32', chunk - 1), line.r);
    const own = line.at(w.du, r);
    const du = line.lanes.map((v) => k.variable('vf', k.loadVF(own, v)));
    const add = (scores: Rows, cotangents: Rows, s: I32): void => {
      const score = k.loadSplat(k.offset(rowAt(k, scores, s), r, 4));
      const other = line.at(cotangents, s);
      du.forEach((x, i) => k.assign(x, k.fma(score, k.loadVF(other, line.lanes[i]), x)));
    };
    k.loop(0, line.r, (n) => {
      const s = k.sub(k.constant('i32', chunk - 1), n);
      add(w.readByQueries, w.dout, s);
      if (delta) add(w.readByKeys, w.dread, s);
    });
    add(w.readByQueries, w.dout, r);
    du.forEach((x, i) => k.store(own, x, line.lanes[i]));
    if (!delta) return;
    const β = k.neg(k.loadSplat(k.offset(w.beta.pointer, r, 4)));
    const read = line.at(w.dread, r);
    du.forEach((x, i) => k.store(read, k.mul(β, x), line.lanes[i]));
  });
}

/** dβ, and e = β ∘ du in place of du. */
function throughBeta(k: VectorBuilder, w: Workspace, p: Parameters, step: Step): void {
  k.loop(0, step.total, (r) => {
    const du = rowAt(k, w.du, r);
    const [dβ] = dots(k, vectorsOf(k, w.du), [[du, rowAt(k, w.written, r)]]);
    k.store(k.offset(k.offset(p.dbeta, step.row, 4), r, 4), dβ!);
    const β = k.loadSplat(k.offset(w.beta.pointer, r, 4));
    k.loop(0, w.du.pitch, (i) => k.store(k.offset(du, i, 4), k.mul(β, k.loadVF(k.offset(du, i, 4)))), k.width);
  });
}

/** Of `readByQueries` and `readByKeys`: `dout_r·u_s` for s ≤ r, and `−e_r·u_s` for s < r. */
function scoreGradients(k: VectorBuilder, w: Workspace): void {
  const { chunk, delta } = w.spec;
  k.loop(0, chunk, (r) => {
    const [dout, dread] = [rowAt(k, w.dout, r), rowAt(k, w.dread, r)];
    k.loop(0, k.add(r, 1), (s) => {
      const u = rowAt(k, w.u, s);
      const pairs = [[dout, u] as const, ...(delta ? [[dread, u] as const] : [])];
      const [byQuery, byKey] = dots(k, vectorsOf(k, w.u), pairs);
      k.store(k.offset(rowAt(k, w.gradientByQueries, r), s, 4), byQuery!);
      if (byKey) k.store(k.offset(rowAt(k, w.gradientByKeys, r), s, 4), byKey);
    });
  });
}

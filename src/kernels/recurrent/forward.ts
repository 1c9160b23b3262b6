import type { I32, Pointer, Variable, VectorBuilder } from '../../codegen/vector.js';
import { typedKernel, type Read } from '../typed-kernel.js';
import { eachLine, type Line } from './line.js';
import { byColumns, byRows, fillRows, loadRows, products, rowAt, storeRows, total } from './rows.js';
import { blockSteps, common, specKey, workspace, type RecurrentSpec, type Rows, type Workspace } from './spec.js';
import { loadStep, stepOf, weighStep, type Step } from './step.js';

const names = {
  ...common,
  out: 'pointer',
  /** `[heads, M, E]` */
  initial: 'pointer',
  final: 'pointer',
  hasInitial: 'i32',
  keepsBlocks: 'i32',
} as const;
type Parameters = Read<typeof names>;

/**
 * A state that forgets and is written to, `S_t = α_t ∘ S_(t−1) + k_t u_tᵀ` and `out_t = S_tᵀ q_t`, with u_t = v_t or, by the delta rule,
 * `u_t = β_t (v_t − (α_t ∘ S_(t−1))ᵀ k_t)`. By steps of C positions: with D_rs the decay from s to r and S the state before the step,
 *
 *     u_r   = β_r (v_r − (k_r ∘ D_r0)ᵀ S − Σ_(s<r) (k_r·(D_rs ∘ k_s)) u_s)
 *     out_r = (q_r ∘ D_r0)ᵀ S + Σ_(s≤r) (q_r·(D_rs ∘ k_s)) u_s
 *     S     ← D_C0 ∘ S + Σ_s (D_Cs ∘ k_s) u_sᵀ
 *
 * A task is a head. (Yang et al. 2023, arXiv:2312.06635; 2024, arXiv:2406.06484 and arXiv:2412.06464.)
 */
export const recurrentForward = typedKernel({
  name: 'recurrent attend',
  key: specKey,
  parameters: names,
  text: (k, spec: RecurrentSpec, p) => {
    const w = workspace(k, spec, 'forward');
    k.loop(k.begin, k.end, (head) => forwardHead(k, w, p, head));
  },
});

function forwardHead(k: VectorBuilder, w: Workspace, p: Parameters, head: I32): void {
  const { M, E } = w.spec;
  const state = (of: Pointer): Pointer => k.offset(of, head, 4 * M * E);
  k.if(
    p.hasInitial,
    () => loadRows(k, state(p.initial), E, w.state, [M, M]),
    () => fillRows(k, w.state, k.constant('i32', 0), M, 0),
  );
  k.loop(0, p.steps, (index) => {
    const starts = k.and(p.keepsBlocks, k.eq(k.rem(index, blockSteps), 0));
    k.if(starts, () => {
      const block = k.add(k.mul(head, p.blockCount), k.div(index, blockSteps));
      storeRows(k, w.state, k.offset(p.blocks, block, 4 * M * E), E, M);
    });
    const step = stepOf(k, w, p, head, index);
    loadStep(k, w, p, step);
    weighStep(k, w, true);
    loadRows(k, k.offset(p.v, step.row, 4 * E), E, w.u, [step.count, w.spec.chunk]);
    if (w.spec.delta) writeDifferences(k, w, p, step);
    writeOutputs(k, w, p, step);
    products(
      k,
      w,
      w.state,
      M,
      [{ a: byColumns(w.kToEnd), b: w.u, depth: w.spec.chunk }],
      // from 0, not from what is there: the state is large, and is rounded once a step instead of once a key
      (sum, old, m, r) => (w.decays ? k.fma(old(), total(k, w, m, r), sum) : k.add(old(), sum)),
    );
  });
  storeRows(k, w.state, state(p.final), E, M);
}

/** Adds `Σ_s weight_rs u_s` over the rows before r. */
function addWritten(
  k: VectorBuilder,
  w: Workspace,
  { r, at, lanes }: Line,
  sums: readonly Variable<'vf'>[],
  by: Rows,
): void {
  k.loop(0, r, (s) => {
    const weight = k.loadSplat(k.offset(rowAt(k, by, r), s, 4));
    const other = at(w.u, s);
    sums.forEach((x, i) => k.assign(x, k.fma(weight, k.loadVF(other, lanes[i]), x)));
  });
}

/** Values become what the keys write: in their order, each by the ones before. */
function writeDifferences(k: VectorBuilder, w: Workspace, p: Parameters, step: Step): void {
  const { M, E, chunk } = w.spec;
  products(k, w, w.rows, chunk, [{ a: byRows(w.kFromStart), b: w.state, depth: M }]);
  eachLine(k, w, (line) => {
    const [own, read] = [line.at(w.u, line.r), line.at(w.rows, line.r)];
    const sums = line.lanes.map((v) => k.variable('vf', k.loadVF(read, v)));
    addWritten(k, w, line, sums, w.readByKeys);
    const β = k.loadSplat(k.offset(w.beta.pointer, line.r, 4));
    sums.forEach((sum, i) => {
      const difference = k.sub(k.loadVF(own, line.lanes[i]), sum);
      k.store(read, difference, line.lanes[i]);
      k.store(own, k.mul(β, difference), line.lanes[i]);
    });
  });
  storeRows(k, w.rows, k.offset(p.written, step.row, 4 * E), E, step.total);
}

function writeOutputs(k: VectorBuilder, w: Workspace, p: Parameters, step: Step): void {
  const { M, E, chunk } = w.spec;
  products(k, w, w.rows, chunk, [{ a: byRows(w.qFromStart), b: w.state, depth: M }]);
  // row by row: a product of the whole step would multiply what the future wrote by 0, even NaN
  eachLine(k, w, (line) => {
    const [own, to] = [line.at(w.u, line.r), line.at(w.rows, line.r)];
    const weight = k.loadSplat(k.offset(rowAt(k, w.readByQueries, line.r), line.r, 4));
    const sums = line.lanes.map((v) => k.variable('vf', k.fma(weight, k.loadVF(own, v), k.loadVF(to, v))));
    addWritten(k, w, line, sums, w.readByQueries);
    sums.forEach((sum, i) => k.store(to, sum, line.lanes[i]));
  });
  storeRows(k, w.rows, k.offset(p.out, step.row, 4 * E), E, step.total);
}

import { gpuModule } from '../../codegen/gpu.js';
import type { I32, VectorBuilder } from '../../codegen/vector.js';
import { fill } from '../attend/panel.js';
import { typedKernel } from '../typed-kernel.js';
import { chunkOf, headOf, transposeKeys, valuesOf, type Chunk, type Head } from './chunk.js';
import { writeRows } from './rows.js';
import {
  names,
  segmentPitch,
  specKey,
  stateElements,
  workspace,
  type LinearSpec,
  type Parameters,
  type Workspace,
} from './spec.js';
import { clearState, copyState, loadInitial, storeFinal, updateState } from './state.js';

const texts = gpuModule(() => import('./gpu.js'));

/**
 * Linear attention by chunks: the state `S = Σ k_c v_cᵀ` of all chunks before, `[M, E]`, stays in thread workspace; a chunk adds
 * `Q S` and the triangle of its own `Q Kᵀ` times V. A task is a head, or a segment of one: then the pass `sum` has found
 * the state of each segment before, and `addSegments` their running sums. (Katharopoulos et al. 2020, arXiv:2006.16236; by
 * chunks: Hua et al. 2022, arXiv:2202.10447.)
 */
export const linearKernel = typedKernel({
  name: 'linear attend',
  key: specKey,
  parameters: names,
  gpu: (target, spec, p) => texts().linearText(target, spec, p),
  text: (k, spec: LinearSpec, p) => {
    const w = workspace(k, spec);
    if (spec.extra === 'row') fill(k, w.ones, 4 * w.line, 1);
    k.loop(k.begin, k.end, (task) => {
      if (spec.pass === 'sum') sumSegment(k, w, p, task);
      else rowsOfSegment(k, w, p, task);
    });
  },
});

function forEachChunk(
  k: VectorBuilder,
  w: Workspace,
  p: Parameters,
  head: Head,
  segment: I32,
  body: (chunk: Chunk) => void,
): void {
  const first = k.mul(segment, p.perSegment);
  k.loop(first, k.min(k.add(first, p.perSegment), p.chunks), (order) => body(chunkOf(k, w, p, head, order)));
}

/** The state after one segment alone; the first one begins with the initial state. */
function sumSegment(k: VectorBuilder, w: Workspace, p: Parameters, task: I32): void {
  const segment = k.rem(task, p.kept);
  const head = headOf(k, w, p, k.div(task, p.kept));
  k.if(
    k.eq(segment, 0),
    () => loadInitial(k, w, p, head.index),
    () => clearState(k, w),
  );
  const decay = k.variable('f32', 1);
  forEachChunk(k, w, p, head, segment, (chunk) => {
    if (chunk.total) k.assign(decay, k.mul(decay, chunk.total));
    updateState(k, w, head, chunk, valuesOf(k, w, head, chunk, w.spec.decay));
  });
  const to = k.offset(p.segmentStates, task, 4 * segmentPitch(w.spec, k.width));
  copyState(k, w, w.state, to);
  k.store(to, decay, 4 * stateElements(w.spec, k.width));
}

/** Outputs of one segment of the heads that share them, added up in order. */
function rowsOfSegment(k: VectorBuilder, w: Workspace, p: Parameters, task: I32): void {
  const segment = k.rem(task, p.segments);
  const outHead = k.div(task, p.segments);
  if (!w.spec.reverse) return rowsOfHead(k, w, p, outHead, segment, undefined);
  k.loop(0, p.group, (member) => rowsOfHead(k, w, p, k.add(k.mul(outHead, p.group), member), segment, k.ne(member, 0)));
}

function rowsOfHead(
  k: VectorBuilder,
  w: Workspace,
  p: Parameters,
  index: I32,
  segment: I32,
  adds: I32 | undefined,
): void {
  const { causal, decay } = w.spec;
  const head = headOf(k, w, p, index);
  const kept = (at: I32) =>
    k.offset(p.segmentStates, k.add(k.mul(index, p.kept), at), 4 * segmentPitch(w.spec, k.width));
  if (causal) {
    k.if(
      k.eq(segment, 0),
      () => loadInitial(k, w, p, index),
      () => copyState(k, w, kept(k.sub(segment, 1)), w.state),
    );
  } else copyState(k, w, kept(k.sub(p.kept, 1)), w.state);
  forEachChunk(k, w, p, head, segment, (chunk) => {
    if (causal) {
      transposeKeys(k, w, head, chunk);
      const values = valuesOf(k, w, head, chunk, false);
      writeRows(k, w, p, head, chunk, values, adds);
      updateState(k, w, head, chunk, decay ? valuesOf(k, w, head, chunk, true) : values);
    } else writeRows(k, w, p, head, chunk, undefined, adds);
    clearRows(k, w, head, chunk);
  });
  const last = causal ? k.eq(segment, k.sub(p.segments, 1)) : k.eq(segment, 0);
  k.if(k.and(last, p.hasFinal), () => storeFinal(k, w, p, index));
}

/** Rows whose position does not exist are 0. */
function clearRows(k: VectorBuilder, w: Workspace, head: Head, chunk: Chunk): void {
  if (!w.spec.reverse) return;
  const { E } = w.spec;
  const from = k.offset(head.out, k.add(chunk.row, chunk.rowCount), 4 * E);
  const zero = k.constant('f32', 0);
  k.loop(0, k.mul(k.sub(chunk.rowTotal, chunk.rowCount), E), (i) => k.store(k.offset(from, i, 4), zero));
}

/** Elements of one task of `addSegments`. */
export const segmentStretch = 4096;

/** States after each segment alone to states after all segments up to it: `S_s ← decay_s · S_(s−1) + S_s`. */
export const addSegments = typedKernel({
  name: 'linear attend segments',
  key: () => '',
  parameters: { states: 'pointer', size: 'i32', pitch: 'i32', kept: 'i32', stretches: 'i32' },
  text: (k, _: undefined, p) => {
    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(k.rem(task, p.stretches), segmentStretch);
      const last = k.min(k.add(first, segmentStretch), p.size);
      const head = k.mul(k.div(task, p.stretches), p.kept);
      const at = (segment: I32) => k.offset(p.states, k.mul(k.add(head, segment), p.pitch), 4);
      k.loop(1, p.kept, (segment) => {
        const [before, here] = [at(k.sub(segment, 1)), at(segment)];
        const decay = k.loadSplat(k.offset(here, p.size, 4));
        k.loop(
          first,
          last,
          (i) => {
            const to = k.offset(here, i, 4);
            k.store(to, k.fma(decay, k.loadVF(k.offset(before, i, 4)), k.loadVF(to)));
          },
          k.width,
        );
      });
    });
  },
});

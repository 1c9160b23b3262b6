import { variable } from '../../codegen/expression/index.js';
import { attendBackward, backwardParameters, backwardScratch } from '../../kernels/attend/backward.js';
import { attendDelta, deltaParameters, deltaRows } from '../../kernels/attend/delta.js';
import { gpuKeyTile } from '../../kernels/attend/gpu/cut.js';
import { backwardKeys, backwardQueries, keysParameters, queriesParameters } from '../../kernels/attend/gpu/kernels.js';
import { attendTiles, backwardChunk } from '../../kernels/attend/layout.js';
import { tensor, zeros } from '../../tensor/create.js';
import { runElementwise } from '../../tensor/elementwise.js';
import { scope } from '../../tensor/scope.js';
import { empty, type Tensor } from '../../tensor/tensor.js';
import { sharedArguments, type BackwardArguments } from './arguments.js';
import type { AttendCall } from './call.js';
import type { AttendValues } from './forward.js';
import type { PartOnDevice } from './on-device.js';
import type { AttendInputs } from './sizes.js';
import { stepsOf } from './steps.js';
import { tableGradient } from './table-gradient.js';

export interface AttendGradients {
  readonly dq: Tensor;
  readonly dk: Tensor;
  readonly dv: Tensor;
  /** Of the tensors asked for, in their order. */
  readonly dtables: readonly Tensor[];
}

export interface Cotangents {
  readonly dout: Tensor;
  readonly dlogsumexp: Tensor | undefined;
}

/**
 * Gradients of a call, with weights recomputed from the logsumexp of all parts; `learned` are the tensors among the score's tables
 * whose gradient is wanted.
 */
export function backward(
  call: AttendCall,
  { q, k, v }: AttendInputs,
  { out, logsumexp }: AttendValues,
  { dout, dlogsumexp }: Cotangents,
  learned: readonly Tensor[],
): AttendGradients {
  const { device } = q;
  return scope(() => {
    const delta = deltaOf(out, dout, dlogsumexp);
    // owners of rows write them all, and the only part needs nothing to add to
    const only = device.info.gpu && call.parts.length === 1 && call.parts[0]!.keys === undefined;
    const start = ({ shape }: Tensor): Tensor => (only ? empty(shape, 'f32', device) : zeros(shape, { device }));
    const [dq, dk, dv] = [start(q), start(k), start(v)];
    let dtables: readonly (Tensor | undefined)[] = [];
    for (const part of call.parts) {
      dtables = scope(() => {
        const { rows } = part;
        const inputs = { q, k: rows.pick(k), v: rows.pick(v) };
        const sums = { dq, dk: rows.sums(dk), dv: rows.sums(dv) };
        const shared = sharedArguments(call, part, inputs, logsumexp);
        const args = { ...shared, dout: dout.buffer, delta: delta.buffer };
        if (device.info.gpu) ownersOfPart(part, { ...args, adds: only ? 0 : 1 }, sums);
        else backwardOfPart(part, args, sums);
        rows.place(sums.dk, dk);
        rows.place(sums.dv, dv);
        return learned.map((table, i) => added(dtables[i], tableGradient(part, args, table)));
      });
    }
    return { dq, dk, dv, dtables: learned.map(({ shape }, i) => dtables[i] ?? zeros(shape, { device })) };
  });
}

const sum = variable('x0', 'f32').add(variable('x1', 'f32'));

function added(before: Tensor | undefined, own: Tensor | undefined): Tensor | undefined {
  if (before === undefined || own === undefined) return before ?? own;
  runElementwise(sum, [before, own], before);
  return before;
}

/** δ_i = Σ_e dout_ie · out_ie − dlogsumexp_i */
function deltaOf(out: Tensor, dout: Tensor, dlogsumexp: Tensor | undefined): Tensor {
  const { device } = out;
  const columns = out.shape[3]!;
  const rows = out.size / columns;
  const delta = empty([rows], 'f32', device, 'workspace');
  const args = {
    dout: dout.buffer,
    out: out.buffer,
    dlogsumexp: (dlogsumexp ?? dout).buffer,
    delta: delta.buffer,
    rows,
    columns,
    hasDlogsumexp: dlogsumexp ? 1 : 0,
  };
  device.run(attendDelta, deltaParameters.pack(args), Math.ceil(rows / deltaRows));
  return delta;
}

function backwardOfPart(
  { spec, shape, tiles, visited }: PartOnDevice,
  args: BackwardArguments,
  { dq, dk, dv }: Omit<AttendGradients, 'dtables'>,
): void {
  const { B, G, L, S } = shape;
  const { D, E, period } = spec;
  const { device } = dq;
  const { width } = device.info;
  const t = attendTiles(width, spec);
  const chunk = backwardChunk(t);
  const keyChunks = Math.ceil(S / (period * chunk));
  const queryChunks = Math.ceil(L / (period * chunk));
  const rotation = Math.max(keyChunks, queryChunks);
  const { steps, chunks: listed } = stepsOf(tiles, chunk / t.queryTile, chunk / t.keyBlock, rotation);
  if (steps.length === 0) return;
  const chunks = tensor(listed, [listed.length], { device, category: 'workspace' });
  const gradients = { dq: dq.buffer, dk: dk.buffer, dv: dv.buffer };
  for (const { ahead, first, count } of steps) {
    const own = { chunks: { buffer: chunks.buffer, byteOffset: 4 * first }, chunkCount: count, ahead };
    const packed = backwardParameters.pack({ ...args, ...gradients, ...own, keyChunks, queryChunks });
    device.run(attendBackward(spec), packed, B * G * period * count, { scratchBytes: backwardScratch(width, spec) });
  }
  device.counters.multiplyAdds += visited.pairs * (3 * D + 2 * E);
}

/** The same where rows of gradients have owners: queries for dq, keys for dk and dv. */
function ownersOfPart(
  { spec, shape, tables, visited }: PartOnDevice,
  args: BackwardArguments & { readonly adds: number },
  { dq, dk, dv }: Omit<AttendGradients, 'dtables'>,
): void {
  const { B, H, G, L, S } = shape;
  const { D, E, period, queryTile } = spec;
  const { device } = dq;
  const { columnOffsets, columnRuns } = tables;
  const queries = B * H * period * Math.ceil(L / (period * queryTile));
  device.run(backwardQueries(spec), queriesParameters.pack({ ...args, dq: dq.buffer }), queries);
  const gradients = { dk: dk.buffer, dv: dv.buffer, columnOffsets, columnRuns };
  const keys = B * G * period * Math.ceil(S / (period * gpuKeyTile(spec)));
  device.run(backwardKeys(spec), keysParameters.pack({ ...args, ...gradients }), keys);
  device.counters.multiplyAdds += visited.pairs * (4 * D + 3 * E);
}

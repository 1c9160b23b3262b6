import { differentiateTable, variable, type TableGradient } from '../../codegen/expression/index.js';
import { attendBackward, backwardParameters, backwardScratch } from '../../kernels/attend/backward.js';
import { attendDelta, deltaParameters, deltaRows } from '../../kernels/attend/delta.js';
import { attendTiles, backwardChunk } from '../../kernels/attend/layout.js';
import * as tables from '../../kernels/attend/table-gradient.js';
import type { TileMap } from '../../masks/tiles.js';
import { zeros } from '../../tensor/create.js';
import { runElementwise } from '../../tensor/elementwise.js';
import { empty, type Tensor } from '../../tensor/tensor.js';
import { type NonFinite, sharedArguments, Workspace, type AttendCall, type AttendInputs } from './bind.js';
import type { AttendValues } from './forward.js';

export interface AttendGradients {
  readonly dq: Tensor;
  readonly dk: Tensor;
  readonly dv: Tensor;
  /** In the order asked for. */
  readonly dtables: readonly Tensor[];
}

/**
 * Gradients of one call; `learned` are the tensors among the score's tables whose gradient is wanted. Where `values` are attention over
 * more pairs than those of the call, the gradients are the share of its pairs; with `before` they are added to what it holds.
 */
export function runBackward(
  call: AttendCall,
  { q, k, v }: AttendInputs,
  { out, logsumexp }: AttendValues,
  dout: Tensor,
  dlogsumexp: Tensor | undefined,
  learned: readonly Tensor[],
  nonFinite: NonFinite,
  before?: AttendGradients,
): AttendGradients {
  const { B, H, G, L, S } = call.shape;
  const { D, E, period } = call.plan.spec;
  const { device } = q;
  const workspace = new Workspace(device);
  try {
    const rows = B * H * L;
    const delta = workspace.allocate(4 * rows);
    const deltaArguments = {
      dout: dout.buffer,
      out: out.buffer,
      dlogsumexp: (dlogsumexp ?? dout).buffer,
      delta,
      rows,
      columns: E,
      hasDlogsumexp: dlogsumexp ? 1 : 0,
    };
    device.run(attendDelta, deltaParameters.pack(deltaArguments), Math.ceil(rows / deltaRows));
    const args = { ...sharedArguments(workspace, call, { q, k, v, logsumexp }, nonFinite), dout: dout.buffer, delta };

    const { width } = device.info;
    const t = attendTiles(width, call.plan.spec);
    const chunk = backwardChunk(t);
    const keyChunks = Math.ceil(S / (period * chunk));
    const queryChunks = Math.ceil(L / (period * chunk));
    const { dq, dk, dv } = before ?? {
      dq: zeros(q.shape, { device }),
      dk: zeros(k.shape, { device }),
      dv: zeros(v.shape, { device }),
    };
    const kernel = attendBackward(call.plan.spec);
    const rotation = Math.max(keyChunks, queryChunks);
    const steps = stepsOf(call.plan.tiles, chunk / t.queryTile, chunk / t.keyBlock, rotation);
    const chunks = workspace.upload(Int32Array.from(steps.flatMap(({ chunks }) => chunks)));
    const gradients = { dq: dq.buffer, dk: dk.buffer, dv: dv.buffer };
    let listed = 0;
    for (const step of steps) {
      const chunkCount = step.chunks.length;
      const own = { chunks: { buffer: chunks, byteOffset: 4 * listed }, chunkCount, ahead: step.ahead };
      const packed = backwardParameters.pack({ ...args, ...gradients, ...own, keyChunks, queryChunks });
      const scratchBytes = backwardScratch(width, call.plan.spec);
      device.run(kernel, packed, B * G * period * chunkCount, { scratchBytes });
      listed += chunkCount;
    }
    device.counters.multiplyAdds += call.plan.visited.pairs * (3 * D + 2 * E);
    const dtables = learned.map((table, i) => {
      const own = tableGradient(workspace, call, args, table);
      const sum = before?.dtables[i];
      if (sum === undefined) return own;
      runElementwise(x0.add(x1), [sum, own], sum);
      own.dispose();
      return sum;
    });
    return { dq, dk, dv, dtables };
  } finally {
    workspace.dispose();
  }
}

const [x0, x1] = [variable('x0', 'f32'), variable('x1', 'f32')];

interface Step {
  readonly ahead: number;
  /** Key chunks with a tile to visit in the query chunk that is `ahead` of them (modulo `chunks`). */
  readonly chunks: readonly number[];
}

/** The steps in which some pair of chunks has a tile to visit, and which: where few have, the others cost nothing. */
function stepsOf(tiles: TileMap, tilesPerChunk: number, blocksPerChunk: number, chunks: number): readonly Step[] {
  const found = new Map<number, Set<number>>();
  const { rows, rowOffsets, runs } = tiles;
  for (let index = 0; index < rowOffsets.length - 1; index++) {
    const queryChunk = Math.floor((index % rows) / tilesPerChunk);
    for (let run = rowOffsets[index]!; run < rowOffsets[index + 1]!; run++) {
      const last = Math.floor((runs[3 * run + 1]! - 1) / blocksPerChunk);
      for (let keyChunk = Math.floor(runs[3 * run]! / blocksPerChunk); keyChunk <= last; keyChunk++) {
        const ahead = (queryChunk - keyChunk + chunks) % chunks;
        let step = found.get(ahead);
        if (step === undefined) found.set(ahead, (step = new Set()));
        step.add(keyChunk);
      }
    }
  }
  return [...found]
    .sort(([a], [b]) => a - b)
    .map(([ahead, step]) => ({ ahead, chunks: [...step].sort((a, b) => a - b) }));
}

/** Tables up to this many elements get a copy per task. */
const smallTable = 65536;
const copiesOfSmall = 16;

type SharedArguments = ReturnType<typeof sharedArguments> &
  Pick<Parameters<typeof tables.tableGradientParameters.pack>[0], 'dout' | 'delta'>;

function tableGradient(workspace: Workspace, call: AttendCall, args: SharedArguments, learned: Tensor): Tensor {
  const { device } = workspace;
  const { B, L } = call.shape;
  const { spec } = call.plan;
  const { width } = device.info;
  const size = learned.size;
  const entries = spec.score ? differentiateTable(spec.score, (table) => table.source === learned) : [];
  if (entries.length === 0) return zeros(learned.shape, { device });
  const tiles = Math.ceil(L / (spec.period * spec.queryTile));
  // rows of different queries never meet; else small tables are summed from copies, and large ones by one task
  const byRow = entries.every(readsOwnRow);
  const copies = byRow ? 1 : size <= smallTable ? Math.min(copiesOfSmall, tiles) : 1;
  const dtable = workspace.zeros(4 * size * copies);
  const stripes = byRow ? tiles : copies;
  for (const entry of entries) {
    const own = { B, dtable, stripes, copyPitch: byRow ? 0 : size };
    device.run(
      tables.attendTableGradient(spec, entry),
      tables.tableGradientParameters.pack({ ...args, ...own }),
      stripes,
      {
        scratchBytes: tables.tableGradientScratch(width, spec),
      },
    );
  }
  const out = empty(learned.shape, 'f32', device);
  const sum = { copies: dtable, out: out.buffer, count: copies, size };
  device.run(tables.sumCopies, tables.sumCopiesParameters.pack(sum), Math.ceil(size / tables.sumCopiesChunk));
  return out;
}

/** Whether one index is the query's position, up to a constant. */
function readsOwnRow({ indices }: TableGradient): boolean {
  return indices.some((index) => {
    if (index.op !== 'add' && index.op !== 'sub') return index.name === 'q';
    const [a, b] = index.args;
    return a!.name === 'q' && (b!.op === 'constant' || b!.op === 'parameter');
  });
}

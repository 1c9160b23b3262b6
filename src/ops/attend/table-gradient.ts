import { differentiateTable, type TableGradient } from '../../codegen/expression/index.js';
import { memoised } from '../../core/memo.js';
import * as kernels from '../../kernels/attend/table-gradient.js';
import type { AttendSpec } from '../../kernels/attend/spec.js';
import { empty, writable, type Tensor } from '../../tensor/tensor.js';
import type { BackwardArguments } from './arguments.js';
import type { PartOnDevice } from './on-device.js';

/** Tables up to this many elements get a copy per task. */
const smallTable = 65536;
const copiesOfSmall = 16;
/** On a GPU each is a workgroup; all of them in a few megabytes. */
const copiesOnGpu = (size: number): number => Math.min(128, Math.max(copiesOfSmall, Math.floor(2 ** 20 / size)));

/** The gradient of a tensor that the score of a part reads; undefined where it reads none of it. */
export function tableGradient(
  { spec, shape: { B, H, L } }: PartOnDevice,
  args: BackwardArguments,
  learned: Tensor,
): Tensor | undefined {
  const { device } = learned;
  const { width } = device.info;
  const { size } = learned;
  const entries = entriesOf(spec, learned);
  if (entries.length === 0) return undefined;
  const tiles = Math.ceil(L / (spec.period * spec.queryTile));
  // rows of different queries never meet; else small tables are summed from copies, and large ones by one task
  const byRow = entries.every(readsOwnRow);
  const shared = device.info.gpu
    ? Math.min(copiesOnGpu(size), tiles * B * H * spec.period)
    : Math.min(copiesOfSmall, tiles);
  const count = byRow ? 1 : size <= smallTable ? shared : 1;
  const copies = empty([count, size], 'f32', device, 'workspace');
  device.write(writable(copies), new Uint8Array(copies.byteLength));
  const stripes = byRow ? tiles : count;
  for (const entry of entries) {
    const own = { B, dtable: copies.buffer, stripes, copyPitch: byRow ? 0 : size };
    const packed = kernels.tableGradientParameters.pack({ ...args, ...own });
    const scratchBytes = kernels.tableGradientScratch(width, spec);
    device.run(kernels.attendTableGradient(spec, entry), packed, stripes, { scratchBytes });
  }
  const out = empty(learned.shape, 'f32', device);
  const packed = kernels.sumCopiesParameters.pack({ copies: copies.buffer, out: out.buffer, count, size });
  device.run(kernels.sumCopies, packed, Math.ceil(size / kernels.sumCopiesChunk));
  return out;
}

/** The score's reads of a table, differentiated. */
const entriesOf = memoised(({ score }: AttendSpec, learned: Tensor): readonly TableGradient[] =>
  score ? differentiateTable(score, (table) => table.source === learned) : [],
);

/** Whether one index is the query's position, up to a constant. */
function readsOwnRow({ indices }: TableGradient): boolean {
  return indices.some((index) => {
    if (index.op !== 'add' && index.op !== 'sub') return index.name === 'q';
    const [a, b] = index.args;
    return a!.name === 'q' && (b!.op === 'constant' || b!.op === 'parameter');
  });
}

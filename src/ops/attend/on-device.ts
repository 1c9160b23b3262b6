import { hostData } from '../../codegen/expression/index.js';
import { memoised } from '../../core/memo.js';
import type { Device, DeviceBuffer } from '../../devices/device.js';
import { tableSlot } from '../../kernels/attend/spec.js';
import { tensor } from '../../tensor/create.js';
import { produce, shareHeld, writable, type Tensor } from '../../tensor/tensor.js';
import { allRows, listedRows, type KeyRows } from './key-rows.js';
import type { AttendPlan, PlanPart } from './plan.js';
import { columnsOf } from './columns.js';
import { addressOf, checkTable } from './score-tables.js';

/** A part of a plan where kernels find it. */
export interface PartOnDevice extends PlanPart {
  readonly rows: KeyRows;
  readonly tables: TableArguments;
  /** What it holds on the device. */
  readonly tensors: readonly Tensor[];
}

/** Where the kernels find the small tables of a part. */
export type TableArguments = Readonly<Record<keyof ReturnType<typeof layoutOf>['at'], BufferAt>>;

export interface BufferAt {
  readonly buffer: DeviceBuffer;
  readonly byteOffset: number;
}

/**
 * Uploads what the kernels read of a plan beside the tensors. What is held already, by another layer or by the tape for its backward
 * pass, is shared.
 *
 * @throws OptionError or ShapeError for a table that kernels cannot read.
 */
export function onDevice({ parts }: AttendPlan, device: Device): readonly PartOnDevice[] {
  return parts.map((part) => {
    for (const table of part.spec.tables) checkTable(table, device);
    const tables = held(part, device, 'tables', () => tablesOn(part, device));
    const { buffer } = tables;
    const places = Object.entries(layoutOf(part, transposedFor(device)).at).map(([name, byteOffset]) => [
      name,
      { buffer, byteOffset },
    ]);
    const own = { ...part, tables: Object.fromEntries(places) as TableArguments };
    const { keys } = part;
    if (keys === undefined) return { ...own, rows: allRows, tensors: [tables] };
    const index = held(part, device, 'keys', () => indexOn(keys, part, device));
    return { ...own, rows: listedRows(index), tensors: [tables, index] };
  });
}

/** What `make` makes, or what it made last while anyone holds it. */
function held(part: PlanPart, device: Device, what: 'tables' | 'keys', make: () => Tensor): Tensor {
  const last = lastOf(part, device, what);
  last.tensor = (last.tensor && shareHeld(last.tensor)) ?? make();
  return last.tensor;
}

const lastOf = memoised((_: PlanPart, __: Device, ___: 'tables' | 'keys'): { tensor?: Tensor } => ({}));

/** A GPU's backward pass visits the tile map by keys, too. */
const transposedFor = ({ info }: Device): boolean => info.gpu;

/** Bytes from the start of the buffer to each table, and to the host data that a mask or score reads. */
const layoutOf = memoised(({ tiles, constants, opens, spec }: PlanPart, transposed: boolean) => {
  const { tables } = spec;
  const columns = transposed ? columnsOf(tiles, spec) : undefined;
  let end = 0;
  const room = (byteLength: number): number => {
    const start = end;
    end += Math.ceil(byteLength / 8) * 8;
    return start;
  };
  const at = {
    rowOffsets: room(tiles.rowOffsets.byteLength),
    runs: room(tiles.runs.byteLength),
    constants: room(4 * constants.length),
    tables: room(tableSlot * tables.length),
    opens: room(opens.byteLength),
    columnOffsets: room(columns?.offsets.byteLength ?? 0),
    columnRuns: room(columns?.runs.byteLength ?? 0),
  };
  const hostTables = tables.map((table) => room(hostData(table)?.byteLength ?? 0));
  return { at, columns, hostTables, end };
});

function tablesOn(part: PlanPart, device: Device): Tensor {
  const { tiles, constants, opens, spec } = part;
  const { at, columns, hostTables, end } = layoutOf(part, transposedFor(device));
  return produce(
    [end],
    'u8',
    device,
    (out) => {
      const bytes = new Uint8Array(end);
      const view = new DataView(bytes.buffer);
      const put = (data: ArrayBufferView, offset: number): void =>
        bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
      put(tiles.rowOffsets, at.rowOffsets);
      put(tiles.runs, at.runs);
      put(opens, at.opens);
      if (columns) {
        put(columns.offsets, at.columnOffsets);
        put(columns.runs, at.columnRuns);
      }
      constants.forEach(({ type, value }, slot) => {
        if (type === 'f32') view.setFloat32(at.constants + 4 * slot, value, true);
        else view.setInt32(at.constants + 4 * slot, value, true);
      });
      spec.tables.forEach((table, i) => {
        const data = hostData(table);
        if (data) put(data, hostTables[i]!);
        const address = data ? out.buffer.address + hostTables[i]! : addressOf(table, device);
        const slot = at.tables + tableSlot * i;
        view.setBigUint64(slot, BigInt(address), true);
        table.shape.forEach((extent, d) => view.setInt32(slot + 8 + 4 * d, extent, true));
      });
      device.write(writable(out), bytes);
    },
    'plan',
  );
}

/** The same rows for every batch and head, `[B, G, m]`. */
function indexOn(keys: Int32Array, { shape: { B, G } }: PlanPart, device: Device): Tensor {
  const all = new Int32Array(B * G * keys.length);
  for (let head = 0; head < B * G; head++) all.set(keys, head * keys.length);
  return tensor(all, [B, G, keys.length], { device, category: 'plan' });
}

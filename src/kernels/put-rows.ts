import { bytesPerElement, type FloatDtype } from '../core/dtype.js';
import type { Device, DeviceBuffer } from '../devices/device.js';
import { loadFloats, storeLanes } from './cast/convert.js';
import { eachVector } from './lanes.js';
import { typedKernel } from './typed-kernel.js';

export interface PutRowsSpec {
  readonly from: FloatDtype;
  readonly to: FloatDtype;
  /** Whether `starts` says how much further the rows go. */
  readonly moves: boolean;
}

/** Rows of one task. */
const perTask = 64;

const putRowsKernel = typedKernel({
  name: 'put rows',
  key: ({ from, to, moves }: PutRowsSpec) => `${from}/${to}/${moves}`,
  parameters: {
    x: 'pointer',
    out: 'pointer',
    /** i32, one for each batch row. */
    starts: 'pointer',
    /** Heads of a batch row. */
    heads: 'i32',
    /** Rows of a head that are copied, and that there are on either side. */
    count: 'i32',
    rows: 'i32',
    outRows: 'i32',
    columns: 'i32',
    /** The first row on either side. */
    first: 'i32',
    outFirst: 'i32',
  },
  text: (k, { from, to, moves }, p) => {
    const pieces = k.div(k.add(p.count, perTask - 1), perTask);
    k.loop(k.begin, k.end, (task) => {
      const head = k.div(task, pieces);
      const begin = k.mul(k.rem(task, pieces), perTask);
      const length = k.mul(k.sub(k.min(k.add(begin, perTask), p.count), begin), p.columns);
      const further = moves ? k.loadI32(k.offset(p.starts, k.div(head, p.heads), 4)) : k.constant('i32', 0);
      const row = k.add(k.mul(head, p.rows), k.add(p.first, begin));
      const outRow = k.add(k.mul(head, p.outRows), k.add(k.add(p.outFirst, further), begin));
      const source = k.offset(p.x, k.mul(row, p.columns), bytesPerElement[from]);
      const target = k.offset(p.out, k.mul(outRow, p.columns), bytesPerElement[to]);
      eachVector(k, k.constant('i32', 0), length, (at, some) =>
        storeLanes(
          k,
          to,
          k.offset(target, at, bytesPerElement[to]),
          loadFloats(k, from, k.offset(source, at, bytesPerElement[from]), 0, some),
          0,
          some,
        ),
      );
    });
  },
});

/** Rows of heads on one side: which, how they are stored, and how many a head has. */
export interface HeadRows {
  readonly buffer: DeviceBuffer;
  readonly dtype: FloatDtype;
  readonly rows: number;
  readonly first: number;
}

/** Copies `count` rows of every head to other rows, in another storage where that differs; `starts` moves those they go to. */
export function launchPutRows(
  device: Device,
  {
    from,
    to,
    ...sizes
  }: {
    readonly from: HeadRows;
    readonly to: HeadRows;
    readonly count: number;
    readonly columns: number;
    readonly batches: number;
    readonly heads: number;
    readonly starts?: DeviceBuffer | undefined;
  },
): void {
  const { count, columns, batches, heads, starts } = sizes;
  const { kernel, pack } = putRowsKernel({ from: from.dtype, to: to.dtype, moves: starts !== undefined });
  const args = {
    x: from.buffer,
    out: to.buffer,
    starts: starts ?? from.buffer,
    heads,
    count,
    rows: from.rows,
    outRows: to.rows,
    columns,
    first: from.first,
    outFirst: to.first,
  };
  const grain = Math.max(1, Math.floor(8192 / (Math.min(count, perTask) * columns)));
  device.run(kernel, pack(args), batches * heads * Math.ceil(count / perTask), { grain });
  device.counters.bytesMoved +=
    batches * heads * count * columns * (bytesPerElement[from.dtype] + bytesPerElement[to.dtype]);
}

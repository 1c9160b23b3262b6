import type { Dtype } from '../../core/dtype.js';
import type { Device, KernelArgument } from '../../devices/device.js';
import { columnsPerTask, enoughTasks, rowsPerTask, taskElements } from '../task-size.js';
import { scanKernel, sumDtype, type ScanSpec } from './scan.js';

/** The number of tasks that is always enough on a processor. Never the number of threads. */
const ENOUGH = 32;

/** `[rows, length, columns]`, scanned over `length`. */
export interface ScanShape {
  readonly rows: number;
  readonly length: number;
  readonly columns: number;
}

export interface ScanDirection {
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

/**
 * Running sums. A long axis with little beside it is cut into chunks: the sum of each, then running sums of those, from which
 * each chunk starts.
 */
export function launchScan(
  device: Device,
  dtype: Dtype,
  x: KernelArgument,
  out: KernelArgument,
  shape: ScanShape,
  direction: ScanDirection,
): void {
  const { rows, length, columns } = shape;
  const inner = columns === 1;
  const [elements, enough] = [taskElements(device.info), enoughTasks(device.info, ENOUGH)];
  const perTask = inner ? rowsPerTask(length, device.info) : columnsPerTask(columns, device.info, 64);
  const lines = inner ? Math.ceil(rows / perTask) : rows * Math.ceil(columns / perTask);
  const least = Math.ceil(elements / (inner ? 1 : perTask));
  const chunk = lines >= enough || length <= 2 * least ? length : Math.max(least, Math.ceil(length / enough));
  const chunks = Math.ceil(length / chunk);
  const run = (pass: ScanSpec['pass'], starts: KernelArgument, to: KernelArgument): void => {
    const { kernel, pack } = scanKernel({ inner, dtype, pass, ...direction });
    const args = pack({
      x,
      starts,
      out: to,
      continues: chunks > 1 ? 1 : 0,
      rows,
      length,
      columns,
      chunk,
      chunks,
      perTask,
    });
    device.run(kernel, args, lines * chunks);
  };
  if (chunks === 1) return run('scan', x, out);
  const bytes = 4 * rows * chunks * columns;
  const totals = device.allocate(2 * bytes, 'workspace');
  const starts = { buffer: totals, byteOffset: bytes };
  try {
    run('total', totals, totals);
    launchScan(
      device,
      sumDtype(dtype),
      totals,
      starts,
      { rows, length: chunks, columns },
      { ...direction, exclusive: true },
    );
    run('scan', starts, out);
  } finally {
    device.free(totals);
  }
}

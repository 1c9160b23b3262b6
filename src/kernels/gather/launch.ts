import { bytesPerElement, type Dtype, type FloatDtype } from '../../core/dtype.js';
import type { Device, DeviceBuffer } from '../../devices/device.js';
import { taskElements } from '../task-size.js';
import { gatherKernel, scatterKernel, type Unit } from './rows.js';

/** Rows of an axis: `outer` times `length` of them, each `inner` elements; `count` are picked or added to. */
export interface RowShape {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
  readonly count: number;
  /** Whether every outer row has indices of its own. */
  readonly along: boolean;
}

export function launchGather(
  device: Device,
  dtype: Dtype,
  x: DeviceBuffer,
  indices: DeviceBuffer,
  out: DeviceBuffer,
  shape: RowShape,
): void {
  const { outer, length, count, along } = shape;
  const bytes = shape.inner * bytesPerElement[dtype];
  const unit: Unit = bytes % 4 === 0 ? 4 : bytes % 2 === 0 ? 2 : 1;
  const inner = bytes / unit;
  const rows = outer * count;
  const elements = taskElements(device.info);
  const chunk = Math.min(inner, elements);
  const chunks = Math.ceil(inner / chunk);
  const rowsPerTask = Math.max(1, Math.floor(elements / inner));
  const { kernel, pack } = gatherKernel({ unit, single: inner === 1, along });
  const args = pack({ x, indices, out, length, count, inner, rows, rowsPerTask, chunk, chunks });
  device.run(kernel, args, Math.ceil(rows / rowsPerTask) * chunks);
  device.counters.bytesMoved += 2 * rows * bytes + 4 * count * (along ? outer : 1);
}

export function launchScatterAdd(
  device: Device,
  dtype: FloatDtype,
  indices: DeviceBuffer,
  updates: DeviceBuffer,
  out: DeviceBuffer,
  shape: RowShape,
): void {
  const { outer, length, inner, count, along } = shape;
  // a cache line of columns at least, so that tasks do not share one
  const columnsPerTask = Math.min(inner, Math.max(16, 16 * Math.ceil((inner * outer) / (16 * 16))));
  const groups = Math.ceil(inner / columnsPerTask);
  const { kernel, pack } = scatterKernel({ dtype, single: inner === 1, along });
  const args = pack({ indices, updates, out, length, count, inner, columnsPerTask, groups });
  device.run(kernel, args, outer * groups, {
    grain: Math.max(1, Math.floor(taskElements(device.info) / (count * columnsPerTask))),
  });
  device.counters.bytesMoved += outer * count * inner * (bytesPerElement[dtype] + 8) + 4 * count * (along ? outer : 1);
}

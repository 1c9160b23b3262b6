import type { DeviceInfo } from '../devices/device.js';

/**
 * Elements that a task should have at least: on a processor what pays for handing it to a thread; on a GPU, which takes thousands of tasks at
 * a time, a few vectors. It follows the kind of device, never its size: sums are cut where it says, and bits must not depend on more.
 */
export const taskElements = ({ gpu }: Pick<DeviceInfo, 'gpu'>): number => (gpu ? 64 : 16384);

/** Tasks of which no more are wanted, so that what is left need not be cut further. */
export const enoughTasks = ({ gpu }: Pick<DeviceInfo, 'gpu'>, onProcessor: number): number =>
  gpu ? 4096 : onProcessor;

/** Rows a task takes when each is `length` elements. */
export const rowsPerTask = (length: number, info: Pick<DeviceInfo, 'gpu'>): number =>
  Math.max(1, Math.floor(taskElements(info) / length));

/** Neighbouring columns that one task takes, of which each is a sum or a scan: `onProcessor`, or a vector or two. */
export const columnsPerTask = (columns: number, info: Pick<DeviceInfo, 'gpu'>, onProcessor: number): number =>
  Math.min(columns, info.gpu ? 16 : onProcessor);

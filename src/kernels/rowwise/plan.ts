import type { DeviceInfo } from '../../devices/device.js';
import { columnsPerTask, enoughTasks, rowsPerTask, taskElements } from '../task-size.js';

/** The number of tasks that is always enough on a processor. Never the number of threads. */
const ENOUGH = 64;

export interface ReducePlan {
  readonly inner: boolean;
  readonly chunk: number;
  readonly chunks: number;
  readonly perTask: number;
  readonly tasks: number;
}

/** How `[rows, length, columns]` is reduced over `length`: in chunks only where there are few other tasks. */
export function planReduce(rows: number, length: number, columns: number, info: Pick<DeviceInfo, 'gpu'>): ReducePlan {
  const enough = enoughTasks(info, ENOUGH);
  const inner = columns === 1;
  const perTask = inner ? rowsPerTask(length, info) : columnsPerTask(columns, info, 256);
  const tasks = inner ? Math.ceil(rows / perTask) : rows * Math.ceil(columns / perTask);
  const least = Math.max(64, Math.ceil(taskElements(info) / (inner ? 1 : perTask)));
  const chunk =
    tasks >= enough || length <= 2 * least ? length : Math.max(least, 16 * Math.ceil(length / (16 * enough)));
  const chunks = Math.ceil(length / chunk);
  return { inner, chunk, chunks, perTask, tasks: tasks * chunks };
}

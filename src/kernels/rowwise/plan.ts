/** Elements a task should have at least, and the number of tasks that is always enough. Never the number of threads. */
const ELEMENTS = 16384;
const ENOUGH = 64;

export interface ReducePlan {
  readonly inner: boolean;
  readonly chunk: number;
  readonly chunks: number;
  readonly perTask: number;
  readonly tasks: number;
}

/** How `[rows, length, columns]` is reduced over `length`: in chunks only where there are few other tasks. */
export function planReduce(rows: number, length: number, columns: number): ReducePlan {
  const inner = columns === 1;
  const perTask = inner ? Math.max(1, Math.floor(ELEMENTS / length)) : Math.min(columns, 256);
  const tasks = inner ? Math.ceil(rows / perTask) : rows * Math.ceil(columns / perTask);
  const least = Math.max(64, Math.ceil(ELEMENTS / (inner ? 1 : perTask)));
  const chunk =
    tasks >= ENOUGH || length <= 2 * least ? length : Math.max(least, 16 * Math.ceil(length / (16 * ENOUGH)));
  const chunks = Math.ceil(length / chunk);
  return { inner, chunk, chunks, perTask, tasks: tasks * chunks };
}

/** Rows a task takes when each is `length` elements. */
export const rowsPerTask = (length: number): number => Math.max(1, Math.floor(ELEMENTS / length));

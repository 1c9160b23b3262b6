import { OptionError, nearest } from '../../core/errors.js';
import { copy } from './copy.js';
import { listops } from './listops.js';
import { needle } from './needle.js';
import { recall } from './recall.js';
import type { Task, TaskOptions } from './task.js';

/** Tasks with known answers, by name. */
export const tasks: Readonly<Record<string, Task>> = Object.fromEntries(
  [copy, recall, needle, listops].map((task) => [task.name, task]),
);

/** @throws OptionError for an unknown name. */
export function taskOf(name: string): Task {
  const task = Object.hasOwn(tasks, name) ? tasks[name] : undefined;
  if (task !== undefined) return task;
  const known = Object.keys(tasks);
  const guess = nearest(name, known);
  const hint = guess === undefined ? '' : ` (did you mean "${guess}"?)`;
  throw new OptionError(`task: unknown task "${name}"${hint}; known tasks: ${known.join(', ')}.`);
}

/**
 * Samples `B·step … B·step + B − 1` of a task, as rows: tokens and targets `[B, L]`.
 *
 * @throws OptionError for numbers out of range.
 */
export function taskBatch(
  task: Task,
  { seed, batchSize, length, ...options }: TaskOptions & { seed: number; batchSize: number; length: number },
  step: number,
): { readonly tokens: Int32Array; readonly targets: Int32Array } {
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new OptionError(`task ${task.name}: batchSize must be a whole number of at least 1; got ${batchSize}.`);
  }
  const tokens = new Int32Array(batchSize * length);
  const targets = new Int32Array(batchSize * length);
  for (let row = 0; row < batchSize; row++) {
    const sample = task.sample(seed, step * batchSize + row, length, options);
    tokens.set(sample.tokens, row * length);
    targets.set(sample.targets, row * length);
  }
  return { tokens, targets };
}

export { evaluateListOps } from './listops.js';
export { NOTHING_ASKED, type Sample, type Task, type TaskOptions } from './task.js';

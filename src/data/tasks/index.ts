import { OptionError } from '../../core/errors.js';
import { unknown } from '../../core/names.js';
import { anything, checkValue, checkValues, having, int32From, wholeFrom } from '../../core/requirements.js';
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
  const task = typeof name === 'string' && Object.hasOwn(tasks, name) ? tasks[name] : undefined;
  if (task !== undefined) return task;
  throw new OptionError(`task: ${unknown('task', [name], Object.keys(tasks))}.`);
}

const MOST = 2 ** 31 - 1;
const extent = int32From(1);
// options of the task are looked at by the task
const requirements = { seed: wholeFrom(0), batchSize: extent, length: extent, depth: anything, filler: anything };

/**
 * Samples `B·step … B·step + B − 1` of a task, as rows: tokens and targets `[B, L]`.
 *
 * @throws OptionError for numbers out of range.
 */
export function taskBatch(
  task: Task,
  given: TaskOptions & { seed: number; batchSize: number; length: number },
  step: number,
): { readonly tokens: Int32Array; readonly targets: Int32Array } {
  checkValue('taskBatch', 'task', task, having('a task, as taskOf knows', 'sample'));
  const who = `task ${task.name}`;
  checkValues(who, given, requirements, ['seed', 'batchSize', 'length']);
  checkValue(who, 'step', step, wholeFrom(0));
  const { seed, batchSize, length, ...options } = given;
  if (batchSize * length > MOST) {
    throw new OptionError(`${who}: a batch has at most 2^31 - 1 tokens; got ${batchSize} times ${length}.`);
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

import { bytesPerElement } from '../core/dtype.js';
import type { Shape } from '../core/shape.js';
import { copy, copyScratch, type ElementBytes } from '../kernels/copy/cpu.js';
import { planCopy } from '../kernels/copy/plan.js';
import { taskElements } from '../kernels/task-size.js';
import { writable, type Tensor } from './tensor.js';

/** A walk through a tensor: where it begins, and its steps along each axis of the copied shape, in elements. */
export interface Walk {
  readonly offset: number;
  readonly steps: readonly number[];
}

/** Copies `shape` elements from one tensor to places of another of the same dtype; nothing is recorded. */
export function runCopy(shape: Shape, source: Tensor, from: Walk, target: Tensor, to: Walk): void {
  const bytes = bytesPerElement[target.dtype] as ElementBytes;
  const plan = planCopy(shape, from.steps, to.steps, taskElements(target.device.info));
  const { axes } = plan;
  const numbers = [
    ...axes.map((axis) => axis.extent),
    ...axes.map((axis) => axis.source),
    ...axes.map((axis) => axis.target),
  ];
  const args = [
    { buffer: source.buffer, byteOffset: bytes * from.offset },
    { buffer: writable(target), byteOffset: bytes * to.offset },
    plan.units,
    plan.perTask,
    ...numbers,
  ];
  const scratchBytes = copyScratch(plan.mode, bytes);
  target.device.run(copy(plan.mode, bytes, axes.length), args, plan.tasks, { scratchBytes });
  target.device.counters.bytesMoved += 2 * bytes * shape.reduce((size, extent) => size * extent, 1);
}

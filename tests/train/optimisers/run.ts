import { expect } from 'vitest';
import type { Device } from '../../../src/devices/index.js';
import { disposeAll, tensor, type Tensor } from '../../../src/tensor/index.js';
import type { NamedTensors, Optimiser } from '../../../src/train/optimisers/index.js';
import { expectClose, type Numbers } from '../../support/compare.js';
import { exact } from '../../support/operation.js';
import { generator, uniform } from '../../support/random.js';
import type { Reference } from './reference.js';

export const sizeOf = (shape: readonly number[]): number => shape.reduce((size, extent) => size * extent, 1);

export type Make = (parameters: NamedTensors) => Optimiser;

/** Named by their shapes. */
export function parametersOf(device: Device, shapes: readonly (readonly number[])[], seed = 1): [string, Tensor][] {
  return shapes.map((shape, i) => [
    `p${shape.join('x')}`,
    tensor(uniform(seed + i, sizeOf(shape)), shape, { device, requiresGradient: true, category: 'parameter' }),
  ]);
}

/** Gradients of step `step`, of sizes from 0.01 to 1. */
export function gradientsOf(device: Device, parameters: NamedTensors, step: number, seed = 1): Tensor[] {
  return parameters.map(([, { shape, size }], i) => {
    const scale = 10 ** (-2 * generator(seed + 100 * step + i)());
    return tensor(uniform(seed + 7919 * step + i, size, -scale, scale), shape, { device });
  });
}

/** Steps `from … to`, counted from 1. */
export function steps(optimiser: Optimiser, parameters: NamedTensors, from: number, to: number, rate = 0.01): void {
  for (let step = from; step <= to; step++) {
    const gradients = gradientsOf(parameters[0]![1].device, parameters, step);
    optimiser.step(gradients, { learningRate: rate });
    disposeAll(gradients);
  }
}

export const dataOf = (parameters: NamedTensors): Promise<Numbers[]> =>
  Promise.all(parameters.map(([, parameter]) => parameter.data()));

/** 20 steps against the papers' formulas, on tensors of several ranks; the rate changes from step to step. */
export async function checkAgainst(
  device: Device,
  make: Make,
  reference: (shape: readonly number[]) => Reference,
): Promise<void> {
  const shapes = [[], [37], [5, 7], [2, 3, 4]];
  const parameters = parametersOf(device, shapes);
  const before = await dataOf(parameters);
  const optimiser = make(parameters);
  const rates = Array.from({ length: 20 }, (_, i) => 0.05 / (1 + (i % 5)));
  const gradients: Numbers[][] = [];
  for (const [i, learningRate] of rates.entries()) {
    const given = gradientsOf(device, parameters, i + 1);
    gradients.push(await Promise.all(given.map((gradient) => gradient.data())));
    optimiser.step(given, { learningRate });
    disposeAll(given);
  }
  expect(optimiser.steps).toBe(20);
  for (const [i, [name, parameter]] of parameters.entries()) {
    const own = gradients.map((all) => all[i]!);
    const follow = (r: (x: number) => number): Numbers =>
      reference(parameter.shape)(r, parameter.shape, before[i]!, own, rates);
    expectClose(`${optimiser.name} ${name}`, await parameter.data(), follow(exact), { budget: follow(Math.fround) });
  }
  optimiser.dispose();
  disposeAll(parameters);
}

/** One step from `start` with one gradient; the numbers after it. */
export async function oneStep(
  device: Device,
  make: Make,
  start: Numbers,
  gradients: readonly Numbers[],
  learningRate: number,
  shape: readonly number[] = [start.length],
): Promise<Numbers> {
  const parameter = tensor(start, shape, { device });
  const optimiser = make([['p', parameter]]);
  for (const numbers of gradients) {
    const gradient = tensor(numbers, shape, { device });
    optimiser.step([gradient], { learningRate });
    gradient.dispose();
  }
  const after = await parameter.data();
  optimiser.dispose();
  parameter.dispose();
  return after;
}

import { checkpoint, type Tensor } from '../tensor/index.js';
import type { Module } from './module.js';

/**
 * `f(...inputs)`, where `f` uses parameters of `module` and below, kept as a checkpoint: the backward pass computes `f` again. It
 * then sees the parameters and the training step of this call, whatever they have become since, so dropout drops the same.
 * (Chen et al. 2016, arXiv:1604.06174.)
 */
export function recompute(
  module: Module,
  f: (...inputs: Tensor[]) => readonly Tensor[],
  inputs: readonly Tensor[],
): readonly Tensor[] {
  const parameters = [...module.namedParameters().values()].map(({ value }) => value);
  const trainings = module.modules().map(({ training }) => training);
  return checkpoint(
    (...all) => module.during(all.slice(inputs.length), trainings, () => f(...all.slice(0, inputs.length))),
    [...inputs, ...parameters],
  );
}

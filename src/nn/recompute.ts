import { checkpoint, type Tensor } from '../tensor/index.js';
import type { Module } from './module.js';
import { Moment } from './moment.js';

/**
 * `f(...inputs)`, where `f` uses parameters of `modules` and below, kept as a checkpoint: the backward pass computes `f` again. It
 * then sees the parameters and the training step of this call, whatever they have become since, so dropout drops the same; what
 * is `decided` is not decided again. (Chen et al. 2016, arXiv:1604.06174.)
 */
export function recompute(
  modules: Module | readonly Module[],
  f: (...inputs: Tensor[]) => readonly Tensor[],
  inputs: readonly Tensor[],
): readonly Tensor[] {
  const moment = new Moment([modules].flat());
  const count = inputs.length;
  return checkpoint(
    (...all) => moment.during(all.slice(count), () => f(...all.slice(0, count))),
    [...inputs, ...moment.values],
  );
}

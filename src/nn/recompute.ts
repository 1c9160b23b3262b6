import { callable, checkValue } from '../core/requirements.js';
import { checkpoint, checkTensors, type Tensor } from '../tensor/index.js';
import { someModules, type Module } from './module.js';
import { Moment } from './moment.js';

/**
 * `f(...inputs)`, where `f` uses parameters of `modules` and below, kept as a checkpoint: the backward pass computes `f` again. It
 * then sees the parameters and the training step of this call, whatever they have become since, so dropout drops the same; what
 * is `decided` is not decided again. (Chen et al. 2016, arXiv:1604.06174.)
 *
 * @throws OptionError for what are no modules, no function or no tensors.
 */
export function recompute(
  modules: Module | readonly Module[],
  f: (...inputs: Tensor[]) => readonly Tensor[],
  inputs: readonly Tensor[],
): readonly Tensor[] {
  const all = [modules].flat() as readonly Module[];
  checkValue('recompute', 'modules', all, someModules);
  checkValue('recompute', 'f', f, callable);
  checkTensors('recompute', 'inputs', inputs);
  const moment = new Moment(all);
  const count = inputs.length;
  return checkpoint(
    (...given) => moment.during(given.slice(count), () => f(...given.slice(0, count))),
    [...inputs, ...moment.values],
  );
}

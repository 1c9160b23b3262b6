import { callable, checkValue } from '../core/requirements.js';
import { checkTensors, recompute as recomputeTensors, type Tensor } from '../tensor/index.js';
import { someModules, type Module } from './module.js';
import { Moment } from './moment.js';

/**
 * `f(...inputs)`, where `f` uses parameters of `modules` and below, of which nothing but the inputs is kept: the backward pass computes `f` again. It
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
  return recomputeTensors(
    (...given) => moment.during(given.slice(count), () => f(...given.slice(0, count))),
    [...inputs, ...moment.values],
  );
}

import { checkValue, wholeFrom } from '../core/requirements.js';
import { checkTensors, commonDevice, scope, type Tensor } from '../tensor/index.js';
import { layersWith, type Module } from './module.js';
import { recompute } from './recompute.js';

/** A layer of a stack that is kept in groups. */
export interface CheckpointedLayer {
  /** Whatever has parameters or dropout that `forward` uses; a module may belong to several layers. */
  readonly modules: readonly Module[];
  /** Of the layer before and what all layers are given. */
  readonly forward: (x: Tensor, ...given: Tensor[]) => Tensor;
}

/**
 * Layers one after the other, of which the backward pass computes `every` at a time again: `layers[L−1](… layers[0](x))`. Between
 * the passes only what goes into each group is kept, and in the backward pass what one group keeps comes on top, so L layers
 * take about `L/every + every` times what one takes, the least where `every` is √L. The last group, of which there may be less than
 * `every`, is kept as it is, since its backward pass comes at once. What all layers read besides, such as an encoder's output, is
 * `given`. (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174.)
 *
 * @throws OptionError unless `every` is a whole number of at least 1, and for what are no layers or no tensors.
 */
export function checkpointed(
  layers: readonly CheckpointedLayer[],
  every: number,
  x: Tensor,
  given: readonly Tensor[] = [],
): Tensor {
  checkValue('checkpointed', 'layers', layers, layersWith('forward'));
  checkValue('checkpointed', 'every', every, wholeFrom(1));
  checkTensors('checkpointed', 'given', given);
  commonDevice('checkpointed', [x, ...given]);
  return scope(() => {
    let out = x;
    for (let start = 0; start < layers.length; start += every) {
      const group = layers.slice(start, start + every);
      const modules = group.flatMap((layer) => layer.modules);
      const run = (input: Tensor, ...rest: Tensor[]): Tensor => through(group, input, rest);
      const last = start + every >= layers.length;
      const next = last
        ? run(out, ...given)
        : recompute(modules, (input, ...rest) => [run(input, ...rest)], [out, ...given])[0]!;
      // the tape keeps what it needs
      if (out !== x && out !== next) out.dispose();
      out = next;
    }
    return out;
  });
}

function through(group: readonly CheckpointedLayer[], x: Tensor, given: readonly Tensor[]): Tensor {
  let out = x;
  for (const { forward } of group) {
    const next = forward(out, ...given);
    if (out !== x && out !== next) out.dispose();
    out = next;
  }
  return out;
}

import { checkValue, wholeFrom } from '../core/requirements.js';
import { checkTensors, commonDevice, scope, type Tensor } from '../tensor/index.js';
import { layersWith, type Module } from './module.js';
import { besideOf, besideWith, outcomeOf, tensorsBeside, type Beside, type Outcome } from './outcome.js';
import { recompute } from './recompute.js';

/** A layer of a stack that is kept in groups. */
export interface CheckpointedLayer<R extends Tensor | Outcome = Tensor> {
  /** Whatever has parameters or dropout that `forward` uses; a module may belong to several layers. */
  readonly modules: readonly Module[];
  /** Tensors that this layer reads besides, such as its state. */
  readonly given?: readonly Tensor[];
  /** Of the layer before, its own `given`, and what all layers are given. */
  readonly forward: (x: Tensor, ...given: Tensor[]) => R;
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
  return checkpointedOutcome(layers, every, x, given).stream;
}

/** `checkpointed` for layers that give more than a stream: what they give beside it comes together. */
export function checkpointedOutcome(
  layers: readonly CheckpointedLayer<Tensor | Outcome>[],
  every: number,
  x: Tensor,
  given: readonly Tensor[] = [],
): Outcome {
  checkValue('checkpointed', 'layers', layers, layersWith('forward'));
  checkValue('checkpointed', 'every', every, wholeFrom(1));
  checkTensors('checkpointed', 'given', given);
  commonDevice('checkpointed', [x, ...given]);
  return scope(() => {
    let stream = x;
    const beside: Beside[] = [];
    for (let start = 0; start < layers.length; start += every) {
      const group = layers.slice(start, start + every);
      const last = start + every >= layers.length;
      const next = last ? through(group, stream, given) : again(group, stream, given);
      // the tape keeps what it needs
      if (stream !== x && stream !== next.stream) stream.dispose();
      stream = next.stream;
      beside.push(next);
    }
    return { ...besideOf(beside), stream };
  });
}

/** A group that the backward pass computes again. */
function again(group: readonly CheckpointedLayer<Tensor | Outcome>[], x: Tensor, given: readonly Tensor[]): Outcome {
  const modules = group.flatMap((layer) => layer.modules);
  const own = group.flatMap((layer) => layer.given ?? []);
  let beside: Beside | undefined;
  const run = (input: Tensor, ...rest: Tensor[]): Tensor[] => {
    let next = given.length;
    const placed = group.map((layer) => ({
      ...layer,
      given: layer.given?.map(() => rest[next++]!) ?? [],
    }));
    const outcome = through(placed, input, rest.slice(0, given.length));
    beside ??= outcome;
    return [outcome.stream, ...tensorsBeside(outcome)];
  };
  const [stream, ...tensors] = recompute(modules, run, [x, ...given, ...own]);
  return { ...besideWith(beside!, tensors), stream: stream! };
}

function through(group: readonly CheckpointedLayer<Tensor | Outcome>[], x: Tensor, given: readonly Tensor[]): Outcome {
  let stream = x;
  const all = group.map((layer) => {
    const outcome = outcomeOf('checkpointed: a layer', layer.forward(stream, ...(layer.given ?? []), ...given));
    if (stream !== x && stream !== outcome.stream) stream.dispose();
    ({ stream } = outcome);
    return outcome;
  });
  return { ...besideOf(all), stream };
}

import { select, variable } from '../../codegen/expression/index.js';
import { map, reshape } from '../../ops/index.js';
import { operation, share, tensor, type Tensor } from '../../tensor/index.js';

const [x0, x1] = [variable('x0', 'i32'), variable('x1', 'i32')];
const isEqual = select(x0.eq(x1), 1, 0);

/** `[..., n]`, f32: 1 where the last axis is at `choice [...]`, i32, and 0 elsewhere. */
export function oneHot(choice: Tensor, n: number): Tensor {
  const places = tensor(
    Int32Array.from({ length: n }, (_, i) => i),
    [n],
    { device: choice.device },
  );
  return map(isEqual, reshape(choice, [...choice.shape, 1]), places);
}

/**
 * The numbers of `value`, with the gradient of `of`: what is chosen counts in the forward pass, and the weights that it was chosen by learn as if
 * they had. (Bengio, Léonard, Courville 2013, arXiv 1308.3432.) Both f32 of one shape.
 */
export function straightThrough(value: Tensor, of: Tensor): Tensor {
  const out = share(value);
  operation('straightThrough', [of], [out], ([d]) => [share(d!)]);
  return out;
}

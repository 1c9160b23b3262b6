import { ShapeError } from '../core/errors.js';
import { lookup } from '../codegen/expression/index.js';
import { Score } from './score.js';
import { checkTensor, tensorTable, type TensorLike } from './tensor.js';

/**
 * Adds a tensor: `score + bias[b, h, i, k]`, where i = q − (S − L) is the query's row. `bias` is `[B|1, H|1, L|1, S|1]`;
 * leading dimensions may be left out. Its gradient is summed over the dimensions it is spread over.
 *
 * @throws ShapeError where the tensor's shape does not fit the attention's.
 */
export function bias(tensor: TensorLike): Score {
  checkTensor('bias', 'bias', tensor);
  if (tensor.shape.length > 4)
    throw new ShapeError(`bias: must have at most 4 dimensions; got [${tensor.shape.join(',')}].`);
  const full = [...Array<number>(4 - tensor.shape.length).fill(1), ...tensor.shape];
  return new Score('bias(tensor)', ({ score, b, h, q, k }, { B, H, L, S }) => {
    if (![B, H, L, S].every((extent, dim) => full[dim] === 1 || full[dim] === extent)) {
      throw new ShapeError(
        `bias: must be [B|1,H|1,L|1,S|1]; got bias=[${tensor.shape.join(',')}] with B=${B}, H=${H}, L=${L}, S=${S}.`,
      );
    }
    const used = full.map((extent, dim) => extent !== 1 || dim === 3);
    const index = [b, h, q.sub(S - L), full[3] === 1 ? 0 : k].filter((_, dim) => used[dim]);
    const shape = full.filter((_, dim) => used[dim]);
    return score.add(lookup(tensorTable('bias', 'bias', tensor, shape), ...index));
  });
}

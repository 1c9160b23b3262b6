import { reshape } from '../ops/index.js';
import { scope, type Tensor } from '../tensor/index.js';

/** `f` of the rows of `x [..., D]`, as `[N, D] → [N, E]`; gives `[..., E]`. */
export function rowsOf(x: Tensor, f: (rows: Tensor) => Tensor): Tensor {
  if (x.rank === 2) return f(x);
  return scope(() => {
    const out = f(reshape(x, [-1, x.shape.at(-1)!]));
    return reshape(out, [...x.shape.slice(0, -1), out.shape[1]!]);
  });
}

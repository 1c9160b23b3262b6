import { where } from '../../ops/index.js';
import { tensor, type Tensor } from '../../tensor/index.js';

/**
 * `x` `[B, …, n, columns]` with `value` after the first `lengths[b]` rows, so that sums over rows do not meet what stands there, nor
 * a softmax where it is −∞.
 */
export function withoutPadding(x: Tensor, lengths: readonly number[] | undefined, value = 0): Tensor {
  if (lengths === undefined) return x;
  const [B, n] = [x.shape[0]!, x.shape.at(-2)!];
  const real = Float32Array.from({ length: B * n }, (_, i) => Number(i % n < lengths[Math.floor(i / n)]!));
  const between = x.shape.slice(1, -2).map(() => 1);
  return where(tensor(real, [B, ...between, n, 1], { device: x.device }), x, value);
}

import { where } from '../../ops/index.js';
import { tensor, type Tensor } from '../../tensor/index.js';

/** `x` `[B, heads, n, columns]` with zeros after the first `lengths[b]` rows, so that sums over rows do not meet what stands there. */
export function withoutPadding(x: Tensor, lengths: readonly number[] | undefined): Tensor {
  if (lengths === undefined) return x;
  const [B, , n] = x.shape as [number, number, number, number];
  const real = Float32Array.from({ length: B * n }, (_, i) => Number(i % n < lengths[Math.floor(i / n)]!));
  return where(tensor(real, [B, 1, n, 1], { device: x.device }), x, 0);
}

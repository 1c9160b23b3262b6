import { cast, mul, reshape, sigmoid, sub } from '../ops/index.js';
import { scope, type Tensor } from '../tensor/index.js';

/**
 * What attention gives where each head has a further key of value 0 whose score is learned: `out_i = Σ_j exp(s_ij) v_j / (exp(z_h) + Σ_j
 * exp(s_ij))`, which is what it gives without one times `σ(logsumexp_i − z_h)`. `out [B, H, L, E]`, `logsumexp [B, H, L]`, `sinks [H]`.
 * (Xiao et al. 2023, arXiv 2309.17453, section 3.3; GPT-OSS, 2025, arXiv 2508.10925.)
 */
export function withSinks(out: Tensor, logsumexp: Tensor, sinks: Tensor): Tensor {
  const [B, H, L] = logsumexp.shape as [number, number, number];
  return scope(() => {
    const kept = sigmoid(sub(logsumexp, reshape(sinks, [H, 1])));
    return mul(out, cast(reshape(kept, [B, H, L, 1]), out.dtype));
  });
}

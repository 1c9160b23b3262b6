import { constant, variable, type F32 } from '../../codegen/expression/index.js';
import { choleskyInverse, cumulativeSum, map, matmul, mul, reshape, square, sum } from '../../ops/index.js';
import { scope, tensor, type Tensor } from '../../tensor/index.js';

const [x0, x1, x2] = [0, 1, 2].map((i) => variable(`x${i}`, 'f32')) as [F32, F32, F32];
// where all keys are 0 there is something to divide by still
const least = 1e-30;
/** Rounds of the fixed point of Lewis weights, whose error shrinks by |1 − p/2| each. */
export const lewisRounds = 20;

/**
 * τ_j = k_jᵀ·(KᵀK + λ·I)⁻¹·k_j of the rows of `k` `[B,G,T,b,D]`, `[B,G,T,b]`, where K are the rows of the blocks up to that of j, and λ the
 * `ridge` times the trace of KᵀK. With one block these are the leverage scores, whose sum is the rank of K where λ is 0.
 *
 * @throws NumericsError where KᵀK + λ·I is singular: the ridge is too small.
 */
export function leverage(k: Tensor, ridge: number, weights?: Tensor): Tensor {
  const D = k.shape[4]!;
  return scope(() => {
    const { device } = k;
    const weighed = weights ? mul(k, weights) : k;
    const blocks = matmul(weighed, k, { transposeA: true });
    const gram = k.shape[2] === 1 ? blocks : cumulativeSum(blocks, { axis: 2 });
    const identity = tensor(
      Float32Array.from({ length: D * D }, (_, i) => Number(i % (D + 1) === 0)),
      [D, D],
      { device },
    );
    const trace = sum(mul(gram, identity), { axes: [-2, -1], keepDims: true });
    const whitening = choleskyInverse(map(x0.add(x1.mul(ridge).add(least).mul(x2)), gram, trace, identity));
    return sum(square(matmul(k, whitening, { transposeB: true })), { axes: -1 });
  });
}

/**
 * Lewis weights of the rows for the norm ℓ_p: the fixed point of `w_j = (k_jᵀ·(Kᵀ·W^(1−2/p)·K)⁻¹·k_j)^(p/2)`, p < 4, from w = 1. For
 * p = 2 leverage. (Cohen, Peng 2015, arXiv:1412.0588.)
 */
export function lewisWeights(k: Tensor, ridge: number, p: number): Tensor {
  const power = (x: Tensor, exponent: number): Tensor =>
    map(x0.max(constant(least, 'f32')).log().mul(exponent).exp(), x);
  return scope(() => {
    let weights = power(leverage(k, ridge), p / 2);
    for (let round = 1; round < lewisRounds; round++) {
      const shape = [...weights.shape, 1];
      weights = power(leverage(k, ridge, reshape(power(weights, 1 - 2 / p), shape)), p / 2);
    }
    return weights;
  });
}

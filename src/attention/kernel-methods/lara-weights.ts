import {
  concat,
  log,
  logsumexp,
  map,
  matmul,
  mean,
  mul,
  reshape,
  softmax,
  square,
  sum,
  transpose,
} from '../../ops/index.js';
import { full, type Tensor } from '../../tensor/index.js';
import { firstOf } from '../low-rank/padding.js';
import { norms } from './from-vectors.js';

/** Queries `[B, H, L, D]`, the first `real` of which are no padding, and what samples `vectors` `[B, H, n, D]` were drawn about. */
interface Sampled {
  readonly q: Tensor;
  readonly real: number;
  /** `[B, H, C, D]` of queries, and of queries and keys; n is a multiple of C. */
  readonly queryMeans: Tensor;
  readonly means: Tensor;
  readonly vectors: Tensor;
}

/** a·bᵀ */
export const times = (a: Tensor, b: Tensor): Tensor => matmul(a, b, { transposeB: true });

/** What weighs samples in multiple importance sampling. */
export function sampleWeights(
  { q, real, queryMeans, means, vectors }: Sampled,
  { weighting, coefficient }: { readonly weighting: 'optimal' | 'balanced' | 'biased'; readonly coefficient: number },
  scale: number,
): {
  /** ln p_c, `[B, H, n]`. */
  readonly density: Tensor;
  /** ln α, `[B, H, L, n]`, where it is not 0. */
  readonly preference?: Tensor;
} {
  const rounds = vectors.shape[2]! / means.shape[2]!;
  const repeat = (x: Tensor, axis: number): Tensor =>
    rounds === 1 ? x : concat(new Array<Tensor>(rounds).fill(x), { axis });
  if (weighting !== 'optimal') {
    const density = logsumexp(logDensity(means, vectors, scale), { axes: -1 });
    return weighting === 'balanced' ? { density } : { density, preference: repeat(mul(times(q, means), scale), -1) };
  }
  const own = repeat(means, 2); // that of each sample
  const density = map(
    (product, norm) => product.sub(norm.mul(0.5)).mul(scale),
    sum(mul(vectors, own), { axes: -1 }),
    sum(square(own), { axes: -1 }),
  );
  const all = logsumexp(logDensity(own, vectors, scale), { axes: -1 });
  const balance = map((one, total) => one.sub(total).exp(), density, all);
  // of every proposal, the share of each query: [B, H, real, C]
  const shares = softmax(mul(times(firstOf(q, 2, real), queryMeans), scale), { axis: 2 });
  const centred = map(
    (share, average) => share.sub(average).mul(coefficient),
    shares,
    mean(shares, { axes: -1, keepDims: true }),
  );
  const [B, H, n] = density.shape as [number, number, number];
  const alpha = map((x, y) => x.add(y).max(1e-8), repeat(centred, -1), reshape(balance, [B, H, 1, n]));
  // of queries that are padding nothing is asked
  const missing = q.shape[2]! - real;
  const rest = missing > 0 ? [full([B, H, missing, n], 0, { device: q.device })] : [];
  return { density, preference: concat([log(alpha), ...rest], { axis: 2 }) };
}

/** scale·(ω·x − ‖x‖²/2) of vectors ω and rows x, `[..., n, rows]`. */
const logDensity = (x: Tensor, vectors: Tensor, scale: number): Tensor =>
  map((product, norm) => product.sub(norm.mul(0.5)).mul(scale), times(vectors, x), transpose(norms(x)));

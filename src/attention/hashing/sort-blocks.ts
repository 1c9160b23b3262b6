import { constant, select, variable, type F32 } from '../../codegen/expression/index.js';
import {
  concat,
  cumulativeSum,
  exp,
  gatherRows,
  logsumexp,
  map,
  matmul,
  mul,
  reshape,
  slice,
  softmax,
  sub,
  takeAlong,
  topK,
} from '../../ops/index.js';
import { decided, noGradient, scope, tensor, type Tensor } from '../../tensor/index.js';

const [x0, x1, x2] = [0, 1, 2].map((i) => variable(`x${i}`, 'f32')) as [F32, F32, F32];

/**
 * e^r with rows and then columns divided by their sums, `iterations` times: of `r` `[...,N,N]`, in logarithms. Its limit is doubly
 * stochastic. (Sinkhorn 1964; Mena et al. 2018, arXiv:1802.08665, equation 3.)
 */
export function sinkhorn(r: Tensor, iterations: number): Tensor {
  return scope(() => {
    let log = r;
    for (let i = 0; i < iterations; i++) {
      log = sub(log, logsumexp(log, { axes: -1, keepDims: true }));
      log = sub(log, logsumexp(log, { axes: -2, keepDims: true }));
    }
    return exp(log);
  });
}

// the first number of a column is 1 in its own unit; one far above it has the column for itself as well
const inUnits = x0.sub(x1).min(80);
const share = x0.sub(select(x1.gt(0), x1, 1).log());

/**
 * `sinkhorn` of `r` `[B,H,N,N]` that is −∞ above the diagonal, in which the sum of a column goes as far as the row: no row depends on
 * later ones. (Tay et al. 2020, arXiv:2002.11296, section 3.3.)
 */
export function causalSinkhorn(r: Tensor, iterations: number): Tensor {
  const [B, H, N] = r.shape as [number, number, number];
  return scope(() => {
    const diagonal = tensor(
      Int32Array.from({ length: B * H * N }, (_, i) => i % N),
      [B, H, N, 1],
      { device: r.device },
    );
    let log = r;
    for (let i = 0; i < iterations; i++) {
      log = sub(log, logsumexp(log, { axes: -1, keepDims: true }));
      const own = map(inUnits, log, reshape(takeAlong(log, diagonal), [B, H, 1, N]));
      log = map(share, own, cumulativeSum(exp(own), { axis: 2 }));
    }
    return exp(log);
  });
}

/** Which blocks a sorted list has, and how much of them. */
export type Order =
  | { readonly sorting: 'sinkhorn'; readonly weights: Tensor }
  | {
      readonly sorting: 'topK';
      /** `[B,H,N,count]`, the share of each among those that were not chosen before it. */
      readonly weights: Tensor;
      /** i32 `[B,H,N,count]` */
      readonly blocks: Tensor;
    };

/** The `count` largest of each row of `r` `[B,H,N,M]`, each with its softmax among itself and smaller ones. */
export function largest(r: Tensor, count: number): Order {
  const M = r.shape[3]!;
  return scope(() => {
    const blocks = decided(() => [scope(() => topK(r, count).indices)])[0]!;
    const number = tensor(
      Float32Array.from({ length: M }, (_, j) => j),
      [M],
      { device: r.device },
    );
    const chosen = Array.from({ length: count }, (_, i) => slice(blocks, { axis: 3, start: i, end: i + 1 }));
    let left = r;
    const weights = chosen.map((one, i) => {
      if (i > 0) left = map(select(x1.eq(x2), constant(-Infinity, 'f32'), x0), left, number, chosen[i - 1]!);
      return takeAlong(softmax(left), one);
    });
    return { sorting: 'topK', blocks, weights: count === 1 ? weights[0]! : concat(weights, { axis: 3 }) };
  });
}

/** The first `rows` sorted blocks of `x` `[B,H,M,columns]`: `[B,H,rows·count,columns]`. */
export function sortBlocks(x: Tensor, order: Order, rows: number): Tensor {
  const first = (y: Tensor): Tensor => (y.shape[2] === rows ? y : slice(y, { axis: 2, end: rows }));
  return scope(() => {
    const weights = first(order.weights);
    if (order.sorting === 'sinkhorn') return matmul(weights, x);
    const [B, H, , count] = weights.shape as [number, number, number, number];
    const blocks = noGradient(() => reshape(first(order.blocks), [B, H, rows * count]));
    return mul(gatherRows(x, blocks), reshape(weights, [B, H, rows * count, 1]));
  });
}

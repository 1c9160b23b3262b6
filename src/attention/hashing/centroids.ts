import { select, variable, type F32 } from '../../codegen/expression/index.js';
import {
  add,
  argmax,
  broadcastTo,
  gatherRows,
  layerNorm,
  map,
  matmul,
  scatterRows,
  square,
  sub,
  sum,
} from '../../ops/index.js';
import { full, noGradient, scope, type Tensor } from '../../tensor/index.js';
import type { Call, ForwardResult } from '../define.js';
import { integer, number, type AttentionShape, type OptionValues } from '../options.js';
import { drawn, normalOf, type ParameterSpec } from '../parameters.js';
import { realKeys } from '../real-keys.js';

/** Options of centroids that follow their members. */
export const centroidOptions = {
  numClusters: integer({
    min: 1,
    default: ({ L }) => Math.round(Math.sqrt(L)),
    help: 'clusters of tokens, of each head',
  }),
  decay: number({ min: 0, max: 1, default: 0.999, help: 'how much of a centroid stays, in each step of training' }),
  commitment: number({ min: 0, default: 1e-4, help: 'weight of the loss that draws tokens to their centroids' }),
};
type CentroidOptions = OptionValues<typeof centroidOptions>;

export const centroidParameters = (
  { H, D }: AttentionShape,
  { numClusters }: CentroidOptions,
): Record<'centroids', ParameterSpec> => ({ centroids: drawn([H, numClusters, D], normalOf()) });

export const refuseCentroids = ({ L, D }: AttentionShape, { numClusters }: CentroidOptions): readonly string[] =>
  [
    numClusters > L && `numClusters must be at most the ${L} queries; got ${numClusters}`,
    D < 3 && `heads must be of size 3 at least, as clusters are of layer-normalised tokens; got ${D}`,
  ].filter((fault) => fault !== false);

/** Tokens that are clustered: `[B,H,n,D]`, of which the first `lengths[b]` are no padding. */
export interface Tokens {
  readonly x: Tensor;
  readonly lengths: readonly number[] | undefined;
}

/** Tokens without their mean and of length √D; 0 for padding. */
export const directions = ({ x, lengths }: Tokens): Tensor => layerNorm(realKeys(x, lengths));

/** How near each token is to each centroid `[H,C,D]`: `[B,H,C,n]`. */
export const nearness = (tokens: Tokens, centroids: Tensor): Tensor =>
  matmul(centroids, directions(tokens), { transposeB: true });

/** The nearest centroid of each token, from `nearness`: i32 `[B,H,n]`. */
export const nearestOf = (scores: Tensor): Tensor => argmax(scores, { axis: 2 });

/** Tokens and their clusters, i32 `[B,H,n]`. */
export interface Members extends Tokens {
  readonly nearest: Tensor;
}

type CentroidCall = Pick<Call, 'losses' | 'training'> & {
  readonly options: CentroidOptions;
  readonly parameters: { readonly centroids: Tensor };
};

/**
 * What centroids μ give beside an output: as a loss `commitment · mean (x − μ)²` over all numbers of all tokens x and their nearest
 * centroids, where it is asked for; and in training their next values, `decay · μ + (1 − decay) · the mean of μ's members`, and μ where
 * there are none. (van den Oord et al. 2017, arXiv:1711.00937, equation 3 and appendix A.)
 */
export function besideCentroids(
  { losses, training, options, parameters: { centroids } }: CentroidCall,
  members: readonly Members[],
): Pick<ForwardResult<'centroids'>, 'losses' | 'updates'> {
  return {
    ...(losses && { losses: { commitment: commitmentOf(centroids, members, options) } }),
    ...(training && { updates: { centroids: noGradient(() => moved(centroids, members, options)) } }),
  };
}

function commitmentOf(centroids: Tensor, members: readonly Members[], { commitment }: CentroidOptions): Tensor {
  return scope(() => {
    const distances = members.map((tokens) => {
      const [B] = tokens.x.shape as [number];
      const own = gatherRows(broadcastTo(centroids, [B, ...centroids.shape]), tokens.nearest);
      return sum(square(realKeys(sub(directions(tokens), own), tokens.lengths)));
    });
    const count = members.reduce((total, { x, lengths }) => {
      const [B, H, n, D] = x.shape as [number, number, number, number];
      const rows = lengths ? lengths.reduce((a, b) => a + b) : B * n;
      return total + rows * H * D;
    }, 0);
    return map((x) => x.mul(commitment / count), distances.reduce(add));
  });
}

const [x0, x1, x2] = [0, 1, 2].map((i) => variable(`x${i}`, 'f32')) as [F32, F32, F32];

function moved(centroids: Tensor, members: readonly Members[], { decay, numClusters }: CentroidOptions): Tensor {
  return scope(() => {
    const total = (of: (tokens: Members) => Tensor): Tensor =>
      members
        .map((tokens) => sum(scatterRows(of(tokens), tokens.nearest, numClusters), { axes: 0 }))
        .reduce((a, b) => add(a, b));
    const sums = total(directions);
    const sizes = total(({ x, lengths }) =>
      realKeys(full([...x.shape.slice(0, 3), 1], 1, { device: x.device }), lengths),
    );
    const next = x0.mul(decay).add(x1.div(x2.max(1)).mul(1 - decay));
    return map(select(x2.gt(0), next, x0), centroids, sums, sizes);
  });
}

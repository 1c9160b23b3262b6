import { substitute, wrap, type F32 } from '../../codegen/expression/index.js';
import { argsort, attendGathered } from '../../ops/index.js';
import { decided, noGradient, scope, type Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { integer } from '../options.js';
import { costOfPairs } from '../pairs.js';
import {
  besideCentroids,
  centroidOptions,
  centroidParameters,
  nearestOf,
  nearness,
  refuseCentroids,
} from './centroids.js';
import { chunkMask, chunkPairs, cut, type Chunks } from './chunks.js';
import { withPadding } from './lsh.js';

const options = {
  ...centroidOptions,
  chunkLength: integer({ min: 1, default: 64, help: 'tokens of a chunk of the sorted order' }),
};
type ClusterformerCall = Call<typeof options, 'centroids', never>;

const chunksOf = (n: number, lengths: readonly number[], size: number): Chunks =>
  cut(n, lengths, { size, lookBack: 0, wrap: false });

/** Attention within chunks of tokens that are sorted by their cluster. */
export const clusterformer = defineAttention({
  name: 'clusterformer',
  family: 'hashing',
  summary:
    'Tokens are sorted by the nearest of centroids that follow them in training, and each attends to its chunk of the order.',
  paper: {
    authors: 'Wang, Zhou, Gan, Chen, Fang, Sun, Cheng, Liu',
    title: 'Cluster-Former: Clustering-based Sparse Transformer for Long-Range Dependency Encoding',
    year: 2021,
    arxiv: '2009.06097',
  },
  formula:
    'out_i = softmax_j(q_i·k_j) v_j  over j in the chunk of i, sorted by argmax_c LayerNorm(k)·μ_c;  μ ← λμ + (1 − λ) mean of members',
  complexity: 'n·c·d + n·C·d + n·log n',
  exactness: 'biased',
  relativeToPaper:
    'One layer of clusters; the layers of sliding windows in between are sliding-window. A token is where its key is. Centroids follow their members from step to step instead of being found anew each epoch. Equal clusters stay in the order of the text, and the last chunk may be shorter.',
  options,
  supports: { causal: false, cross: false, padding: true, score: true, groupedHeads: false, decode: false },
  parameters: (shape, own) => centroidParameters(shape, own),
  refuse: (shape, own) => refuseCentroids(shape, own),
  reach: ({ L }, { chunkLength }) => (L <= chunkLength ? undefined : 'data'),
  cost: (shape, { chunkLength, numClusters }) => {
    const { B, H, L, D } = shape;
    const { pairs, multiplyAdds } = costOfPairs(shape, H * chunkPairs(chunksOf(L, [L], chunkLength)));
    return { pairs: pairs!, multiplyAdds: multiplyAdds + B * H * L * numClusters * D };
  },
  choices: (call) => {
    const { shape, options: own } = call;
    if (shape.L <= own.chunkLength) return undefined;
    const chunks = { order: orderOf(call, clustersOf(call)), groups: own.chunkLength };
    return { group: 'chunk', queries: chunks, keys: chunks };
  },
  forward: (call) => {
    const { k, v, q, scale, lengths, shape, losses, training } = call;
    const { B, L } = shape;
    const nearest = decided(() => [clustersOf(call)])[0]!;
    // a sort of integers: computed again, it comes out the same
    const order = noGradient(() => orderOf(call, nearest));
    const change = call.score?.expression(shape);
    const { out, logsumexp } = attendGathered(q, k, v, {
      queryOrder: order,
      keyOrder: order,
      mask: chunkMask(chunksOf(L, lengths ?? new Array<number>(B).fill(L), call.options.chunkLength)),
      scale,
      ...(change && {
        score: (at) => {
          const place = { score: at.score, q: at.queryPosition, k: at.keyPosition };
          return wrap(substitute(change, place)) as F32;
        },
      }),
    });
    const beside = losses || training ? besideCentroids(call, [{ x: k, lengths, nearest }]) : {};
    return { out, logsumexp, ...beside };
  },
});

/** The cluster of each token, i32 `[B,H,n]`, whatever that of padding is. */
const clustersOf = ({ k, lengths, parameters }: ClusterformerCall): Tensor =>
  scope(() => nearestOf(nearness({ x: k, lengths }, parameters.centroids)));

/** Tokens by their cluster, padding last. */
const orderOf = ({ lengths, options: { numClusters } }: ClusterformerCall, nearest: Tensor): Tensor =>
  scope(() => argsort(lengths ? withPadding(nearest, numClusters, lengths) : nearest));

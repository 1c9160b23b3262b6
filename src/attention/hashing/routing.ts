import { constant, lookup, select, substitute, wrap, type F32 } from '../../codegen/expression/index.js';
import { memoised } from '../../core/memo.js';
import { lengths as lengthsMask, type Mask } from '../../masks/index.js';
import { attend, div, gatherRows, map, reshape, scatterRows, sort, topK } from '../../ops/index.js';
import { integerTable, score, type Score } from '../../scores/index.js';
import { decided, noGradient, scope, type Tensor } from '../../tensor/index.js';
import type { Gathered } from '../choices.js';
import { defineAttention, type Call } from '../define.js';
import { realKeys } from '../real-keys.js';
import { flag, integer, type AttentionShape, type OptionValues } from '../options.js';
import { costOfPairs, headPairs } from '../pairs.js';
import {
  besideCentroids,
  centroidOptions,
  centroidParameters,
  directions,
  nearestOf,
  nearness,
  refuseCentroids,
  type Members,
  type Tokens,
} from './centroids.js';
import { queryLengths } from './query-clusters.js';

const options = {
  ...centroidOptions,
  clusterSize: integer({
    min: 1,
    default: ({ L }) => Math.ceil(L / Math.round(Math.sqrt(L))),
    help: 'queries, and keys, of a cluster: those nearest to its centroid; all where there are fewer',
  }),
  sharedQk: flag({ default: false, help: 'queries are the keys too; k is not read' }),
  normalised: flag({ default: false, help: 'scores too are of layer-normalised queries and keys' }),
};
type Options = OptionValues<typeof options>;
type RoutingCall = Call<typeof options, 'centroids', never>;

const sizesOf = ({ L, S }: AttentionShape, { clusterSize }: Options): readonly [queries: number, keys: number] => [
  Math.min(clusterSize, L),
  Math.min(clusterSize, S),
];

/** Tokens attend within clusters, whose centroids follow them. */
export const routing = defineAttention({
  name: 'routing',
  family: 'hashing',
  summary:
    'Each of the centroids, which follow the tokens in training, picks the queries and keys nearest to it; these attend to each other.',
  paper: {
    authors: 'Roy, Saffar, Vaswani, Grangier',
    title: 'Efficient Content-Based Sparse Attention with Routing Transformers',
    year: 2021,
    arxiv: '2003.05997',
  },
  formula:
    'out_i = mean over clusters c that i is in of softmax_{j∈K_c}(q_i·k_j) v_j,  Q_c, K_c: the w queries and keys of largest LayerNorm(x)·μ_c;  μ ← λμ + (1 − λ) mean of members',
  complexity: 'C·n·d + C·w²·d',
  exactness: 'biased',
  relativeToPaper:
    'A token in no cluster gets 0, and one in several the mean of what it gets from those in which it sees a key, without the constant that the released codes add to their number. Scores are of q and k as they are, unless normalised says otherwise. A centroid moves to the mean of its members, not their sum. Causal, no token gets weight from its future, but which clusters it is in depends on all.',
  options,
  supports: { causal: true, cross: true, padding: true, score: true, groupedHeads: false, decode: false },
  parameters: (shape, own) => centroidParameters(shape, own),
  refuse: (shape, own, causal) => [
    ...refuseCentroids(shape, own),
    ...[
      causal && shape.L !== shape.S && `causal takes one sequence; got L=${shape.L} and S=${shape.S}`,
      own.sharedQk && shape.L !== shape.S && `sharedQk takes one sequence; got L=${shape.L} and S=${shape.S}`,
    ].filter((fault) => fault !== false),
  ],
  reach: ({ L, S }, { numClusters, clusterSize }) =>
    numClusters === 1 && clusterSize >= Math.max(L, S) ? undefined : 'data',
  cost: (shape, own, causal) => {
    const { B, H, L, S, D } = shape;
    const [rows, keys] = sizesOf(shape, own);
    // what causality hides among lists of their own depends on the data and is computed
    const ofOne = headPairs({ L: rows, S: keys }, causal && own.sharedQk);
    const { pairs, multiplyAdds } = costOfPairs(shape, H * own.numClusters * ofOne);
    const compared = own.sharedQk ? L : L + S;
    return { pairs: pairs!, multiplyAdds: multiplyAdds + B * H * own.numClusters * compared * D };
  },
  choices: (call) => {
    const sides = sidesOf(call).map((side, i): Gathered => {
      const lists = listsOf(call, side, sizesOf(call.shape, call.options)[i]!);
      const [B, H, C, size] = lists.shape as [number, number, number, number];
      return { order: reshape(lists, [B, H, C * size]), groups: size };
    });
    return { group: 'cluster', queries: sides[0]!, keys: sides.at(-1)! };
  },
  forward: (call) => {
    const { options: own, losses, training } = call;
    const sides = sidesOf(call);
    const lists = decided(() => sides.map((side, i) => listsOf(call, side, sizesOf(call.shape, own)[i]!)));
    const compared = own.normalised ? sides.map(directions) : sides.map(({ x }) => x);
    const out = attendInClusters(call, [compared[0]!, compared.at(-1)!], [lists[0]!, lists.at(-1)!]);
    if (!losses && !training) return { out };
    const nearest = decided(() =>
      sides.map((side) => scope(() => nearestOf(nearness(side, call.parameters.centroids)))),
    );
    const members = sides.map((side, i): Members => ({ ...side, nearest: nearest[i]! }));
    return { out, ...besideCentroids(call, members) };
  },
});

/** What is clustered: queries, and keys where they are not the same. */
function sidesOf(call: RoutingCall): readonly Tokens[] {
  const queries = { x: call.q, lengths: queryLengths(call) };
  return call.options.sharedQk ? [queries] : [queries, { x: call.k, lengths: call.lengths }];
}

/** The tokens of each cluster in their order, i32 `[B,H,C,w]`; padding, where there is nothing else, comes last. */
function listsOf({ parameters: { centroids } }: RoutingCall, tokens: Tokens, size: number): Tensor {
  return scope(() => {
    const scores = nearness(tokens, centroids);
    const [B, H, C, n] = scores.shape as [number, number, number, number];
    const real = realKeys(reshape(scores, [B, H * C, n, 1]), tokens.lengths, -Infinity);
    return sort(topK(reshape(real, scores.shape), size).indices).values;
  });
}

/** Of the queries, and of the keys. */
type Pair = readonly [Tensor, Tensor];

function attendInClusters(call: RoutingCall, [q, k]: Pair, [queryLists, keyLists]: Pair): Tensor {
  const { v, scale, causal, lengths, shape, options: own } = call;
  const { B, H, L, E } = shape;
  const C = own.numClusters;
  const [, , , rows] = queryLists.shape as [number, number, number, number];
  const flat = (lists: Tensor): Tensor => reshape(lists, [B, H, C * lists.shape[3]!]);
  const pick = (x: Tensor, lists: Tensor): Tensor =>
    reshape(gatherRows(x, flat(lists)), [B, H * C, lists.shape[3]!, x.shape[3]!]);
  const shared = queryLists === keyLists;
  const change = changeOf(call, queryLists, keyLists, causal && !shared);
  const { out, logsumexp } = attend(pick(q, queryLists), pick(k, keyLists), pick(v, keyLists), {
    scale,
    causal: causal && shared,
    ...(lengths && { mask: paddingOf(lengths.map((length) => Math.min(length, keyLists.shape[3]!))) }),
    ...(change && { score: change }),
  });
  const counts = noGradient(() => {
    const sees = map((x) => select(x.gt(-Infinity), constant(1, 'f32'), 0), logsumexp);
    return map((x) => x.max(1), scatterRows(reshape(sees, [B, H, C * rows, 1]), flat(queryLists), L));
  });
  return div(scatterRows(reshape(out, [B, H, C * rows, E]), flat(queryLists), L), counts);
}

// the same masks for the same batch, so that what was planned for them is found again
const paddingOf = memoised((lengths: readonly number[]): Mask => lengthsMask(lengths), { most: 64 });

/** The caller's change of the scores by the tokens' positions, which hides later keys too. */
function changeOf(
  { score: given, shape, options: { numClusters } }: RoutingCall,
  queryLists: Tensor,
  keyLists: Tensor,
  hidesLater: boolean,
): Score | undefined {
  const change = given?.expression(shape);
  if (change === undefined && !hidesLater) return undefined;
  const byHead = (lists: Tensor): readonly number[] => [shape.B, shape.H * numClusters, lists.shape[3]!];
  const queries = integerTable('queries', queryLists, byHead(queryLists));
  const keys = integerTable('keys', keyLists, byHead(keyLists));
  return score(({ b, h, q, k, score: value }, { L, S }) => {
    const row = lookup(queries, b, h, q.sub(S - L)).add(shape.S - shape.L);
    const key = lookup(keys, b, h, k);
    const place = { score: value, h: h.floorDiv(numClusters), q: row, k: key };
    const changed = change ? (wrap(substitute(change, place)) as F32) : value;
    return hidesLater ? select(key.le(row), changed, -Infinity) : changed;
  });
}

import { constant, lookup, select, tableOf, variable, type F32 } from '../../codegen/expression/index.js';
import {
  attend,
  exp,
  gatherRows,
  map,
  matmul,
  mul,
  reshape,
  sub,
  topK,
  type PartialAttention,
} from '../../ops/index.js';
import { integerTable, score, type Score } from '../../scores/index.js';
import { decided, noGradient, type Tensor } from '../../tensor/index.js';
import { byGroup } from '../choices.js';
import { defineAttention, type Call } from '../define.js';
import { integer } from '../options.js';
import { realKeys } from '../real-keys.js';
import { groupTiles, tilesOf } from './group-tiles.js';
import {
  clusterMultiplyAdds,
  clusterOptions,
  clusterParameters,
  clustersOf,
  meanQueries,
  refuseClusters,
  type ClusterParameter,
} from './query-clusters.js';

const options = {
  ...clusterOptions,
  topK: integer({
    min: 1,
    default: ({ S }) => Math.min(32, S),
    help: 'keys of a cluster that its queries attend to themselves',
  }),
};
type ImprovedCall = Call<typeof options, ClusterParameter, never>;

/** Queries of a tile, which are of one cluster. */
const tile = 32;

/** Clustered attention whose largest weights are each query's own. */
export const improvedClustered = defineAttention({
  name: 'improved-clustered',
  family: 'hashing',
  summary:
    'The keys that the mean query of a cluster attends to most are attended to by each query itself; the rest is that of the mean.',
  paper: {
    authors: 'Vyas, Katharopoulos, Fleuret',
    title: 'Fast Transformers with Clustered Attention',
    year: 2020,
    arxiv: '2007.04825',
  },
  formula:
    'A = softmax(Q_c·kᵀ), T_c its k largest:  out_i = Σ_{T_c} A_c · softmax_{j∈T_c}(q_i·k_j) v_j + Σ_{j∉T_c} A_cj v_j;  causal: only the softmax over T_c',
  complexity: '(C·n + n·k)·d + n·bits·(d + iterations·C)',
  exactness: 'biased',
  relativeToPaper:
    'Clusters are as in clustered. Causal, as in the released code: T_c is chosen by all queries and keys, and of it a query sees what is not after it, which may be nothing.',
  options,
  supports: { causal: true, cross: true, padding: true, score: false, groupedHeads: false, decode: false },
  parameters: (shape, own) => clusterParameters(shape, own),
  refuse: (shape, own, causal) => [
    ...refuseClusters(shape, own),
    ...(own.topK <= shape.S ? [] : [`topK must be at most the ${shape.S} keys; got ${own.topK}`]),
    ...(causal && shape.L !== shape.S
      ? [`causal takes one sequence, as many queries as keys; got L=${shape.L} and S=${shape.S}`]
      : []),
  ],
  reach: () => 'data',
  cost: (shape, own, causal) => {
    const { B, H, L, S, D, E } = shape;
    const { numClusters: C, topK: k } = own;
    const fine = tilesOf(L, C, tile) * tile * k;
    const coarse = causal ? 0 : C * (S + k);
    const pairs = H * (fine + coarse);
    return { pairs, multiplyAdds: B * (pairs * (D + E) + H * C * S * D) + clusterMultiplyAdds(shape, own) };
  },
  choices: (call) => ({ group: 'cluster', queries: byGroup(clustersOf(call)) }),
  forward: (call) => {
    const clusters = clustersOf(call);
    const means = meanQueries(call, clusters);
    const best = decided(() => [largest(call, means)])[0]!;
    const fine = ofEach(call, clusters, best);
    if (call.causal) return { out: fine };
    return { out: merged(call, clusters, means, best, fine) };
  },
});

const [x0, x1, x2] = [0, 1, 2].map((i) => variable(`x${i}`, 'f32')) as [F32, F32, F32];

/** The keys T_c of each cluster, i32 `[B,H,C,k]`; padding only where there is nothing else. */
function largest({ k, lengths, scale, options: own, shape: { B, H, S } }: ImprovedCall, means: Tensor): Tensor {
  const scores = matmul(mul(means, scale), k, { transposeB: true });
  if (lengths === undefined) return topK(scores, own.topK).indices;
  const byKey = reshape(scores, [B, H * own.numClusters, S, 1]);
  return topK(reshape(realKeys(byKey, lengths, -Infinity), scores.shape), own.topK).indices;
}

/** softmax over T_c of q_i·k_j, times v, for every query by itself. */
function ofEach(call: ImprovedCall, clusters: Tensor, best: Tensor): Tensor {
  const { q, k, v, scale, causal, lengths, options: own, shape } = call;
  const { B, H, L, D, E } = shape;
  const { numClusters: C, topK: count } = own;
  const [rows, places, groups] = decided(() => Object.values(groupTiles(clusters, C, tile))) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const tiles = groups.shape[2]!;
  const ofTiles = (x: Tensor, columns: number): Tensor =>
    reshape(gatherRows(reshape(picked(x, best), [B, H, C, count * columns]), groups), [B, H * tiles, count, columns]);
  const hide =
    causal || lengths
      ? hidden(
          lengths,
          noGradient(() => reshape(gatherRows(best, groups), [B, H * tiles, count])),
          causal ? reshape(rows, [B, H * tiles, tile]) : undefined,
        )
      : undefined;
  const { out } = attend(reshape(gatherRows(q, rows), [B, H * tiles, tile, D]), ofTiles(k, D), ofTiles(v, E), {
    scale,
    ...(hide && { score: hide }),
  });
  return reshape(gatherRows(reshape(out, [B, H, tiles * tile, E]), places), [B, H, L, E]);
}

/** The rows of keys or values in T_c, `[B,H,C·k,columns]`. */
function picked(x: Tensor, best: Tensor): Tensor {
  const [B, H, C, count] = best.shape as [number, number, number, number];
  return gatherRows(x, reshape(best, [B, H, C * count]));
}

/** Hides keys by their positions `[B,heads,k]`: beyond the lengths, and after the queries `[B,heads,tile]`. */
function hidden(lengths: readonly number[] | undefined, keys: Tensor, queries: Tensor | undefined): Score {
  const ends = lengths && Int32Array.from(lengths);
  return score(({ b, h, q, k, score: value }, { L, S }) => {
    const key = lookup(integerTable('keys', keys), b, h, k);
    let seen = constant(true);
    if (ends) seen = seen.and(key.lt(lookup(tableOf('lengths', ends), b)));
    if (queries) seen = seen.and(key.le(lookup(integerTable('queries', queries), b, h, q.sub(S - L))));
    return select(seen, value, -Infinity);
  });
}

/** Σ_{T_c} A_c · fine + Σ_{j∉T_c} A_cj v_j: what is not in T_c is what the mean attends to, less its share of T_c. */
function merged(call: ImprovedCall, clusters: Tensor, means: Tensor, best: Tensor, fine: Tensor): Tensor {
  const { k, v, scale, mask, lengths, options: own, shape } = call;
  const { B, H, D, E } = shape;
  const { numClusters: C, topK: count } = own;
  const all = attend(means, k, v, { scale, ...(mask && { mask }) });
  const ofCluster = (x: Tensor, columns: number): Tensor => reshape(picked(x, best), [B, H * C, count, columns]);
  const hide = lengths && hidden(lengths, reshape(best, [B, H * C, count]), undefined);
  const top: PartialAttention = attend(reshape(means, [B, H * C, 1, D]), ofCluster(k, D), ofCluster(v, E), {
    scale,
    ...(hide && { score: hide }),
  });
  const share = reshape(exp(sub(reshape(top.logsumexp, [B, H, C]), all.logsumexp)), [B, H, C, 1]);
  const rest = map(x0.sub(x1.mul(x2)), all.out, share, reshape(top.out, [B, H, C, E]));
  return map(x0.mul(x1).add(x2), fine, gatherRows(share, clusters), gatherRows(rest, clusters));
}

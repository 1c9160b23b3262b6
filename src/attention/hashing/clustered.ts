import { attend, gatherRows } from '../../ops/index.js';
import { byGroup } from '../choices.js';
import { defineAttention } from '../define.js';
import {
  clusterMultiplyAdds,
  clusterOptions,
  clusterParameters,
  clustersOf,
  meanQueries,
  refuseClusters,
} from './query-clusters.js';

/** Like queries share the attention of their mean. */
export const clustered = defineAttention({
  name: 'clustered',
  family: 'hashing',
  summary:
    'Queries are clustered by the sides of random planes, and all of a cluster get what its mean query attends to.',
  paper: {
    authors: 'Vyas, Katharopoulos, Fleuret',
    title: 'Fast Transformers with Clustered Attention',
    year: 2020,
    arxiv: '2007.04825',
  },
  formula: 'out_i = softmax(Q_c·kᵀ) v,  Q_c the mean of the queries of the cluster c of i',
  complexity: 'C·n·d + n·bits·(d + iterations·C)',
  exactness: 'biased',
  relativeToPaper:
    'Centroids start at a query of each of C equal stretches of the sequence, one drawn from each, where the released code draws from the whole. A sequence of fewer tokens than clusters, beside longer ones, uses as many clusters as it has tokens.',
  options: clusterOptions,
  supports: { causal: false, cross: true, padding: true, score: false, groupedHeads: true, decode: false },
  parameters: clusterParameters,
  refuse: refuseClusters,
  cost: (shape, own) => {
    const { B, H, S, D, E } = shape;
    const pairs = H * own.numClusters * S;
    return { pairs, multiplyAdds: B * pairs * (D + E) + clusterMultiplyAdds(shape, own) };
  },
  choices: (call) => ({ group: 'cluster', queries: byGroup(clustersOf(call)) }),
  forward: (call) => {
    const { k, v, scale, mask } = call;
    const clusters = clustersOf(call);
    const { out } = attend(meanQueries(call, clusters), k, v, { scale, ...(mask && { mask }) });
    return { out: gatherRows(out, clusters) };
  },
});

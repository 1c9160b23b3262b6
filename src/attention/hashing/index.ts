export { clustered } from './clustered.js';
export { clusterformer } from './clusterformer.js';
export { hyper } from './hyper.js';
export { improvedClustered } from './improved-clustered.js';
export { lev } from './lev.js';
export { reformer } from './reformer.js';
export { routing } from './routing.js';
export { sinkhorn } from './sinkhorn.js';
export type { ClusterParameter } from './query-clusters.js';

import { variable } from '../../codegen/expression/index.js';
import { div, map, scatterRows } from '../../ops/index.js';
import { decided, full, noGradient, type Tensor } from '../../tensor/index.js';
import type { Call } from '../define.js';
import { flag, integer, type AttentionShape, type OptionValues } from '../options.js';
import { constantOf, drawn, normalOf, type ParameterSpec, unitUniform } from '../parameters.js';
import { realKeys } from '../real-keys.js';
import { hammingClusters } from './hamming-clusters.js';

/** Options of clusters of queries. */
export const clusterOptions = {
  numClusters: integer({ min: 1, default: ({ L }) => Math.min(100, L), help: 'clusters of queries' }),
  bits: integer({ min: 1, max: 64, default: 32, help: 'planes by whose sides queries are compared' }),
  iterations: integer({ min: 1, default: 10, help: 'assignments of queries to centroids, which move in between' }),
  hashBias: flag({ default: true, help: 'planes do not pass through the origin' }),
};
type ClusterOptions = OptionValues<typeof clusterOptions>;
export type ClusterParameter = 'planes' | 'offsets' | 'starts' | 'spares';
export type ClusterCall = Pick<Call, 'q' | 'lengths' | 'shape'> & {
  readonly options: ClusterOptions;
  readonly parameters: Readonly<Record<ClusterParameter, Tensor>>;
};

export const clusterParameters = (
  { D }: AttentionShape,
  { numClusters, bits, hashBias }: ClusterOptions,
): Record<ClusterParameter, ParameterSpec> => ({
  planes: drawn([D, bits], normalOf()),
  offsets: drawn([bits], hashBias ? normalOf() : constantOf(0)),
  starts: drawn([numClusters], unitUniform),
  spares: drawn([numClusters, bits], normalOf()),
});

export const refuseClusters = ({ L }: AttentionShape, { numClusters }: ClusterOptions): readonly string[] =>
  numClusters <= L ? [] : [`numClusters must be at most the ${L} queries; got ${numClusters}`];

/** Multiply-adds of the hash and of comparing every query with every centroid. */
export const clusterMultiplyAdds = ({ B, H, L, D }: AttentionShape, own: ClusterOptions): number =>
  B * H * L * own.bits * (D + own.iterations * own.numClusters);

/** Tokens of each batch row that are queries, where there is padding among them. */
export const queryLengths = ({
  lengths,
  shape: { L, S },
}: Pick<Call, 'lengths' | 'shape'>): readonly number[] | undefined => (L === S ? lengths : undefined);

const x0 = variable('x0', 'f32');

/** The cluster of each query, i32 `[B,H,L]`. */
export function clustersOf(call: ClusterCall): Tensor {
  const { q, options, parameters } = call;
  const lengths = queryLengths(call);
  return decided(() => [hammingClusters(q, { ...parameters, iterations: options.iterations, lengths })])[0]!;
}

/** The mean query of each cluster, `[B,H,C,D]`, 0 where there is none. */
export function meanQueries(call: ClusterCall, clusters: Tensor): Tensor {
  const { q, options } = call;
  const [B, H, L] = q.shape as [number, number, number];
  const lengths = queryLengths(call);
  const sizes = noGradient(() => {
    const ones = realKeys(full([B, H, L, 1], 1, { device: q.device }), lengths);
    return map(x0.max(1), scatterRows(ones, clusters, options.numClusters));
  });
  return div(scatterRows(realKeys(q, lengths), clusters, options.numClusters), sizes);
}

export { AdaptiveEmbedding, AdaptiveSoftmax, type AdaptiveOptions, type AdaptiveSoftmaxOptions } from './adaptive.js';
export { activate, activations, gate, type ActivationName } from './activation.js';
export { Attention, type Projected } from './attention.js';
export { biasPlaces, type AttentionOptions, type BiasPlace } from './attention-options.js';
export { BatchNorm, type BatchNormOptions } from './batch-norm.js';
export { Block, type BlockOptions } from './block.js';
export { checkpointed, type CheckpointedLayer } from './checkpointed.js';
export { Dropout } from './dropout.js';
export { Embedding, type EmbeddingOptions } from './embedding.js';
export * from './feed-forward/index.js';
export type { BranchContext, Context, FeedForward, Mixer } from './layer.js';
export type { PositionGrid } from './grid-table.js';
export { LowRank, type LowRankOptions } from './low-rank.js';
export { Linear, type LinearOptions } from './linear.js';
export { ModuleList } from './list.js';
export * from './mixers/index.js';
export { Module, type InitialiseOptions, type Training } from './module.js';
export { LayerNorm, RmsNorm, type LayerNormOptions, type RmsNormOptions } from './norm.js';
export type { Beside, NamedTensors, Outcome } from './outcome.js';
export { Parameter } from './parameter.js';
export { Positions } from './positions.js';
export type {
  AlibiOptions,
  LearnedPositions,
  Offset,
  PositionOptions,
  PositionSizes,
  RelativePositions,
  SegmentRule,
  SinusoidalPositions,
} from './position-options.js';
export { queryKeyNorms, type QueryKeyNormKind, type QueryKeyNormOptions } from './query-key-norm.js';
export type { Places } from '../positions/both-sides.js';
export type { Kind, KindDefinition } from './kind.js';
export type { FactoredOptions } from './factored.js';
export { recompute } from './recompute.js';
export { reversible, type ReversibleLayer } from './reversible.js';
export type { RowPooling } from './row-pooling.js';
export {
  normOf,
  normPlaces,
  parallels,
  Residual,
  type NormKind,
  type NormParts,
  type NormPlace,
  type Parallel,
  type ResidualOptions,
} from './residual.js';
export type { LoadOptions } from './state.js';
export { chain, joined, parted, reordered, reshaped, same, transposed, type Change } from './weight-change.js';
export type { TransientGlobalsOptions } from './transient-globals.js';
export { weightMap, type Names, type WeightMap, type WeightMapOptions, type WeightRule } from './weight-map.js';
export type { Blocks, TransientGlobals } from './transient-globals.js';
export type { Fed, TextPlace } from '../tensor/text-place.js';

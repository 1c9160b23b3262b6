export {
  gelu,
  geluOf,
  geluTanhOf,
  relu,
  reluOf,
  sigmoid,
  sigmoidOf,
  silu,
  siluOf,
  tanh,
  type GeluOptions,
} from './activations.js';
export { entmaxAttend, type EntmaxAttendOptions } from './entmax-attend.js';
export { argmax, type ArgmaxOptions } from './argmax.js';
export {
  abs,
  acos,
  add,
  atan2,
  cos,
  div,
  equal,
  erf,
  exp,
  greater,
  greaterEqual,
  less,
  lessEqual,
  log,
  maximum,
  minimum,
  mul,
  neg,
  notEqual,
  pow,
  sin,
  sqrt,
  square,
  sub,
  where,
  type Operand,
} from './arithmetic.js';
export { attend, type AttendCounters, type Attended, type AttendOptions } from './attend.js';
export { attendGathered, type GatheredOptions, type GatheredPlace, type GatheredScore } from './attend-gathered.js';
export { mergeAttention, type PartialAttention } from './attend/merge.js';
export { cast } from './cast.js';
export { choleskyInverse } from './cholesky.js';
export { convolve } from './convolve.js';
export { crossEntropy, type CrossEntropyOptions } from './cross-entropy.js';
export { embedding } from './embedding.js';
export { fourier, fourierMix, fourierMixCost, type Complex, type FourierOptions } from './fourier.js';
export { gather, scatterAdd, takeAlong, type GatherOptions } from './gather.js';
export { gatherRows, scatterRows } from './gather-rows.js';
export { groupedMatmul, type GroupedMatmulOptions } from './grouped-matmul.js';
export { splitHeads } from './heads.js';
export { linearAttend, type LinearAttended, type LinearAttendOptions } from './linear-attend.js';
export { map, type Scalar } from './map.js';
export { matmul, type MatmulOptions } from './matmul.js';
export { layerNorm, rmsNorm, type LayerNormOptions, type NormOptions } from './normalise.js';
export { poolRows, type PoolRowsOptions } from './pool-rows.js';
export { qr, type QrFactors } from './qr.js';
export { logsumexp, max, mean, min, sum, sumTo, type ReduceOptions } from './reduce.js';
export { runningMax, type RunningMax } from './running-max.js';
export { recurrentAttend, type RecurrentAttended, type RecurrentAttendOptions } from './recurrent-attend.js';
export { cumulativeSum, type CumulativeSumOptions } from './scan.js';
export { broadcastTo, concat, detach, pad, reshape, slice, split, transpose, type SliceOptions } from './shape.js';
export { searchSorted } from './search-sorted.js';
export { segmentMax, segmentMean, type SegmentOptions } from './segment-mean.js';
export { softmax, type SoftmaxOptions } from './softmax.js';
export { argsort, sort, type Sorted, type SortOptions } from './sort.js';
export { symmetricSquare } from './symmetric-square.js';
export { topK } from './top-k.js';
export { dotRows, weighRows, type TableOptions } from './weigh-rows.js';
export { defineKernel, type KernelCall, type KernelDefinition, type KernelValues } from './own-kernel.js';

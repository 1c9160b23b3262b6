export { gelu, geluOf, geluTanhOf, relu, reluOf, sigmoid, sigmoidOf, silu, siluOf, tanh, type GeluOptions } from './activations.js';
export { argmax, type ArgmaxOptions } from './argmax.js';
export {
  abs,
  add,
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
export { cast } from './cast.js';
export { map, type Scalar } from './map.js';
export { layerNorm, rmsNorm, type LayerNormOptions, type NormOptions } from './normalise.js';
export { logsumexp, max, mean, min, sum, sumTo, type ReduceOptions } from './reduce.js';
export { broadcastTo, concat, detach, pad, reshape, slice, split, transpose, type SliceOptions } from './shape.js';
export { softmax, type SoftmaxOptions } from './softmax.js';

export { checkpoint } from './checkpoint.js';
export { full, tensor, useDevice, zeros, type TensorOptions } from './create.js';
export { leakedTensors, liveTensors } from './registry.js';
export { disposeAll, keep, scope } from './scope.js';
export { gradients, noGradient, operation, records, type GradientOptions, type Vjp } from './tape.js';
export { commonDevice, empty, produce, share, Tensor, trackLeaf } from './tensor.js';

export { accumulate } from './accumulate.js';
export { recompute } from './recompute.js';
export { full, someDevice, tensor, useDevice, zeros, type TensorOptions } from './create.js';
export { decided, recordDecisions, repeatDecisions, type Decisions } from './decisions.js';
export { checkLeaves } from './leaves.js';
export { leakedTensors, liveTensors } from './registry.js';
export type { RowGradientOf } from './track.js';
export { addGradients, denseOf, numbersOf, rowGradient, type Gradient, type RowGradient } from './row-gradient.js';
export { disposeAll, keep, scope, tensorsIn } from './scope.js';
export {
  arrivals,
  gradients,
  noGradient,
  operation,
  records,
  withGradient,
  type GradientOptions,
  type Vjp,
} from './tape.js';
export { TextPlace, type Fed } from './text-place.js';
export {
  checkTensors,
  commonDevice,
  describeTensor,
  empty,
  nameTensor,
  produce,
  share,
  someTensor,
  tensorsByName,
  Tensor,
  trackLeaf,
  writable,
} from './tensor.js';

export { adafactor, type AdafactorOptions } from './adafactor.js';
export { adamW, type AdamWOptions } from './adam-w.js';
export { lion, type LionOptions } from './lion.js';
export { sgd, type SgdOptions } from './sgd.js';
export type { DecayOptions, NamedTensors, Optimiser, OptimiserState, StepOptions } from './types.js';

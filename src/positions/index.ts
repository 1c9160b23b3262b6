export { rope, type RopeOptions } from './rope.js';
export { ropeAngles, type AngleOptions } from './angles.js';
export { rotatePairs, type PairLayout, type RotateOptions } from './rotate.js';
export { ropeFrequencies, type FrequencyOptions, type RopeFrequencies } from './frequencies.js';
export type {
  DynamicScaling,
  LinearScaling,
  Llama3Scaling,
  LongRopeScaling,
  NtkScaling,
  RopeScaling,
  YarnScaling,
} from './scaling.js';
export { permuteRopeWeight, ropePermutation, type RopePermutation } from './permute.js';
export { sinusoidal, type SinusoidalOptions, type SinusoidalVariant } from './sinusoidal.js';
export { extendPositions, learnedPositions, type ExtendOptions, type LearnedOptions } from './learned.js';
export { relativeAttend, relativeScore, type RelativeOptions, type RelativeParameters } from './transformer-xl.js';
export { positionMethods, type PositionChange, type PositionMethod, type PositionName } from './methods.js';
export { alibi, alibiSlopes, t5Bias, t5Bucket, type SlopeOptions, type T5Options } from '../scores/index.js';

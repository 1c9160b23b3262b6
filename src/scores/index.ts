export { Score, score, type ScorePlace } from './score.js';
export { softcap } from './softcap.js';
export { alibi, alibiSlopes, type SlopeOptions } from './alibi.js';
export { t5Bias, t5Bucket, type T5Options } from './t5.js';
export { bias } from './bias.js';
export { visible } from './visible.js';
export { floatTable, integerTable, type TensorLike } from './tensor.js';

export { lambda } from './lambda.js';
export { lara } from './lara.js';
export { linearTransformer } from './linear-transformer.js';
export { performer } from './performer.js';
export { polynomial } from './polynomial.js';
export { polysketch } from './polysketch.js';
export { randomized } from './randomized.js';
export { rfa } from './rfa.js';

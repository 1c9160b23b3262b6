export { linearTransformer } from './linear-transformer.js';
export { performer } from './performer.js';
export { polynomial } from './polynomial.js';
export { polysketch } from './polysketch.js';

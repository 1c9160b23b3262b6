export { linearTransformer } from './linear-transformer.js';
export { performer } from './performer.js';

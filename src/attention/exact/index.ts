export { chunked } from './chunked.js';
export { entmax } from './entmax.js';
export { flash } from './flash.js';
export { standard } from './standard.js';

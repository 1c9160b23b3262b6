export { chunked } from './chunked.js';
export { flash } from './flash.js';
export { standard } from './standard.js';

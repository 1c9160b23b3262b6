export { reformer } from './reformer.js';

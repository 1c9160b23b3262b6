export { hyper } from './hyper.js';
export { reformer } from './reformer.js';

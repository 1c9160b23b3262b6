export { inducedSet } from './induced-set.js';
export { linformer } from './linformer.js';
export { luna } from './luna.js';
export { nystromformer } from './nystromformer.js';

export { linformer } from './linformer.js';
export { nystromformer } from './nystromformer.js';

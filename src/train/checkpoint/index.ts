export { type CheckpointContent, loadCheckpoint, type LoadedCheckpoint, saveCheckpoint } from './checkpoint.js';
export { type Files, nodeFiles, type OpenFile } from './files.js';
export { type TensorEntry } from './header.js';
export { Safetensors, type TensorSource, type TensorSources, writeSafetensors, type Written } from './safetensors.js';
export { type Json } from './state.js';
export { hostArray, sourceOf } from './tensors.js';

export { type CheckpointContent, loadCheckpoint, type LoadedCheckpoint, saveCheckpoint } from './checkpoint.js';
export { type ByteSource, inMemory } from './bytes.js';
export { type Files, nodeFiles, type OpenFile } from './files.js';
export { type TensorEntry } from './header.js';
export { openSafetensors } from './open-safetensors.js';
export { Safetensors } from './safetensors.js';
export { type Json } from './state.js';
export { type HostTensor, hostTensor, sourceOf } from './tensors.js';
export { type TensorSource, type TensorSources, writeSafetensors, type Written } from './write-safetensors.js';

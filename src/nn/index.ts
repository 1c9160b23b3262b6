export { activate, activations, gate, type ActivationName } from './activation.js';
export { Dropout } from './dropout.js';
export { Embedding, type EmbeddingOptions } from './embedding.js';
export { FeedForward, type FeedForwardOptions } from './feed-forward.js';
export { Linear, type LinearOptions } from './linear.js';
export { Module, type InitialiseOptions, type Training } from './module.js';
export { LayerNorm, RmsNorm, type LayerNormOptions, type RmsNormOptions } from './norm.js';
export { Parameter } from './parameter.js';
export { recompute } from './recompute.js';

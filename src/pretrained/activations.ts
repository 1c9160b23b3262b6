import type { ActivationName } from '../nn/index.js';

/** What the published code calls the activations that are here. */
const ours = {
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'gelu-tanh',
  gelu_fast: 'gelu-tanh',
  gelu_pytorch_tanh: 'gelu-tanh',
  gelu_accurate: 'gelu-tanh',
  relu: 'relu',
  relu2: 'relu-squared',
  silu: 'silu',
  swish: 'silu',
} as const satisfies Readonly<Record<string, ActivationName>>;

export type PublishedActivation = keyof typeof ours;
export const activationNames = Object.keys(ours) as readonly PublishedActivation[];

export const activationOf = (theirs: PublishedActivation): ActivationName => ours[theirs];

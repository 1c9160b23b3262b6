import { layerNorm, reshape, transpose } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import type { AttentionShape } from '../options.js';
import { constantOf, learned, type ParameterSpecs } from '../parameters.js';

/** Transformer-LS's DualLN: the keys of the window and of the summary have norms of their own, and so have the values. */
const norms = ['windowKey', 'windowValue', 'landmarkKey', 'landmarkValue'] as const;
type Norm = (typeof norms)[number];
export type NormNames = `${Norm}${'Weight' | 'Bias'}`;

/** Weights and biases over the features of all key/value heads; without a summary those of the window alone. */
export function normSpecs({ G, D, E }: Pick<AttentionShape, 'G' | 'D' | 'E'>, summary: boolean): ParameterSpecs {
  const used = summary ? norms : norms.slice(0, 2);
  const entries = used.flatMap((name) => {
    const features = G * (name.endsWith('Key') ? D : E);
    return [
      [`${name}Weight`, learned([features], constantOf(1))],
      [`${name}Bias`, learned([features], constantOf(0))],
    ];
  });
  return Object.fromEntries(entries) as ParameterSpecs;
}

/** The layer norm over the features of all heads together, of `x` `[B, G, n, D]`. */
export function normalised(parameters: Readonly<Record<NormNames, Tensor>>, x: Tensor, name: Norm): Tensor {
  const [B, G, n, size] = x.shape as [number, number, number, number];
  const together = reshape(transpose(x, [0, 2, 1, 3]), [B, n, G * size]);
  const norm = layerNorm(together, { weight: parameters[`${name}Weight`], bias: parameters[`${name}Bias`] });
  return transpose(reshape(norm, [B, n, G, size]), [0, 2, 1, 3]);
}

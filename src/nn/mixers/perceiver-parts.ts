import { flag } from '../../attention/options.js';
import { constantOf, learned, normalOf, type ParameterSpecs } from '../../attention/parameters.js';
import { layerNorm } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { storedAs } from '../stored.js';

/** What published Perceivers have beside the formula. */
export const furnished = {
  bias: flag({ default: false, help: 'biases of the projections' }),
  norm: flag({ default: false, help: 'a layer norm of the latents before they ask' }),
};

export const normParameters = (name: string, features: number): ParameterSpecs => ({
  [`${name}Scale`]: learned([features], constantOf(1)),
  [`${name}Bias`]: learned([features], constantOf(0)),
});

/** Rows normalised by the parameters that `normParameters` names. */
export const normed = (x: Tensor, name: string, of: (name: string) => Tensor | undefined): Tensor =>
  layerNorm(x, { weight: of(`${name}Scale`)!, bias: of(`${name}Bias`)!, ...storedAs(x) });

/** Matrices of queries of rows of `ask` features and of keys and values of `told`, and back to `width`, with biases where asked for. */
export function projections(
  [ask, told]: readonly [ask: number, told: number],
  sizes: Readonly<Record<'heads' | 'keyDim' | 'valueDim' | 'width', number>> & { readonly bias: boolean },
): ParameterSpecs {
  const { heads, keyDim, valueDim, width, bias } = sizes;
  const all: readonly (readonly [name: string, from: number, to: number])[] = [
    ['query', ask, heads * keyDim],
    ['key', told, heads * keyDim],
    ['value', told, heads * valueDim],
    ['out', heads * valueDim, width],
  ];
  return Object.fromEntries(
    all.flatMap(([name, from, to]) => [
      [name, learned([from, to], normalOf(from ** -0.5))] as const,
      ...(bias ? [[`${name}Bias`, learned([to], constantOf(0))] as const] : []),
    ]),
  );
}

import { withoutPadding } from '../../attention/patterns/without-padding.js';
import type { Cost } from '../../attention/index.js';
import type { OptionSpecs } from '../../attention/options.js';
import { matmul, transpose } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { storedAs } from '../stored.js';
import type { MixerCall, MixerSizes } from './define.js';
import { weightsOf } from './fixed-rows.js';

export const paper = {
  authors: 'Lee-Thorp et al.',
  title: 'FNet: Mixing Tokens with Fourier Transforms',
  year: 2021,
  arxiv: '2105.03824',
} as const;

/** S x H: rows mixed by `rows [L, L]`, features by `features [F, F]`. */
export function mixByTwo({ x, lengths, parameters }: MixerCall<OptionSpecs, 'rows' | 'features'>, who: string): Tensor {
  const S = weightsOf(who, parameters.rows, [0, 1], x.shape[1]!);
  // of columns, so that the gradient of S is one product over the whole batch
  const columns = transpose(withoutPadding(x, lengths), [0, 2, 1]); // [B, F, L]
  const mixed = transpose(matmul(columns, S, { transposeB: true, ...storedAs(x) }), [0, 2, 1]);
  return matmul(mixed, parameters.features, storedAs(x));
}

export const costOfTwo = ({ features, length }: MixerSizes): Cost => ({
  multiplyAdds: length * features * (length + features),
});

import { add, concat, convolve, reshape, slice } from '../../ops/index.js';
import { zeros, type Tensor } from '../../tensor/index.js';

export interface ShortConvolution {
  /** `[C, κ]`, the last for the row itself. */
  readonly weight: Tensor;
  /** `[C]` */
  readonly bias?: Tensor | undefined;
}

/** Each channel of `x [B, C, L]` with the κ rows up to its own: `Σ_j weight_j x_(t−κ+1+j) + bias`, rows before the first being 0. */
export function convolved(x: Tensor, { weight, bias }: ShortConvolution): Tensor {
  const [B, C, L] = x.shape as [number, number, number];
  const taps = weight.shape[1]!;
  // a kernel that is as long behind the row, of zeros
  const later = taps > 1 ? concat([weight, zeros([C, taps - 1], { device: x.device })], { axis: 1 }) : weight;
  const out = reshape(convolve(reshape(x, [B, C, L, 1]), later), [B, C, L]);
  return bias ? add(out, reshape(bias, [C, 1])) : out;
}

/** The same of rows that follow others, the last κ − 1 of which are `before [B, C, κ−1]`, at the start of a text absent; and the last ones now. */
export function convolvedAfter(
  x: Tensor,
  convolution: ShortConvolution,
  before: Tensor | undefined,
): { readonly out: Tensor; readonly last: Tensor } {
  const [B, C, L] = x.shape as [number, number, number];
  const more = convolution.weight.shape[1]! - 1;
  const none = (): Tensor => zeros([B, C, Math.max(more, 1)], { device: x.device });
  if (more === 0) return { out: convolved(x, convolution), last: none() };
  const all = before !== undefined || L < more ? concat([before ?? none(), x], { axis: 2 }) : x;
  const out = before ? slice(convolved(all, convolution), { axis: 2, start: more }) : convolved(x, convolution);
  return { out, last: slice(all, { axis: 2, start: all.shape[2]! - more }) };
}

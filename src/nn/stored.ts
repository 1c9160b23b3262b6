import { isFloat, type FloatDtype } from '../core/dtype.js';
import type { Tensor } from '../tensor/index.js';

/**
 * The option by which an operation on `x` and f32 parameters stores its result as x is stored: layers follow their input, so a block
 * whose input was cast to 16 bits keeps 16 bits for the backward pass. Parameters are read as they are, f32: a copy of 16 bits
 * would round them, and be kept beside them until then. (Relative to Micikevicius et al. 2017, arXiv 1710.03740, which
 * rounds them for the sake of 16-bit multipliers; here products are f32.)
 */
export const storedAs = ({ dtype }: Tensor): { readonly dtype?: FloatDtype } => (isFloat(dtype) ? { dtype } : {});

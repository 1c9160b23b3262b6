import { attend, concat, mul, square, sum, type Attended, type AttendOptions } from '../../ops/index.js';
import { full, type Tensor } from '../../tensor/index.js';

/** Options of samples: their number, and whether each is taken twice. */
interface Samples {
  readonly numSamples: number;
  readonly antithetic: boolean;
}

export const samplesOf = ({ numSamples, antithetic }: Samples): number => numSamples * (antithetic ? 2 : 1);

/** ‖x‖² of every row, `[..., rows, 1]`. */
export const norms = (x: Tensor): Tensor => sum(square(x), { axes: -1, keepDims: true });

/** `softmax_j(scale·(ω·k_j − ‖k_j‖²/2)) v` for vectors ω `[B, H, n, D]`: one column more says it as plain attention. */
export function attendFromVectors(vectors: Tensor, k: Tensor, v: Tensor, options: AttendOptions): Attended {
  const one = full([...vectors.shape.slice(0, -1), 1], 1, { device: vectors.device });
  const beside = (x: Tensor, column: Tensor): Tensor => concat([x, column], { axis: -1 });
  return attend(beside(vectors, one), beside(k, mul(norms(k), -0.5)), v, options);
}

/** Why heads are too wide for that column, or false. */
export const tooWide = (D: number): string | false =>
  D > 255 && `keys take one more column for their norm, 256 at most; got heads of ${D}`;

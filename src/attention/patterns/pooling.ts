import { gatherRows, matmul, maximum, pad, poolRows, slice, softmax, where } from '../../ops/index.js';
import { tensor, type Tensor } from '../../tensor/index.js';

/** Slots p of κ positions from p·stride on, as far as the sequence goes. */
export interface Pooling {
  readonly kind: 'mean' | 'max' | 'ldconv';
  readonly kernelSize: number;
  readonly stride: number;
}

export const slotCount = (n: number, { stride }: Pick<Pooling, 'stride'>): number => Math.ceil(n / stride);

/**
 * Pools `x` `[B, H, n, C]` to `[B, H, ⌈n/stride⌉, C]`. `'ldconv'`: weights `softmax(x_centre · kernel)` over the positions of a slot, with
 * `kernel` `[H, C, κ]` (lightweight dynamic convolution: Wu et al. 2019, arXiv 1901.10430). Positions beyond `lengths` count nowhere.
 */
export function pool(x: Tensor, options: Pooling, lengths: readonly number[] | undefined, kernel?: Tensor): Tensor {
  const { kernelSize, stride, kind } = options;
  const [B, , n] = x.shape as [number, number, number, number];
  const slots = slotCount(n, options);
  const ends = lengths ?? [n];
  // 1 where a position is there, [B|1, 1, slots, κ]
  const real = Float32Array.from({ length: ends.length * slots * kernelSize }, (_, i) => {
    const [slot, t] = [Math.floor(i / kernelSize) % slots, i % kernelSize];
    return Number(slot * stride + t < ends[Math.floor(i / (slots * kernelSize))]!);
  });
  const table = (data: Float32Array): Tensor => tensor(data, [ends.length, 1, slots, kernelSize], { device: x.device });
  if (kind === 'max') return largest(x, options, table(real));
  return poolRows(x, kind === 'mean' ? table(shares(real, kernelSize)) : dynamic(table(real)), { stride });

  function dynamic(there: Tensor): Tensor {
    const heads = x.shape[1]!;
    const centres = Int32Array.from({ length: B * heads * slots }, (_, i) => {
      const end = ends[lengths ? Math.floor(i / (heads * slots)) : 0]!;
      return Math.min(end - 1, (i % slots) * stride + Math.floor(kernelSize / 2));
    });
    const centre = gatherRows(x, tensor(centres, [B, heads, slots], { device: x.device }));
    return softmax(where(there, matmul(centre, kernel!), -Infinity));
  }
}

/** The largest of the positions that are `there`, `[B|1, 1, slots, κ]`. */
function largest(x: Tensor, { kernelSize, stride }: Pooling, there: Tensor): Tensor {
  const [n, slots] = [x.shape[2]!, there.shape[2]!];
  const at = (t: number): Tensor => {
    const rows = slice(x, { axis: 2, start: t, end: Math.min(n, t + (slots - 1) * stride + 1), step: stride });
    const missing = slots - rows.shape[2]!;
    return missing > 0 ? pad(rows, [[0, 0], [0, 0], [0, missing], [0, 0]]) : rows; // prettier-ignore
  };
  // the first position stands in for those that are not there
  const first = at(0);
  let most = first;
  for (let t = 1; t < Math.min(kernelSize, n); t++) {
    most = maximum(most, where(slice(there, { axis: 3, start: t, end: t + 1 }), at(t), first));
  }
  return most;
}

/** Each row of κ divided by its sum; 0 where there is nothing. */
function shares(real: Float32Array, kernelSize: number): Float32Array {
  return real.map((one, i) => {
    const row = i - (i % kernelSize);
    const sum = real.subarray(row, row + kernelSize).reduce((a, b) => a + b, 0);
    return sum === 0 ? 0 : one / sum;
  });
}

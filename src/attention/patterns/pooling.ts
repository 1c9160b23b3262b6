import { add, gatherRows, matmul, maximum, mul, pad, slice, softmax, where } from '../../ops/index.js';
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
  const missing = (slots - 1) * stride + kernelSize - n;
  const long = missing > 0 ? pad(x, [[0, 0], [0, 0], [0, missing], [0, 0]]) : x; // prettier-ignore
  const at = (t: number): Tensor => slice(long, { axis: 2, start: t, end: t + (slots - 1) * stride + 1, step: stride });
  const ends = lengths ?? [n];
  const taps = Array.from({ length: kernelSize }, (_, t) => t);
  // 1 where a position is there, [B|1, 1, slots, κ]
  const real = Float32Array.from({ length: ends.length * slots * kernelSize }, (_, i) => {
    const [slot, t] = [Math.floor(i / kernelSize) % slots, i % kernelSize];
    return Number(slot * stride + t < ends[Math.floor(i / (slots * kernelSize))]!);
  });
  const table = (data: Float32Array): Tensor => tensor(data, [ends.length, 1, slots, kernelSize], { device: x.device });
  const column = (weights: Tensor, t: number): Tensor => slice(weights, { axis: 3, start: t, end: t + 1 });
  if (kind === 'max') {
    const there = table(real);
    const first = at(0);
    // the first position stands in for those that are not there
    return taps.slice(1).reduce((most, t) => maximum(most, where(column(there, t), at(t), first)), first);
  }
  const weights = kind === 'mean' ? table(shares(real, kernelSize)) : dynamic(table(real));
  const terms = taps.map((t) => mul(at(t), column(weights, t)));
  return terms.reduce((sum, term) => add(sum, term));

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

/** Each row of κ divided by its sum; 0 where there is nothing. */
function shares(real: Float32Array, kernelSize: number): Float32Array {
  return real.map((one, i) => {
    const row = i - (i % kernelSize);
    const sum = real.subarray(row, row + kernelSize).reduce((a, b) => a + b, 0);
    return sum === 0 ? 0 : one / sum;
  });
}

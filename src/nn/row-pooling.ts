import { flag, oneOf } from '../core/requirements.js';
import { add, gatherRows, maximum, mul, where } from '../ops/index.js';
import { scope, tensor, type Tensor } from '../tensor/index.js';

/** How a layer makes one row of two. */
export interface RowPooling {
  /** The mean of the two, or the larger number of each feature. */
  readonly kind: 'mean' | 'max';
  /** Whether row 0, which stands for the whole sequence, is kept apart: the rows after it are pooled. */
  readonly separateClass: boolean;
  /** Whether a last row that has no partner behind a class row is left out, so that lengths are halved; else it stands alone. */
  readonly truncate: boolean;
  /**
   * As the published code has it: the partner of a row may be padding, and the last row of an odd number is left out as that of an even
   * number is; so padding changes what a text gives. Default false.
   */
  readonly asPublished?: boolean;
}

export const rowPooling = { kind: oneOf(['mean', 'max']), separateClass: flag, truncate: flag, asPublished: flag };
export const neededOfPooling = ['kind', 'separateClass', 'truncate'];

/** Rows that pooling gives for so many: `⌈n/2⌉`, or `⌈(n+1)/2⌉` where a class row is apart and none is left out. */
export const pooledRows = (rows: number, { separateClass, truncate }: RowPooling): number =>
  Math.ceil((rows + Number(separateClass && !truncate)) / 2);

/**
 * Rows `x [B, L, F]` by twos: `[B, pooledRows(L), F]`; row 0 is itself where it is the class. Of `lengths` real rows: one whose partner is
 * padding stands alone, so that padding changes nothing.
 *
 * (Dai et al. 2020, "Funnel-Transformer", arXiv 2006.03236. Relative to the released code: it leaves the last row of the batch out at odd
 * lengths too, where its partner is there, and takes padding for a partner: so does `asPublished`.)
 */
export function pooled(x: Tensor, pooling: RowPooling, lengths?: readonly number[]): Tensor {
  const L = x.shape[1]!;
  const rows = pooledRows(L, pooling);
  const { asPublished = false } = pooling;
  const shift = Number(pooling.separateClass);
  const first = (row: number): number => Math.max(0, 2 * row - shift);
  const second = (row: number, real: number): number => {
    const partner = 2 * row + 1 - shift;
    return partner < (asPublished ? L - Number(pooling.truncate) : real) ? partner : first(row);
  };
  return scope(() => {
    const pick = (of: (row: number, real: number) => number): Tensor =>
      gatherRows(
        x,
        indices(x, rows, lengths, (row, real) => Math.min(L - 1, of(row, real))),
      );
    const [a, b] = [pick(first), pick(second)];
    return pooling.kind === 'mean' ? mul(add(a, b), 0.5) : maximum(a, b);
  });
}

/**
 * Rows that were pooled `times` times, each as often as it stands for tokens: `[B, L′, F] → [B, L, F]`. Zeros where the token of a row was
 * left out.
 */
export function unpooled(x: Tensor, { times, rows: L, separateClass, lengths }: Unpooling): Tensor {
  const shift = Number(separateClass);
  const from = (row: number): number => shift + Math.floor((row - shift) / 2 ** times);
  const known = lengths ?? x.shape.slice(0, 1).map(() => x.shape[1]!);
  const there = Float32Array.from({ length: known.length * L }, (_, i) =>
    Number(from(i % L) < known[Math.floor(i / L)]!),
  );
  return scope(() => {
    const rows = gatherRows(
      x,
      indices(x, L, undefined, (row) => Math.min(x.shape[1]! - 1, from(row))),
    );
    if (there.every((one) => one === 1)) return rows;
    return where(tensor(there, [known.length, L, 1], { device: x.device }), rows, 0);
  });
}

export interface Unpooling extends Pick<RowPooling, 'separateClass'> {
  readonly times: number;
  /** L, the rows that there were. */
  readonly rows: number;
  /** Real rows among those that were pooled. */
  readonly lengths?: readonly number[] | undefined;
}

/** A row's number for each row of each sequence, `[B, rows]`; `of` is asked with the number of real rows. */
function indices(
  x: Tensor,
  rows: number,
  lengths: readonly number[] | undefined,
  of: (row: number, real: number) => number,
): Tensor {
  const [B, L] = x.shape as [number, number];
  const all = Int32Array.from({ length: B * rows }, (_, i) => of(i % rows, lengths?.[Math.floor(i / rows)] ?? L));
  return tensor(all, [B, rows], { device: x.device });
}

import { OptionError, ShapeError } from '../../core/errors.js';
import { show } from '../../core/shape.js';
import type { AttendShape } from '../../masks/index.js';
import type { Tensor } from '../../tensor/tensor.js';

export interface AttendInputs {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
}

/** `D`: columns of q and k; `E`: of v. */
export interface AttendSizes extends AttendShape {
  readonly D: number;
  readonly E: number;
}

/** The sizes of a call, and how they contradict each other: the rules of q, k and v, for every operation and mechanism that takes them. */
export interface ReadSizes {
  readonly sizes: AttendSizes;
  readonly faults: readonly string[];
  /** The shapes, for messages. */
  readonly got: string;
}

/** `columns` is what errors call those of q and k. @throws ShapeError unless there are four axes each. */
export function readSizes(
  who: string,
  { q, k, v }: AttendInputs,
  columns: { readonly name: string; readonly letter: string } = { name: 'head size', letter: 'D' },
): ReadSizes {
  const { name, letter } = columns;
  const got = `q=${show(q.shape)}, k=${show(k.shape)}, v=${show(v.shape)}`;
  if ([q, k, v].some(({ rank }) => rank !== 4)) {
    throw new ShapeError(`${who}: q must be [B,H,L,${letter}], k [B,G,S,${letter}] and v [B,G,S,E]; got ${got}.`);
  }
  const [B, H, L, D] = q.shape as [number, number, number, number];
  const [, G, S] = k.shape as [number, number, number, number];
  const faults = [
    (k.shape[0] !== B || v.shape[0] !== B) && 'q, k and v must have one batch size B',
    k.shape[3] !== D && `k must have the ${name} ${letter} of q`,
    (v.shape[1] !== G || v.shape[2] !== S) && 'v must have the heads G and the length S of k',
    H % G !== 0 && `the ${G} key/value heads must divide the ${H} query heads`,
  ].filter((fault) => fault !== false);
  return { sizes: { B, H, G, L, S, D, E: v.shape[3]! }, faults, got };
}

/** @throws OptionError unless q, k and v have one float dtype. */
export function checkOneDtype(who: string, { q, k, v }: AttendInputs): void {
  const kinds = [...new Set([q.dtype, k.dtype, v.dtype])];
  if (kinds.length === 1 && ['f32', 'f16', 'bf16'].includes(kinds[0]!)) return;
  throw new OptionError(
    `${who}: q, k and v must share one float dtype; got q=${q.dtype}, k=${k.dtype}, v=${v.dtype}. Use cast.`,
  );
}

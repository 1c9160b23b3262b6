import type { backwardParameters } from '../../kernels/attend/backward.js';
import { keeping } from '../../kernels/philox.js';
import type { Tensor } from '../../tensor/tensor.js';
import type { AttendCall } from './call.js';
import type { PartOnDevice } from './on-device.js';
import type { AttendInputs } from './sizes.js';

/** The arguments that all attention kernels share, `k` and `v` being the rows of the part. */
export function sharedArguments(
  { scale, dropout, flags }: AttendCall,
  { shape, tiles, tables }: PartOnDevice,
  { q, k, v }: AttendInputs,
  logsumexp: Tensor,
) {
  const { H, G, L, S } = shape;
  const { perBatch, perHead } = tiles.classes;
  const seed = dropout?.seed ?? 0;
  return {
    q: q.buffer,
    k: k.buffer,
    v: v.buffer,
    logsumexp: logsumexp.buffer,
    ...tables,
    H,
    G,
    L,
    S,
    classPerBatch: perBatch ? (perHead ? H : 1) : 0,
    classPerHead: perHead ? 1 : 0,
    scale,
    seedLow: seed | 0,
    seedHigh: Math.floor(seed / 2 ** 32) | 0,
    ...keeping(dropout?.rate ?? 0),
    flags: flags?.buffer ?? tables.constants,
  };
}

/** What the kernels of the backward pass are given beside their own. */
export type BackwardArguments = ReturnType<typeof sharedArguments> &
  Pick<Parameters<typeof backwardParameters.pack>[0], 'dout' | 'delta'>;

import { concat, slice } from '../../ops/index.js';
import { checkpoint, type Tensor } from '../../tensor/index.js';
import type { Call } from '../define.js';

/** Intermediates that are held at a time, unless those of one key head are more. */
const mostBytes = 2 ** 28;

/**
 * `body` on all heads, or on some key heads after the others where its intermediates, `bytesPerKeyHead` each, are many. Then
 * they are computed again in the backward pass instead of kept.
 */
export function byKeyHeads<C extends Call>(call: C, bytesPerKeyHead: number, body: (call: C) => Tensor): Tensor {
  const { shape } = call;
  const { H, G } = shape;
  const atATime = Math.max(1, Math.floor(mostBytes / bytesPerKeyHead));
  if (atATime >= G) return body(call);
  const share = H / G;
  const parts = Array.from({ length: Math.ceil(G / atATime) }, (_, i) => {
    const [start, end] = [i * atATime, Math.min(G, (i + 1) * atATime)];
    const cut = (x: Tensor, by: number): Tensor => slice(x, { axis: 1, start: start * by, end: end * by });
    const some = { ...shape, G: end - start, H: (end - start) * share };
    const inputs = [cut(call.q, share), cut(call.k, 1), cut(call.v, 1)];
    const [out] = checkpoint((q, k, v) => [body({ ...call, q, k, v, shape: some })], inputs);
    for (const x of inputs) x.dispose();
    return out!;
  });
  return concat(parts, { axis: 1 });
}

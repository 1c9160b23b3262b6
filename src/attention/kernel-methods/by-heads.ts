import { concat, slice } from '../../ops/index.js';
import { recompute, type Tensor } from '../../tensor/index.js';
import type { Call } from '../define.js';

/** Intermediates that are held at a time, unless those of one key head are more. */
const mostBytes = 2 ** 28;

/**
 * `body` on all heads, or on some key heads after the others where its intermediates, `bytesPerKeyHead` each, are many. Then
 * they are computed again in the backward pass instead of kept. Parameters are those of all heads, but for those named in `ofHeads`,
 * whose first axis is query or key heads.
 */
export function byKeyHeads<C extends Call>(
  call: C,
  bytesPerKeyHead: number,
  body: (call: C) => Tensor,
  ofHeads: Readonly<Record<string, 'q' | 'k'>> = {},
): Tensor {
  const { shape } = call;
  const { H, G } = shape;
  const atATime = Math.max(1, Math.floor(mostBytes / bytesPerKeyHead));
  if (atATime >= G) return body(call);
  const share = H / G;
  const names = Object.keys(call.parameters);
  const parts = Array.from({ length: Math.ceil(G / atATime) }, (_, i) => {
    const [start, end] = [i * atATime, Math.min(G, (i + 1) * atATime)];
    const cut = (x: Tensor, by: number, axis = 1): Tensor => slice(x, { axis, start: start * by, end: end * by });
    const some = { ...shape, G: end - start, H: (end - start) * share };
    const inputs = [cut(call.q, share), cut(call.k, 1), cut(call.v, 1)] as const;
    const given = names.map((name) => {
      const x = call.parameters[name]!;
      return ofHeads[name] === undefined ? x : cut(x, ofHeads[name] === 'q' ? share : 1, 0);
    });
    const [out] = recompute(
      (q, k, v, ...rest) => {
        const parameters = Object.fromEntries(names.map((name, n) => [name, rest[n]!]));
        return [body({ ...call, q, k, v, parameters, shape: some })];
      },
      [...inputs, ...given],
    );
    for (const x of inputs) x.dispose();
    names.forEach((name, n) => ofHeads[name] !== undefined && given[n]!.dispose());
    return out!;
  });
  return concat(parts, { axis: 1 });
}

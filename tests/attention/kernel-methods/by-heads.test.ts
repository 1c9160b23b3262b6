import { expect, test } from 'vitest';
import { byKeyHeads } from '../../../src/attention/kernel-methods/by-heads.js';
import type { Call } from '../../../src/attention/index.js';
import { attend } from '../../../src/ops/index.js';
import { disposeAll, gradients, scope, tensor } from '../../../src/tensor/index.js';
import { onEveryDevice } from '../../support/devices.js';
import { uniform } from '../../support/random.js';

const [B, H, G, n, D] = [2, 6, 3, 11, 4];

onEveryDevice((on) => {
  // one key head at a time, two and one, all at once
  test.each([2 ** 28, 2 ** 27, 1])('the same bits for %i bytes a key head, gradients too', async (bytes) => {
    const leaf = (seed: number, heads: number) =>
      tensor(uniform(seed, B * heads * n * D), [B, heads, n, D], { device: on.device, requiresGradient: true });
    const [q, k, v] = [leaf(1, H), leaf(2, G), leaf(3, G)];
    const shape = { B, H, G, L: n, S: n, D, E: D };
    const seen: number[] = [];
    const out = scope(() =>
      byKeyHeads({ q, k, v, shape, parameters: {} } as unknown as Call, bytes, (call) => {
        seen.push(call.shape.G);
        return attend(call.q, call.k, call.v).out;
      }),
    );
    expect(seen).toEqual({ [2 ** 28]: [1, 1, 1], [2 ** 27]: [2, 1], 1: [3] }[bytes]);
    const whole = scope(() => attend(q, k, v).out);
    expect(await out.data()).toEqual(await whole.data());
    const got = gradients([out], [q, k, v], [whole]);
    const want = gradients([whole], [q, k, v], [whole]);
    for (const [i, x] of got.entries()) expect(await x.data()).toEqual(await want[i]!.data());
    disposeAll([q, k, v, out, whole, got, want]);
  });
});

import { expect, test } from 'vitest';
import { normal } from '../../src/core/random.js';
import { splitHeads } from '../../src/ops/heads.js';
import { disposeAll, gradients, scope, tensor } from '../../src/tensor/index.js';
import { onEveryDevice } from '../support/devices.js';

const [B, L, D] = [2, 3, 4];
const heads = [3, 1, 2];
const columns = D * heads.reduce((sum, count) => sum + count, 0);
const x = normal(1, 'x', B * L * columns);
/** Where element (b, h, i, c) of a part whose heads begin at `first` lies in x. */
const place = (first: number, b: number, h: number, i: number, c: number): number =>
  (b * L + i) * columns + (first + h) * D + c;

onEveryDevice((on) => {
  test('each head holds its columns, and its gradient goes back to them', async () => {
    const [outs, dx, partial, cotangents] = scope(() => {
      const input = tensor(x, [B, L, columns], { device: on.device, requiresGradient: true });
      const parts = splitHeads(input, heads);
      const ds = parts.map(({ shape, size }, i) => tensor(normal(2 + i, 'd', size), shape, { device: on.device }));
      const [all] = gradients(parts, [input], ds);
      const [second] = gradients([parts[1]!], [input], [ds[1]!]);
      return [parts, all!, second!, ds] as const;
    });
    const [whole, only] = [await dx.data(), await partial.data()];
    let first = 0;
    for (const [n, count] of heads.entries()) {
      const [out, d] = [await outs[n]!.data(), await cotangents[n]!.data()];
      expect(outs[n]!.shape).toEqual([B, count, L, D]);
      for (let b = 0, at = 0; b < B; b++)
        for (let h = 0; h < count; h++)
          for (let i = 0; i < L; i++)
            for (let c = 0; c < D; c++, at++) {
              const there = place(first, b, h, i, c);
              expect(out[at]).toBe(x[there]);
              expect(whole[there]).toBe(d[at]);
              expect(only[there]).toBe(n === 1 ? d[at] : 0);
            }
      first += count;
    }
    disposeAll([outs, dx, partial, cotangents]);
  });

  test('columns that are no heads are refused', () => {
    scope(() => {
      expect(() => splitHeads(tensor(x, [B, L, columns], { device: on.device }), [5])).toThrow(
        'splitHeads: x must be [B,L,C] with C a multiple of the 5 heads; got [2,3,24].',
      );
    });
  });
});

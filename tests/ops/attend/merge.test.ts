import { expect, test } from 'vitest';
import { normal } from '../../../src/core/random.js';
import { mask, type Mask } from '../../../src/masks/index.js';
import { attend } from '../../../src/ops/attend.js';
import { mergeAttention } from '../../../src/ops/attend/merge.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { expectClose } from '../../support/compare.js';
import { onWebAssemblyFirst } from '../../support/devices.js';

const [B, H, L, S, D] = [2, 3, 37, 53, 8];
const before = (m: number): Mask => mask(({ k }) => k.lt(m));
const from = (m: number): Mask => mask(({ k }) => k.ge(m));

/** The largest difference that rounding of either way may make: two roundings of each of a few operations. */
const rounding = (numbers: ArrayLike<number>): number => 16 * 2 ** -24 * Math.max(...Array.from(numbers, Math.abs), 1);

onWebAssemblyFirst((on) => {
  const make = (name: string, shape: number[], requiresGradient = true): Tensor =>
    tensor(
      normal(
        7,
        name,
        shape.reduce((a, b) => a * b),
      ),
      shape,
      { device: on.device, requiresGradient },
    );

  // a split at 0 leaves one part without any key: (0, −∞) is the identity
  test.each([0, 1, 20, S - 1])(
    'attention over two sets of keys merges to attention over both, split at %i',
    async (m) => {
      const [q, k, v] = [make('q', [B, H, L, D]), make('k', [B, H, S, D]), make('v', [B, H, S, D])];
      const dout = make('dout', [B, H, L, D], false);
      const dlse = make('dlse', [B, H, L], false);
      const run = (parts: readonly Mask[]): Tensor[] =>
        scope(() => {
          const results = parts.map((part) => attend(q, k, v, { mask: part }));
          const { out, logsumexp } = results.length === 1 ? results[0]! : mergeAttention(results[0]!, results[1]!);
          return [out, logsumexp, ...gradients([out, logsumexp], [q, k, v], [dout, dlse])];
        });
      const whole = run([before(S)]);
      const merged = run([before(m), from(m)]);
      for (const [i, name] of ['out', 'logsumexp', 'dq', 'dk', 'dv'].entries()) {
        const want = await whole[i]!.data();
        expectClose(name, await merged[i]!.data(), want, { budget: rounding(want) });
      }
      disposeAll([q, k, v, dout, dlse, whole, merged]);
    },
  );

  test('rows without any key in either part stay 0 and −∞, with gradient 0', async () => {
    const [q, k, v] = [make('q', [B, H, L, D]), make('k', [B, H, S, D]), make('v', [B, H, S, D])];
    const nothing = mask(({ k: key }) => key.lt(0));
    const found = scope(() => {
      const { out, logsumexp } = mergeAttention(attend(q, k, v, { mask: nothing }), attend(q, k, v, { mask: nothing }));
      return [out, logsumexp, ...gradients([out], [q, k, v], [make('dout', [B, H, L, D], false)])];
    });
    const [out, logsumexp, ...rest] = await Promise.all(found.map((x) => x.data()));
    expect(new Set(out)).toEqual(new Set([0]));
    expect(new Set(logsumexp)).toEqual(new Set([-Infinity]));
    for (const gradient of rest) expect(Math.max(...Array.from(gradient, Math.abs))).toBe(0);
    disposeAll([q, k, v, found]);
  });

  test('refuses parts of different shapes', () => {
    const [q, k] = [make('q', [1, 1, 4, 8]), make('k', [1, 1, 6, 8])];
    const [a, b] = [attend(q, k, k), attend(k, k, k)];
    expect(() => mergeAttention(a, b)).toThrow(/same shapes .*\[1,1,4,8\].*\[1,1,6,8\]/);
    disposeAll([q, k, a.out, a.logsumexp, b.out, b.logsumexp]);
  });
});

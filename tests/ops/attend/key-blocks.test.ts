import { expect, test } from 'vitest';
import { blocks, causal, dense, fixed, within, type Mask } from '../../../src/masks/index.js';
import { predicate } from '../../masks/brute.js';
import { attend } from '../../../src/ops/index.js';
import { keyBlocksFor } from '../../../src/ops/attend/key-blocks.js';
import { bias } from '../../../src/scores/index.js';
import { disposeAll, gradients, tensor, type Tensor } from '../../../src/tensor/index.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';

const [n, D] = [400, 16];
const shape = { B: 1, H: 2, G: 1, L: n, S: n };

test('blocks of the mask, where a step of keys is made of them', () => {
  const sizes = (mask: Mask): readonly number[] => keyBlocksFor(mask.expression(shape));
  expect(keyBlocksFor(null)).toEqual([16]);
  expect(sizes(within({ radius: 9 }).and(causal()))).toEqual([16]);
  expect(sizes(blocks({ size: 64 }))).toEqual([16, 64]);
  expect(sizes(blocks({ size: 160 }).or(blocks({ size: 64 })))).toEqual([16, 32]);
  expect(sizes(blocks({ size: 21 }))).toEqual([16]);
  expect(sizes(fixed({ stride: 96, columns: 8 }))).toEqual([16, 48]);
});

onEveryDevice((on) => {
  const masks = {
    'blocks of 64': blocks({ size: 64 }),
    'blocks of 128, two sizes': blocks({ size: 128 }).or(blocks({ size: 80 })),
    'blocks of 64, causal': blocks({ size: 64 }).and(causal()),
  };
  test.each(Object.entries(masks))('%s: what the same pairs give one by one', async (_, mask) => {
    const { device } = on;
    const create = (seed: number, extents: readonly number[]): Tensor =>
      tensor(
        normal(
          seed,
          extents.reduce((a, b) => a * b),
        ),
        extents,
        { device, requiresGradient: true },
      );
    const leaves = [create(1, [1, 2, n, D]), create(2, [1, 1, n, D]), create(3, [1, 1, n, D]), create(4, [n])];
    const cotangent = create(5, [1, 2, n, D]);
    const allowed = predicate(mask.expression(shape), shape);
    const list = dense(
      Float32Array.from({ length: n * n }, (_unused, i) => Number(allowed(0, 0, Math.floor(i / n), i % n))),
      [n, n],
    );
    const run = async (by: Mask): Promise<{ counters: ReturnType<typeof attend>['counters']; all: Float32Array[] }> => {
      const [q, k, v, table] = leaves as [Tensor, Tensor, Tensor, Tensor];
      const { out, logsumexp, counters } = attend(q, k, v, { mask: by, score: bias(table) });
      const found = gradients([out], leaves, [cotangent]);
      const all = await Promise.all([out, logsumexp, ...found].map(async (x) => Float32Array.from(await x.data())));
      disposeAll([out, logsumexp, ...found]);
      return { counters, all };
    };
    const [own, want] = [await run(mask), await run(list)];
    expect(own.counters.pairsNeeded).toBe(want.counters.pairsNeeded);
    expect(own.counters.pairsVisited).toBeLessThanOrEqual(want.counters.pairsVisited);
    // the same sums in another order: 400 terms at most
    want.all.forEach((numbers, i) =>
      expectClose(`result ${i}`, own.all[i]!, numbers, { budget: 400 * 2 ** -24 * Math.max(...numbers.map(Math.abs)) }),
    );
    disposeAll([...leaves, cotangent]);
  });

  test('a mask of whole blocks is never evaluated, and nothing is visited in vain', () => {
    const x = tensor(normal(1, n * D), [1, 1, n, D], { device: on.device });
    const { out, logsumexp, counters } = attend(x, x, x, { mask: blocks({ size: 64 }) });
    expect(counters.tiles.partial).toBe(0);
    expect(counters.pairsVisited).toBe(counters.pairsNeeded);
    disposeAll([x, out, logsumexp]);
  });
});

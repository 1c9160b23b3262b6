// of kernels/pool-rows/{launch,rows,weights}

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { poolRows } from '../../src/ops/pool-rows.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { poolRows as oracle, poolRowsGradients, type PoolCase } from '../oracles/pool-rows.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { checkOperation, exact, type Round } from '../support/operation.js';
import { uniform } from '../support/random.js';

type Four = readonly [number, number, number, number];

/** With weights of each batch and head, or one for all. */
const caseOf = ([B, H, n, C]: Four, taps: number, stride: number, one: 'batch' | 'heads' | 'both' | ''): PoolCase => ({
  x: [B, H, n, C],
  weights: [
    one === 'batch' || one === 'both' ? 1 : B,
    one === 'heads' || one === 'both' ? 1 : H,
    Math.ceil(n / stride),
    taps,
  ],
  stride,
});

onEveryDevice((on) => {
  const floats = (data: ArrayLike<number>, shape: readonly number[], requiresGradient = false): Tensor =>
    tensor(Float32Array.from(data), shape, { device: on.device, requiresGradient });

  const check = (of: PoolCase): Promise<void> =>
    checkOperation(on.device, {
      name: `poolRows ${JSON.stringify(of)}`,
      shapes: [of.x, of.weights],
      run: (x, w) => poolRows(x, w, { stride: of.stride }),
      forward: (r, x, w) => oracle(of, x, w, r),
      backward: (r, d, x, w) => poolRowsGradients(of, d, x, w, r),
    });

  // one row, slots that touch, overlap and leave rows out, lengths the stride does not divide, windows past the end
  test.each([
    [[1, 1, 1, 1], 1, 1, ''],
    [[1, 2, 9, 5], 3, 3, ''],
    [[2, 2, 10, 5], 5, 4, ''],
    [[2, 3, 23, 1], 5, 3, 'batch'],
    [[2, 3, 17, 5], 2, 4, 'heads'],
    [[2, 2, 13, 64], 4, 1, 'both'],
    [[1, 2, 14, 64], 5, 4, 'heads'],
    [[1, 1, 7, 37], 20, 3, ''],
    [[1, 2, 5, 3], 8, 2 ** 31, 'batch'],
  ] as const)('%j with %i taps, stride %i, shared: %s', (shape, taps, stride, one) =>
    check(caseOf(shape, taps, stride, one)),
  );

  test('random shapes', () =>
    fc.assert(
      fc.asyncProperty(
        fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 7 }),
        fc.constantFrom('batch', 'heads', 'both', ''),
        ([B, H], n, C, taps, stride, one) => check(caseOf([B, H, n, C], taps, stride, one)),
      ),
      { seed: 3, numRuns: 15 },
    ));

  test('a NaN reaches the slots that see its row; weights of rows that are not there are never read', async () => {
    const data = new Float32Array(2 * 10 * 3).fill(1);
    data[6 * 3 + 1] = NaN;
    // slots 0, 4 and 8 of 5 rows: the last has two
    const weights = new Float32Array(2 * 3 * 5).fill(1);
    for (const matrix of [0, 1]) weights.fill(NaN, (matrix * 3 + 2) * 5 + 2, (matrix * 3 + 3) * 5);
    const results = scope(() => {
      const [x, w] = [floats(data, [1, 2, 10, 3], true), floats(weights, [1, 2, 3, 5], true)];
      const out = poolRows(x, w, { stride: 4 });
      return [out, ...gradients([out], [x, w], [floats(new Float32Array(18).fill(1), [1, 2, 3, 3])])];
    });
    const [out, dx, dw] = await Promise.all(results.map(async (one) => Array.from(await one.data())));
    expect(out).toEqual([5, 5, 5, 5, NaN, 5, 2, 2, 2, 5, 5, 5, 5, 5, 5, 2, 2, 2]);
    const seen = [1, 1, 1, 1, 2, 1, 1, 1, 2, 1].flatMap((slots) => [slots, slots, slots]);
    expect(dx).toEqual([...seen, ...seen]);
    expect(dw!.slice(0, 15)).toEqual([3, 3, 3, 3, 3, 3, 3, NaN, 3, 3, 3, 3, 0, 0, 0]);
    disposeAll(results);
  });

  test('several tasks a matrix: values, the same bits for every number of threads, counted products', async () => {
    const of = caseOf([1, 2, 3301, 64], 5, 2, 'heads');
    const pooled = [1, 2, 1651, 64];
    const [x, w, d] = [uniform(1, 2 * 3301 * 64), uniform(2, 1651 * 5), uniform(3, 2 * 1651 * 64)];
    const results = await withThreads(on.kind, [1, 2], async (device) => {
      const before = device.counters.multiplyAdds;
      const outs = scope(() => {
        const leaves = [tensor(x, of.x, { device, requiresGradient: true })];
        leaves.push(tensor(w, of.weights, { device, requiresGradient: true }));
        const y = poolRows(leaves[0]!, leaves[1]!, { stride: 2 });
        return [y, ...gradients([y], leaves, [tensor(d, pooled, { device })])];
      });
      expect(device.counters.multiplyAdds - before).toBe(3 * d.length * 5);
      const numbers = await Promise.all(outs.map((out) => out.data()));
      disposeAll(outs);
      return numbers as Float32Array[];
    });
    const run = (r: Round): Float64Array[] => [oracle(of, x, w, r), ...poolRowsGradients(of, d, x, w, r)];
    const [want, plain] = [run(exact), run(Math.fround)];
    ['values', 'gradient of x', 'gradient of the weights'].forEach((what, i) => {
      expectClose(what, results[0]![i]!, want[i]!, { budget: plain[i]! });
      expectSameBits(`${what}, 2 threads`, results[1]![i]!, results[0]![i]!);
    });
  });

  test('only what a gradient reads stays alive', () => {
    const live = (): number => on.device.ledger.live();
    const kept = (needs: readonly [boolean, boolean]): number => {
      const before = live();
      const leaves = [floats(uniform(1, 2000), [1, 1, 1000, 2], needs[0])];
      leaves.push(floats(uniform(2, 1000), [1, 1, 500, 2], needs[1]));
      const out = poolRows(leaves[0]!, leaves[1]!, { stride: 2 });
      disposeAll(leaves);
      const bytes = live() - before;
      out.dispose();
      return bytes;
    };
    const [none, x, weights, both] = [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ].map((needs) => kept(needs as [boolean, boolean]));
    expect(x! - none!).toBeLessThan(weights! - none!);
    expect(both! - none!).toBe(x! - none! + (weights! - none!));
  });

  test('narrow storage, and what it refuses', () =>
    scope(() => {
      const x = floats([1, 2, 3, 4, 5, 6], [1, 2, 3, 1]);
      const narrow = tensor([1, 2], [1, 1, 2, 1], { device: on.device, dtype: 'bf16' });
      expect(poolRows(narrow, narrow, { stride: 1 }).dtype).toBe('bf16');
      const rule = 'poolRows: x must be [B,H,n,C] and weights [B or 1, H or 1, ⌈n/stride⌉, κ];';
      const wrong: [readonly number[], string][] = [
        [[1, 2, 3, 2], '[1,2,3,2]'], // stride 2 makes 2 slots
        [[1, 2, 1, 2], '[1,2,1,2]'],
        [[2, 2, 2, 2], '[2,2,2,2]'],
        [[1, 3, 2, 2], '[1,3,2,2]'],
        [[2, 2, 2], '[2,2,2]'],
      ];
      for (const [shape, shown] of wrong) {
        const weights = floats(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
        expect(() => poolRows(x, weights, { stride: 2 })).toThrow(
          `${rule} got x=[1,2,3,1], weights=${shown}, stride 2.`,
        );
      }
      for (const stride of [0, 1.5, NaN]) {
        expect(() => poolRows(x, x, { stride })).toThrow(
          `poolRows: stride must be a whole number of at least 1; got ${stride}.`,
        );
      }
      const integers = tensor(Int32Array.of(1, 1, 1), [1, 1, 3, 1], { device: on.device });
      expect(() => poolRows(x, integers, { stride: 1 })).toThrow(
        'poolRows: takes f32, f16 or bf16; got x f32, weights i32.',
      );
    }));
});

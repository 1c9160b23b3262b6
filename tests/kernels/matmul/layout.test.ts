import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { depth, panelColumns, planMultiply, planVector } from '../../../src/kernels/matmul/layout.js';
import { registerTile } from '../../../src/kernels/tile.js';

const extent = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 100_000 }));
const shapes = fc.record({ batches: fc.integer({ min: 1, max: 200 }), M: extent, N: extent, K: extent });

test('tasks cover the product once', () =>
  fc.assert(
    fc.property(shapes, fc.constantFrom(4, 8, 16), (shape, width) => {
      const plan = planMultiply(shape, width);
      const within = (parts: number, each: number, all: number): void => {
        expect((parts - 1) * each).toBeLessThan(all);
        expect(parts * each).toBeGreaterThanOrEqual(all);
      };
      within(plan.blocks, plan.blockRows, shape.M);
      within(plan.panels, panelColumns(width), shape.N);
      within(plan.ranges, plan.panelsPerRange, plan.panels);
      within(plan.splits, plan.splitDepth, shape.K);
      expect(plan.blockRows % registerTile(width).rows).toBe(0);
      expect(plan.splitDepth % depth).toBe(0);
      expect(plan.tasks).toBe(shape.batches * plan.blocks * plan.ranges * plan.splits);
      const row = planVector(shape);
      within(row.ranges, row.columns, shape.N);
      within(row.splits, row.splitDepth, shape.K);
    }),
    { seed: 2, numRuns: 500 },
  ));

test('small products are one task, large ones many', () => {
  for (const width of [4, 16]) {
    expect(planMultiply({ batches: 1, M: 32, N: 32, K: 32 }, width).tasks).toBe(1);
    expect(planMultiply({ batches: 1, M: 1024, N: 1024, K: 1024 }, width).tasks).toBeGreaterThanOrEqual(24);
    // the gradient of a weight: a long inner sum over few tiles
    expect(planMultiply({ batches: 1, M: 64, N: 64, K: 65_536 }, width).tasks).toBeGreaterThanOrEqual(24);
    expect(planMultiply({ batches: 1, M: 8, N: 4096, K: 4096 }, width).tasks).toBeGreaterThanOrEqual(16);
  }
});

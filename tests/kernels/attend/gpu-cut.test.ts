import { expect, test } from 'vitest';
import type { GpuTarget } from '../../../src/codegen/gpu.js';
import { keysCut, queriesCut } from '../../../src/kernels/attend/gpu/backward.js';
import { forwardCut } from '../../../src/kernels/attend/gpu/forward.js';
import { tableCut } from '../../../src/kernels/attend/gpu/table.js';
import { specialise } from '../../../src/ops/attend/specialise.js';

const core: GpuTarget = { workgroupBytes: 16384, invocations: 256, width: 32, f16: false };
const shape = { B: 1, H: 1, G: 1, L: 64, S: 64 };

test.each([core, { ...core, workgroupBytes: 32768 }])(
  'every head fits workgroup memory of $workgroupBytes bytes',
  (target) => {
    for (const D of [1, 4, 64, 80, 128, 256, 832, 2048]) {
      for (const E of [1, 64, 128, 256]) {
        for (const queryTile of [16, 32, 64]) {
          for (const keyBlock of [16, 32, 48, 64]) {
            const sizes = { D, E, dropout: false, period: 1, queryTile, keyBlock };
            const { spec } = specialise(undefined, undefined, sizes, shape);
            for (const cutOf of [forwardCut, queriesCut, keysCut, tableCut]) {
              const cut = cutOf(target, spec);
              // what is uniform takes a vector beside
              expect(16 * (cut.vectors + 1), JSON.stringify([D, E, queryTile, keyBlock])).toBeLessThanOrEqual(
                target.workgroupBytes,
              );
              expect(cut.invocations).toBeLessThanOrEqual(target.invocations);
              expect(cut.columns).toBeGreaterThan(0);
            }
          }
        }
      }
    }
  },
);

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WebGpuDevice } from '../../src/devices/webgpu/device.js';
import { noWebGpu, webGpuDevice } from '../support/webgpu.js';
import { onGpuAndInterpreted } from '../support/gpu-against-interpreter.js';
import { uniform } from '../support/random.js';
import { acrossLanes, cases, everyOperation, results } from './every-operation.js';
import {
  BYTES,
  everyAccess,
  indices,
  loads,
  MAX_WIDTH,
  medium,
  REGION,
  small,
  stores,
  values,
} from './every-access.js';
import { COUNT, floatLiterals, fromBits, integerLiterals, operandsOf } from './vector-cases.js';

const words = (bytes: Uint8Array): Int32Array => new Int32Array(bytes.slice().buffer);
const TINY = 1.17549435e-38;

/** Floats that mean the same on a GPU: any NaN for NaN, and 0 for what is subnormal. */
function alike(got: number, want: number, tolerance = 0): boolean {
  const [a, b] = [fromBits(got), fromBits(want)];
  if (got === want || (Number.isNaN(a) && Number.isNaN(b))) return true;
  return Math.abs(a - b) <= Math.max(tolerance * Math.abs(b), Math.abs(b) < 64 * TINY ? 64 * TINY : 0);
}

describe.skipIf(noWebGpu !== undefined)(`WGSL ${noWebGpu ?? ''}`, () => {
  describe.each([1, 8, 32])('%i lanes', (width) => {
    let device: WebGpuDevice;
    beforeAll(async () => {
      device = await webGpuDevice({ width });
    });
    afterAll(() => device.dispose());

    test('every operation is what the interpreter says', async () => {
      const args = [
        ...operandsOf.f32,
        ...operandsOf.i32,
        new Int32Array(COUNT * cases.length),
        new Int32Array(COUNT * acrossLanes.length),
        new Int32Array(2 * width * COUNT),
        new Int32Array(2 * (floatLiterals.length + integerLiterals.length)),
      ];
      const { got, want } = await onGpuAndInterpreted(device, everyOperation, args);
      const [a, b, c] = operandsOf.f32;
      const wrong: string[] = [];
      const [out, wanted] = [words(got[6]!), words(want[6]!)];
      cases.forEach((one, slot) => {
        const { type, operation, lanes } = one;
        const [x, y, z] = operandsOf[type];
        for (let i = 0; i < COUNT; i++) {
          if (operation.unspecified?.(x[i]!, y[i]!)) continue;
          const at = slot * COUNT + i;
          const subnormal = type === 'f32' && [a[i]!, b[i]!, c[i]!].some((v) => v !== 0 && Math.abs(v) < TINY);
          if (subnormal || out[at] === wanted[at]) continue;
          // division and square root have errors of their own on a GPU
          const tolerance = ['div', 'sqrt'].includes(operation.name) ? 3e-7 : operation.name === 'fma' ? 1 : 0;
          if (results.get(one) === 'f32' && alike(out[at]!, wanted[at]!, tolerance)) continue;
          wrong.push(
            `${lanes} ${operation.name} of ${type} ${x[i]}, ${y[i]}, ${z[i]}: got ${out[at]}, want ${wanted[at]}`,
          );
        }
      });
      expect(wrong.slice(0, 20)).toEqual([]);
      for (const slot of [7, 8, 9]) {
        const [mine, theirs] = [words(got[slot]!), words(want[slot]!)];
        const at = mine.findIndex((value, i) => !alike(value, theirs[i]!));
        expect(at, `argument ${slot}: got ${mine[at]}, want ${theirs[at]}`).toBe(-1);
      }
    });

    test('every access is what the interpreter says, whole and in part', async () => {
      for (const count of [-3, 0, 1, 5, width - 1, width, width + 3, -(2 ** 31), 2 ** 31 - 1]) {
        const out = new Int32Array(MAX_WIDTH * loads.length);
        const to = new Uint8Array(REGION * stores.length).fill(0xee);
        const source = uniform(3, BYTES / 4, -100, 100);
        const index = Int32Array.from(indices);
        const args = [source, to, out, { addressesOf: [1, 0] }, index, values, small, medium, count, 3];
        const { got, want } = await onGpuAndInterpreted(device, everyAccess, args);
        loads.forEach(({ name }, slot) => {
          const part = (bytes: Uint8Array): number[] => [
            ...words(bytes).subarray(slot * MAX_WIDTH, slot * MAX_WIDTH + width),
          ];
          expect(part(got[2]!), `${name}, count ${count}`).toEqual(part(want[2]!));
        });
        stores.forEach(({ name }, slot) => {
          const part = (bytes: Uint8Array): Uint8Array => bytes.subarray(slot * REGION, (slot + 1) * REGION);
          expect(Buffer.compare(part(got[1]!), part(want[1]!)), `${name}, count ${count}`).toBe(0);
        });
      }
    });
  });
});

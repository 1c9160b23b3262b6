import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GpuText, Kernel } from '../../../src/codegen/kernel.js';
import type { GpuTarget } from '../../../src/codegen/gpu.js';
import type { WebGpuDevice } from '../../../src/devices/webgpu/device.js';
import { forwardCut } from '../../../src/kernels/attend/gpu/forward.js';
import { causal, within } from '../../../src/masks/index.js';
import { planAttend, type AttendPlan } from '../../../src/ops/attend/plan.js';
import { attend } from '../../../src/ops/attend.js';
import { scope, tensor } from '../../../src/tensor/index.js';
import { normal } from '../../support/random.js';
import { noWebGpu, webGpuDevice } from '../../support/webgpu.js';

const core: GpuTarget = { workgroupBytes: 16384, invocations: 256, width: 32, f16: false };
const desktop: GpuTarget = { ...core, workgroupBytes: 32768 };

const shapeOf = (n: number) => ({ B: 1, H: 1, G: 1, L: n, S: n });
const planFor = (n: number, D: number, mask: Parameters<typeof planAttend>[1] = null): AttendPlan =>
  planAttend(shapeOf(n), mask, undefined, { D, E: D, dropout: false });

/** Numbers of q, k and v that are read if a workgroup of `own` queries reads its own once, and each key and value that it visits once. */
function ideal(plan: AttendPlan, own: number): number {
  const [{ spec, tiles, shape }] = plan.parts as [AttendPlan['parts'][0]];
  let keys = 0;
  for (let row = 0; row < tiles.rows; row++) {
    const cuttings = Math.ceil(Math.min(spec.queryTile, shape.L - row * spec.queryTile) / own);
    for (let run = tiles.rowOffsets[row]!; run < tiles.rowOffsets[row + 1]!; run++) {
      const [first, end] = [tiles.runs[3 * run]!, tiles.runs[3 * run + 1]!];
      keys += cuttings * (Math.min(end * spec.keyBlock, shape.S) - first * spec.keyBlock);
    }
  }
  return shape.L * spec.D + keys * (spec.D + spec.E);
}

/** The same text, which counts what it reads of tensors instead of giving results: a number for each invocation of each task. */
function counting({ wgsl, workgroupSize, ...rest }: GpuText, counts: number): GpuText {
  const counted = wgsl
    .replace(
      /fn load_f32\(i: u32\) -> f32 \{[^}]*\}/,
      'var<private> reads: u32;\nfn load_f32(i: u32) -> f32 { reads += 1u; return bitcast<f32>(arena[i]); }',
    )
    .replace('fn run(', 'fn work(');
  return {
    ...rest,
    workgroupSize,
    wgsl: `${counted}
fn run(task: u32, lane: u32) {
  reads = 0u;
  work(task, lane);
  arena[${counts / 4}u + task * ${workgroupSize}u + lane] = reads;
}`,
  };
}

describe.skipIf(noWebGpu !== undefined)(`what attention on WebGPU reads ${noWebGpu ?? ''}`, () => {
  let device: WebGpuDevice;
  beforeAll(async () => {
    device = await webGpuDevice();
  });
  afterAll(() => device.dispose());

  test.each([
    ['all pairs', undefined],
    ['a causal window: pairs visited and no others', causal().and(within({ radius: 40 }))],
  ] as const)('%s: each tile of queries once, and its keys and values once', async (_, mask) => {
    const [n, D] = [128, 8];
    const plan = planFor(n, D, mask?.expression(shapeOf(n)) ?? null);
    const { spec, visited } = plan.parts[0]!;
    const { own, invocations } = forwardCut(device.target, spec);
    const counts = device.allocate(4 * (n / own) * invocations, 'workspace');
    device.write(counts, new Uint32Array(counts.byteLength / 4));
    const run = device.run.bind(device);
    device.run = (kernel: Kernel, ...rest) =>
      run(
        { ...kernel, key: `${kernel.key}/counting`, gpu: (target) => counting(kernel.gpu!(target)!, counts.address) },
        ...rest,
      );
    const x = normal(3, n * D);
    const make = () => tensor(x, [1, 1, n, D], { device });
    scope(() => void attend(make(), make(), make(), mask ? { mask } : {}));
    device.run = run;
    const reads = new Uint32Array((await device.read(counts)).slice().buffer).reduce((a, b) => a + b, 0);
    device.free(counts);
    expect(reads).toBe(ideal(plan, own));
    // dispatched work is the pairs visited
    expect((reads - n * D) / (2 * D)).toBe(visited.pairs / own);
  });
});

test('at n = 4096 with heads of 64: what is read beside the ideal of tiles of 64 queries', () => {
  const plan = planFor(4096, 64);
  const { spec } = plan.parts[0]!;
  const best = ideal(plan, spec.queryTile);
  const of = (target: GpuTarget) => {
    const { own, resident, vectors } = forwardCut(target, spec);
    return { own, resident, bytes: 16 * vectors, against: ideal(plan, own) / best };
  };
  expect(spec.queryTile).toBe(64);
  // 32 KiB hold the tile of 64 queries, 16 KiB one of 32, which reads keys twice as often
  const [large, small] = [of(desktop), of(core)];
  expect(large).toMatchObject({ own: 64, resident: true, against: 1 });
  expect(small).toMatchObject({ own: 32, resident: true });
  expect(small.against).toBeCloseTo(1.98, 1);
  expect(large.bytes).toBeLessThanOrEqual(32768 - 64);
  expect(small.bytes).toBeLessThanOrEqual(16384 - 64);
});

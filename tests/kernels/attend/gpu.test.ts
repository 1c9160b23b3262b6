import { afterAll, beforeAll, describe, test } from 'vitest';
import { philox } from '../../../src/core/random.js';
import { keeping } from '../../../src/kernels/philox.js';
import type { WebGpuDevice } from '../../../src/devices/webgpu/device.js';
import type { AttendOptions } from '../../../src/ops/attend.js';
import * as scores from '../../../src/scores/index.js';
import { inputs } from '../../ops/attend-arbitrary.js';
import { run, type Setting } from '../../ops/attend-run.js';
import type { AttendProblem, Pair } from '../../oracles/attend.js';
import { expectedOf, expectResults } from '../../oracles/attend-budget.js';
import * as rules from '../../oracles/rules.js';
import { expectSameBits } from '../../support/compare.js';
import { noWebGpu, webGpuDevice } from '../../support/webgpu.js';

interface Case {
  readonly shape: Parameters<typeof inputs>[0];
  readonly D: number;
  readonly E: number;
  readonly problem?: (problem: AttendProblem) => Partial<AttendProblem>;
  readonly options?: AttendOptions;
}

const rate = 0.3;
/** What dropout multiplies a weight by, from the counters that every device takes. */
const dropped =
  (seed: number, { H }: AttendProblem) =>
  ({ b, h, i, j }: Pair): number => {
    const { keepBelow, keepFactor } = keeping(rate);
    const words = philox([i, j >>> 2, b * H + h, 0], [seed, 0]);
    return words[j & 3]! >>> 1 < keepBelow ? keepFactor : 0;
  };

// each is a program to compile: of every kind one
const cases: Record<string, Case> = {
  'shorter than a tile, heads of 4': { shape: { B: 1, H: 2, G: 1, L: 3, S: 5 }, D: 4, E: 4 },
  'a row more than a tile, grouped heads, L ≠ S': { shape: { B: 2, H: 4, G: 2, L: 33, S: 65 }, D: 64, E: 64 },
  'a score and dropout': {
    shape: { B: 1, H: 2, G: 2, L: 31, S: 47 },
    D: 16,
    E: 10,
    options: { score: scores.softcap(5), dropout: { rate, seed: 77 } },
    problem: (p) => ({ score: [rules.softcap(5)], keep: dropped(77, p) }),
  },
};

describe.skipIf(noWebGpu !== undefined)(`attention on WebGPU ${noWebGpu ?? ''}`, () => {
  let device: WebGpuDevice;
  beforeAll(async () => {
    device = await webGpuDevice();
  });
  afterAll(() => device.dispose());

  test.each(Object.entries(cases))('%s', async (name, { shape, D, E, problem, options = {} }) => {
    const given = inputs(shape, D, E, 61);
    const asked = { ...given.problem, ...problem?.(given.problem) };
    const setting: Setting = { problem: asked, options: () => options };
    const { results } = await run(device, setting);
    expectResults(name, results, expectedOf(asked));
    const again = await run(device, setting);
    for (const key of Object.keys(results)) expectSameBits(key, again.results[key]!, results[key]!);
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { philox } from '../../../src/core/random.js';
import { keeping } from '../../../src/kernels/philox.js';
import * as masks from '../../../src/masks/index.js';
import type { WebGpuDevice } from '../../../src/devices/webgpu/device.js';
import type { AttendOptions } from '../../../src/ops/attend.js';
import * as scores from '../../../src/scores/index.js';
import type { Tensor } from '../../../src/tensor/index.js';
import { inputs } from '../../ops/attend-arbitrary.js';
import { run, type Setting, type TableData } from '../../ops/attend-run.js';
import type { AttendProblem, Pair } from '../../oracles/attend.js';
import { expectedOf, expectResults } from '../../oracles/attend-budget.js';
import * as rules from '../../oracles/rules.js';
import { expectSameBits } from '../../support/compare.js';
import { normal } from '../../support/random.js';
import { full, sweep } from '../../support/full.js';
import { coreWebGpu, noWebGpu, webGpuDevice } from '../../support/webgpu.js';

interface Case {
  readonly shape: Parameters<typeof inputs>[0];
  readonly D: number;
  readonly E: number;
  readonly problem?: (problem: AttendProblem) => Partial<AttendProblem>;
  readonly options?: (table: Tensor) => AttendOptions;
  readonly table?: TableData;
  /** Whether the full run alone has it: it is a large program to compile. */
  readonly large?: boolean;
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

const t5 = { buckets: 8, maxDistance: 40, bidirectional: false };
const t5Table = { data: normal(5, 16), shape: [8, 2] };
const biasTable = { data: normal(6, 2 * 18 * 21), shape: [1, 2, 18, 21] };

// each is a program to compile: of every kind one
const cases: Record<string, Case> = {
  'shorter than a tile, heads of 4': { shape: { B: 1, H: 2, G: 1, L: 3, S: 5 }, D: 4, E: 4, large: true },
  'causal, a row more than a tile, grouped heads, L ≠ S': {
    shape: { B: 2, H: 4, G: 2, L: 33, S: 65 },
    D: 18,
    E: 10,
    options: () => ({ causal: true }),
    problem: (p) => ({ allowed: rules.causal(p) }),
  },
  'rows that see no key': {
    shape: { B: 1, H: 1, G: 1, L: 37, S: 20 },
    D: 18,
    E: 10,
    options: () => ({ causal: true }),
    problem: (p) => ({ allowed: rules.causal(p) }),
  },
  'a window in residue classes, with dropout': {
    shape: { B: 1, H: 2, G: 2, L: 63, S: 63 },
    D: 16,
    E: 12,
    options: () => ({ mask: masks.dilated({ dilation: 3, radiusSlots: 4 }), dropout: { rate, seed: 77 } }),
    problem: (p) => ({ allowed: rules.dilated(3, 4)(p), keep: dropped(77, p) }),
  },
  'a score and dropout': {
    shape: { B: 1, H: 2, G: 2, L: 31, S: 47 },
    D: 16,
    E: 10,
    options: () => ({ score: scores.softcap(5), dropout: { rate, seed: 77 } }),
    problem: (p) => ({ score: [rules.softcap(5)], keep: dropped(77, p) }),
    large: true,
  },
  'parts that add to each other': {
    shape: { B: 1, H: 2, G: 1, L: 130, S: 130 },
    D: 8,
    E: 8,
    options: () => ({ mask: masks.strided({ stride: 12 }) }),
    problem: (p) => ({ allowed: rules.strided(12)(p) }),
    large: true,
  },
  'a small learned table': {
    shape: { B: 1, H: 2, G: 1, L: 50, S: 50 },
    D: 16,
    E: 16,
    options: (table) => ({ causal: true, score: scores.t5Bias(table, t5) }),
    problem: (p) => ({ allowed: rules.causal(p), score: [rules.t5(t5Table.data, t5, p)] }),
    table: t5Table,
  },
  'a learned bias of pairs': {
    shape: { B: 1, H: 2, G: 2, L: 18, S: 21 },
    D: 8,
    E: 8,
    options: (table) => ({ score: scores.bias(table) }),
    problem: () => ({ score: [rules.bias(biasTable.data, biasTable.shape)] }),
    table: biasTable,
    large: true,
  },
  'heads of 64': { shape: { B: 1, H: 1, G: 1, L: 65, S: 70 }, D: 64, E: 64, large: true },
  'heads of 80 and 128': { shape: { B: 1, H: 1, G: 1, L: 31, S: 33 }, D: 80, E: 128, large: true },
  'queries and keys wider than registers': { shape: { B: 1, H: 2, G: 1, L: 17, S: 20 }, D: 832, E: 8, large: true },
  // a tile of the map is then of several workgroups
  'values of 200': { shape: { B: 1, H: 1, G: 1, L: 64, S: 40 }, D: 8, E: 200, large: true },
  'queries and keys of 200': { shape: { B: 1, H: 1, G: 1, L: 64, S: 40 }, D: 200, E: 8, large: true },
};

describe.skipIf(noWebGpu !== undefined)(`attention on WebGPU ${noWebGpu ?? ''}`, () => {
  let device: WebGpuDevice;
  beforeAll(async () => {
    device = await webGpuDevice();
  });
  afterAll(() => device.dispose());

  test.each(Object.entries(cases).filter(([, { large }]) => full || !large))('%s', async (name, c) => {
    const { shape, D, E, problem, options, table } = c;
    const given = inputs(shape, D, E, 61);
    const asked = { ...given.problem, ...problem?.(given.problem) };
    const setting: Setting = {
      problem: asked,
      options: ([learned]) => options?.(learned!) ?? {},
      tables: table ? [table] : [],
      cotangents: given.cotangents,
    };
    const { results } = await run(device, setting);
    expectResults(name, results, expectedOf(asked, given.cotangents));
    const again = await run(device, setting);
    for (const key of Object.keys(results)) expectSameBits(key, again.results[key]!, results[key]!);
  });

  sweep('within the limits that every GPU has', async () => {
    const core = await coreWebGpu();
    try {
      expect(core.target.workgroupBytes).toBe(16384);
      const { shape, D, E, problem } = cases['causal, a row more than a tile, grouped heads, L ≠ S']!;
      const given = inputs(shape, D, E, 61);
      const asked = { ...given.problem, ...problem!(given.problem) };
      const options = (): AttendOptions => ({ causal: true });
      const { results } = await run(core, { problem: asked, options, cotangents: given.cotangents });
      expectResults('core', results, expectedOf(asked, given.cotangents));
    } finally {
      await core.dispose();
    }
  });

  test('one dispatch forward, three backward', async () => {
    const { shape, D, E } = cases['causal, a row more than a tile, grouped heads, L ≠ S']!;
    const { problem, cotangents } = inputs(shape, D, E, 61);
    const options = (): AttendOptions => ({ causal: true });
    const dispatches = async (setting: Setting): Promise<number> => {
      const before = device.counters.dispatches;
      await run(device, setting);
      return device.counters.dispatches - before;
    };
    expect(await dispatches({ problem, options })).toBe(1);
    expect(await dispatches({ problem, options, cotangents })).toBe(4);
  });

  test('NaN and 1e9 behind a mask reach no row that does not see them', async () => {
    const { shape, D, E } = cases['causal, a row more than a tile, grouped heads, L ≠ S']!;
    const { problem, cotangents } = inputs(shape, D, E, 61);
    const { B, G, S } = problem;
    const options = (): AttendOptions => ({ causal: true });
    const clean = await run(device, { problem, options, cotangents });
    const poisoned = (x: ArrayLike<number>, width: number): Float32Array => {
      const out = Float32Array.from(x);
      for (let head = 0; head < B * G; head++) {
        out.fill(NaN, (head * S + S - 1) * width, (head * S + S) * width);
        out.fill(1e9, (head * S + S - 2) * width, (head * S + S - 1) * width);
      }
      return out;
    };
    const bad = { ...problem, k: poisoned(problem.k, D), v: poisoned(problem.v, E) };
    const { results } = await run(device, { problem: bad, options, cotangents });
    // the last two queries see the last two keys
    const seen = (name: 'out' | 'dq' | 'logsumexp', width: number): [ArrayLike<number>, ArrayLike<number>] => {
      const rows = (x: ArrayLike<number>): number[] =>
        Array.from(x).filter((_, i) => Math.floor(i / width) % problem.L < problem.L - 2);
      return [rows(results[name]!), rows(clean.results[name]!)];
    };
    expectSameBits('out', ...seen('out', E));
    expectSameBits('logsumexp', ...seen('logsumexp', 1));
    expectSameBits('dq', ...seen('dq', D));
    expect(Array.from(results['out']!).some(Number.isNaN)).toBe(true);
  });
});

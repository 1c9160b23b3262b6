// of kernels/attend/query

import { describe, expect, test } from 'vitest';
import type { Expression } from '../../../src/codegen/expression/index.js';
import type { Device } from '../../../src/devices/index.js';
import { mask as maskOf, within, type Mask } from '../../../src/masks/index.js';
import { nonFinite } from '../../../src/ops/attend/non-finite.js';
import { attendNewest } from '../../../src/ops/attend/query.js';
import { alibi, type Score } from '../../../src/scores/index.js';
import { scope, tensor } from '../../../src/tensor/index.js';
import type { AttendProblem, Pair, ScoreStep } from '../../oracles/attend.js';
import { expectedOf, expectResults, type Results } from '../../oracles/attend-budget.js';
import * as rules from '../../oracles/rules.js';
import { storedAs } from '../../oracles/storage.js';
import { expectSameBits } from '../../support/compare.js';
import { onEveryDevice, openDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';

interface Case {
  readonly sizes: {
    readonly B: number;
    readonly H: number;
    readonly G: number;
    readonly S: number;
    readonly D: number;
    readonly E: number;
  };
  /** Rows of a head's room. */
  readonly room?: number;
  readonly dtype?: 'f16' | 'bf16';
  readonly mask?: Mask;
  readonly seen?: (at: Pair) => boolean;
  readonly score?: Score;
  readonly step?: (sizes: Case['sizes']) => ScoreStep;
}

const far = { B: 1, H: 2, G: 1, S: 601, D: 16, E: 16 };
const cases: Readonly<Record<string, Case>> = {
  'one chunk, heads of 64': { sizes: { B: 2, H: 3, G: 3, S: 70, D: 64, E: 64 } },
  'several chunks, three queries a head of keys': { sizes: { B: 2, H: 6, G: 2, S: 601, D: 32, E: 32 }, room: 640 },
  'seven queries a head of keys, heads of no whole vectors': {
    sizes: { B: 1, H: 7, G: 1, S: 300, D: 20, E: 13 },
    room: 301,
  },
  'long rows': { sizes: { B: 1, H: 1, G: 1, S: 33, D: 300, E: 280 } },
  'one key': { sizes: { B: 1, H: 2, G: 2, S: 1, D: 8, E: 8 }, room: 5 },
  f16: { sizes: { B: 1, H: 4, G: 2, S: 300, D: 24, E: 20 }, dtype: 'f16' },
  bf16: { sizes: { B: 1, H: 4, G: 2, S: 300, D: 24, E: 20 }, dtype: 'bf16' },
  'a window, whole chunks hidden': { sizes: far, mask: within({ causalWindow: 40 }), seen: ({ j }) => j > 600 - 40 },
  'a mask that tells heads': {
    sizes: far,
    mask: maskOf(({ h, k }) => k.mod(3).eq(h)),
    seen: ({ h, j }) => j % 3 === h,
  },
  'a mask that hides all': { sizes: far, mask: maskOf(({ k }) => k.lt(0)), seen: () => false },
  alibi: { sizes: { ...far, H: 4 }, score: alibi(), step: (sizes) => rules.alibi({ ...sizes, L: 1 }) },
};

function problemOf({ sizes, seen, step, dtype }: Case): AttendProblem {
  const { B, H, G, S, D, E } = sizes;
  const stored = (x: Float32Array): Float32Array => (dtype ? x.map(storedAs[dtype]) : x);
  return {
    ...sizes,
    L: 1,
    q: normal(1, B * H * D),
    k: stored(normal(2, B * G * S * D)),
    v: stored(normal(3, B * G * S * E)),
    ...(seen && { allowed: seen }),
    ...(step && { score: [step(sizes)] }),
  };
}

/** Rows of each head at the start of a room of so many, poison behind them. */
function inRoom(x: ArrayLike<number>, heads: number, S: number, columns: number, room: number): Float32Array {
  const all = new Float32Array(heads * room * columns).fill(NaN);
  for (let head = 0; head < heads; head++) {
    for (let i = 0; i < S * columns; i++) all[head * room * columns + i] = x[head * S * columns + i]!;
  }
  return all;
}

async function run(device: Device, one: Case, problem: AttendProblem): Promise<Results> {
  const { B, H, G, S, D, E } = problem;
  const { room = S, dtype = 'f32', mask, score } = one;
  const positions = { B, H, G, L: S, S };
  return scope(async () => {
    const place = (x: ArrayLike<number>, columns: number) =>
      tensor(inRoom(x, B * G, S, columns, room), [B, G, room, columns], { device, dtype });
    const values = tensor(Float32Array.from(problem.v), [B, G, S, E], { device });
    const { out, logsumexp } = attendNewest({
      q: tensor(Float32Array.from(problem.q), [B, H, 1, D], { device }),
      k: place(problem.k, D),
      v: place(problem.v, E),
      lengths: tensor(new Int32Array(B).fill(S), [B], { device }),
      // a plan for more keys than there are gives the same
      most: S + 300,
      mask: (mask?.expression(positions) as Expression | undefined) ?? null,
      score: score?.expression(positions),
      scale: 1 / Math.sqrt(D),
      positions,
      flags: nonFinite([values]),
    });
    return { out: await out.data(), logsumexp: await logsumexp.data() };
  });
}

describe('attention of one query', () => {
  onEveryDevice((on) => {
    test.each(Object.entries(cases))('%s: as the definition', async (name, one) => {
      const problem = problemOf(one);
      expectResults(name, await run(on.device, one, problem), expectedOf(problem));
    });

    test('what is NaN or Inf is seen where it is not hidden, and nowhere else', async () => {
      const one = cases['a window, whole chunks hidden']!;
      const problem = problemOf(one);
      const [k, v] = [problem.k, problem.v].map((x) => Float32Array.from(x)) as [Float32Array, Float32Array];
      v.fill(NaN, 0, 16 * 560);
      k.fill(Infinity, 0, 16 * 560);
      const clean = await run(on.device, one, problem);
      const dirty = await run(on.device, one, { ...problem, k, v });
      expectSameBits('hidden', dirty['out']!, clean['out']!);
      k.fill(NaN, 16 * 590, 16 * 591);
      const { out, logsumexp } = await run(on.device, one, { ...problem, k });
      expect([...Array.from(out!), ...Array.from(logsumexp!)].every(Number.isNaN)).toBe(true);
    });

    test('equal bits for every number of threads', async () => {
      const one = cases['several chunks, three queries a head of keys']!;
      const problem = problemOf(one);
      const alone = (await openDevice(on.kind, { threads: 1 }))!;
      try {
        const [a, b] = [await run(on.device, one, problem), await run(alone, one, problem)];
        expectSameBits('out', a['out']!, b['out']!);
      } finally {
        await alone.dispose();
      }
    });
  });
});

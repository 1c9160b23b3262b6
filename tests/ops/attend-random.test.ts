// of kernels/attend/{backward,delta,panel,tiles,weigh}, ops/attend/{backward,call,forward,steps}

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import * as masks from '../../src/masks/index.js';
import { softcap } from '../../src/scores/index.js';
import { tensor } from '../../src/tensor/index.js';
import { single } from '../oracles/arithmetic.js';
import { attend, attendGradients, type AttendProblem } from '../oracles/attend.js';
import { expectedOf, expectResult, expectResults } from '../oracles/attend-budget.js';
import * as rules from '../oracles/rules.js';
import { expectClose } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { inputs, settings } from './attend-arbitrary.js';
import { run } from './attend-run.js';
import { full } from '../support/full.js';

// more than the default is a search for rare cases, asked for by hand: SUBQUAD_RUNS=2000
const asked = process.env['SUBQUAD_RUNS'];

onEveryDevice((on) => {
  // every setting is a kernel to compile natively
  const few = on.kind === 'native';
  const runs = Number(asked ?? (full ? 200 : few ? 5 : 16));

  test(
    `${runs} random shapes, masks and scores agree with the oracle, forward and backward`,
    () =>
      fc.assert(
        fc.asyncProperty(settings(few ? 'few' : 'all'), async (setting) => {
          const { results } = await run(on.device, setting);
          expectResults('attend', results, expectedOf(setting.problem, setting.cotangents), setting.seed);
        }),
        { seed: 20_240_607, numRuns: runs },
      ),
    600_000,
  );

  test('queries and keys wider than any head: positions stand in them beside the content', async () => {
    const { problem, cotangents } = inputs({ B: 1, H: 2, G: 1, L: 17, S: 20 }, 832, 8, 72);
    const { results } = await run(on.device, { problem, cotangents });
    expectResults('wide', results, expectedOf(problem, cotangents));
  });

  test('mutants: an oracle that is wrong in one thing disagrees', async () => {
    const shape = { B: 1, H: 4, G: 2, L: 17, S: 20 };
    const { problem, cotangents } = inputs(shape, 16, 16, 71);
    const mask = masks.within({ left: 11, right: 0 });
    const right: AttendProblem = { ...problem, allowed: rules.window(11, 0)(shape), score: [rules.softcap(5)] };
    const { results } = await run(on.device, {
      problem,
      cotangents,
      options: () => ({ causal: true, mask, score: softcap(5) }),
    });
    expectResults('as it is', results, expectedOf(right, cotangents));
    const wrong: Record<string, AttendProblem> = {
      'causal from the top left': { ...right, allowed: ({ i, j }) => j <= i && i - j <= 11 },
      'one key more': { ...right, allowed: rules.window(12, 0)(shape) },
      'another scale': { ...right, scale: 0.25 * (1 + 1e-5) },
      'another cap': { ...right, score: [rules.softcap(5.001)] },
      'heads in turns': {
        ...right,
        k: Float32Array.from(right.k, (_, n) => right.k[(n + 20 * 16) % right.k.length]!),
        v: Float32Array.from(right.v, (_, n) => right.v[(n + 20 * 16) % right.v.length]!),
      },
    };
    for (const [name, mutant] of Object.entries(wrong)) {
      expect(() => expectResults(name, results, expectedOf(mutant, cotangents)), name).toThrow('numbers off');
    }
    const slopes = { ...right, score: [{ ...rules.softcap(5), slope: () => 1 }] };
    expect(() => expectResults('a lost slope', results, expectedOf(slopes, cotangents))).toThrow('numbers off');
    expect(() => expectResults('a lost cotangent', results, expectedOf(right, { dout: cotangents.dout }))).toThrow(
      'numbers off',
    );
  });

  test.each(['f16', 'bf16'] as const)('%s inputs are computed in f32', async (dtype) => {
    const shape = { B: 1, H: 2, G: 1, L: 30, S: 50 };
    const { problem, cotangents } = inputs(shape, 16, 16, 72);
    // the nearest numbers of the dtype, which the oracle is given too
    const halves = async (x: ArrayLike<number>): Promise<ArrayLike<number>> => {
      const half = tensor(Float32Array.from(x), [x.length], { device: on.device, dtype });
      const data = await half.data();
      half.dispose();
      return data;
    };
    const rounded = { ...problem, q: await halves(problem.q), k: await halves(problem.k), v: await halves(problem.v) };
    const rows = { dout: await halves(cotangents.dout) };
    const { results } = await run(on.device, {
      problem: rounded,
      cotangents: rows,
      dtype,
      options: () => ({ causal: true }),
    });
    const expected = expectedOf({ ...rounded, allowed: rules.causal(shape) }, rows);
    const want = expected.exact['out']!;
    // the output is rounded to the dtype; gradients and logsumexp stay f32
    // the output is rounded to the dtype, and so δ = dout·out is; everything else stays f32
    const unit = dtype === 'f16' ? 2 ** -11 : 2 ** -8;
    const largest = Math.max(...Array.from(want, Math.abs));
    expectClose('out', results['out']!, want, { budget: expected.budgets['out']! + unit * largest });
    const p = { ...rounded, allowed: rules.causal(shape) };
    const plain = attend(p, single);
    const kept = { ...plain, out: Float64Array.from(await halves(plain.out)) };
    const stored = attendGradients(p, rows, single, kept);
    for (const name of ['dq', 'dk'] as const) {
      expectClose(`${dtype}: ${name}`, results[name]!, expected.exact[name]!, { budget: stored[name] });
    }
    for (const name of ['logsumexp', 'dv']) expectResult(dtype, name, results[name]!, expected);
  });
});

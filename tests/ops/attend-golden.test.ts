import { expect, test } from 'vitest';
import * as masks from '../../src/masks/index.js';
import type { AttendOptions } from '../../src/ops/attend.js';
import * as scores from '../../src/scores/index.js';
import type { Tensor } from '../../src/tensor/index.js';
import { expectedOf, expectResults, type Expected } from '../oracles/attend-budget.js';
import { expectClose } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { run, type Setting } from './attend-run.js';
import {
  fullSet,
  goldenCases,
  goldenProblem,
  goldenTensors,
  hasFullSet,
  sameRows,
  type GoldenCase,
  type GoldenMask,
  type GoldenScore,
  type Tensors,
} from './golden.js';
import { full } from '../support/full.js';

function libraryMask(mask: GoldenMask, x: Tensors): masks.Mask {
  switch (mask.kind) {
    case 'radius':
      return masks.within({ radius: mask.radius });
    case 'leftRight':
      return masks.within({ left: mask.left, right: mask.right });
    case 'radiusOrGlobal':
      return masks.within({ radius: mask.radius }).or(masks.global(mask.global));
    case 'document':
      return masks.document(x.documents!.data);
    case 'lengths':
      return masks.lengths(x.lengths!.data);
    case 'prefix':
      return masks.prefix(mask.prefix);
    case 'dilated':
      return masks.dilated({ dilation: mask.dilation, radiusSlots: mask.radiusSlots });
    case 'strided':
      return masks.strided({ stride: mask.stride });
    case 'fixed':
      return masks.fixed({ stride: mask.stride, columns: mask.columns });
    case 'dense':
      return masks.dense(x.allowed!.data, x.allowed!.shape);
  }
}

function libraryScore(score: GoldenScore, table: Tensor | undefined): scores.Score {
  switch (score.kind) {
    case 'softcap':
      return scores.softcap(score.cap);
    case 'alibi':
      return scores.alibi();
    case 't5': {
      const { buckets, maxDistance, bidirectional } = score;
      return scores.t5Bias(table!, { buckets, maxDistance, bidirectional });
    }
    case 'bias':
      return scores.bias(table!);
  }
}

function libraryOptions(c: GoldenCase, x: Tensors, table: Tensor | undefined): AttendOptions {
  return {
    // the prefix mask holds its own causality
    causal: c.causal && c.mask?.kind !== 'prefix',
    ...(c.mask && { mask: libraryMask(c.mask, x) }),
    ...(c.score && { score: libraryScore(c.score, table) }),
  };
}

// the oracle is as slow as it is plain, so both devices share its answers
const known = new Map<string, Expected>();

function expected(c: GoldenCase, x: Tensors): Expected {
  const found = known.get(c.name) ?? expectedOf(goldenProblem(c, x), { dout: x.dout!.data });
  known.set(c.name, found);
  return found;
}

/** Of each kind of program, one: a compiler takes a second for each. The full run has all. */
const NATIVELY = new Set(['plain', 'document_causal', 't5_causal', 'wide_head']);

onEveryDevice((on) => {
  const brief = on.kind === 'native' && !full;
  const cases = goldenCases.filter(({ name }) => !brief || NATIVELY.has(name));
  const check = async (c: GoldenCase, x: Tensors): Promise<void> => {
    const captured = x.table ?? x.bias;
    const setting: Setting = {
      problem: goldenProblem(c, x),
      options: ([table]) => libraryOptions(c, x, table),
      tables: captured ? [captured] : [],
      cotangents: { dout: x.dout!.data },
    };
    const { results, counters } = await run(on.device, setting);
    const oracle = expected(c, x);
    expectResults(c.name, results, oracle);
    expect(counters.pairsNeeded, 'pairs needed').toBe(c.pairs);
    // and against the reference itself, on the rows of it that are here
    const names = {
      out: 'out',
      logsumexp: 'logsumexp',
      dq: 'dq',
      dk: 'dk',
      dv: 'dv',
      dtable: 'dtable0',
      dbias: 'dtable0',
    };
    for (const [name, ours] of Object.entries(names)) {
      if (!x[name]) continue;
      const { want, got } = sameRows(x, name, results[ours]!);
      expectClose(`${c.name}: ${name} of the reference`, got, want, { budget: oracle.budgets[ours]! });
    }
  };

  test.each(cases)('$name', (c) => check(c, goldenTensors(c.name)));
  test.skipIf(!hasFullSet).each(cases)('$name, every row of the full set', (c) =>
    check(c, goldenTensors(c.name, fullSet)),
  );
});

import type { AttentionShape, OptionSpec } from '../../../src/attention/index.js';
import { Graph, patternOracle } from '../../oracles/graph.js';
import { double, single } from '../../oracles/arithmetic.js';
import { budgetOf, expectClose } from '../../support/compare.js';
import { generator } from '../../support/random.js';
import { admits, base, causalities, describeCase, oracleCases, sizesOf } from './cases.js';
import { Expected, expectResults, valuesOf } from './expected.js';
import { run } from './run.js';
import { full } from '../../support/full.js';
import type { Case, Check, Gated, Options } from './spec.js';

/** Output and all gradients are the formula's, within the budget that plain float32 code sets; a device that compiles has fewer cases. */
export const oracle: Check = async (gated, { kind, device }) => {
  for (const one of oracleCases(gated, full && kind !== 'native')) {
    const expected = gated.answers.of(one);
    const { results } = await run(device, gated.mechanism, one, expected.data);
    expectResults(`${gated.mechanism.name} ${describeCase(one)}`, results, expected);
  }
};

// more than the default is a search for rare cases, asked for by hand: SUBQUAD_RUNS=60
const runs = Number(process.env['SUBQUAD_RUNS'] ?? 8);

/** As `oracle`, for random sizes and options; on a device that compiles for a second only the sizes are random. */
export const randomCases: Check = async (gated, { kind, device }) => {
  const native = kind === 'native';
  const wanted = native ? Math.ceil(runs / 10) : runs;
  const next = generator(2024 + (gated.spec.seed ?? 0));
  let [found, tried] = [0, 0];
  while (found < wanted && tried < 30 * wanted) {
    const one = randomCase(gated, next, native);
    tried++;
    if (!admits(gated.mechanism, one)) continue;
    found++;
    const expected = new Expected(one, gated.answers.data(one, 1000 + tried), gated.spec.oracle);
    const { results } = await run(device, gated.mechanism, one, expected.data);
    expectResults(`${gated.mechanism.name} at random: ${describeCase(one)}`, results, expected);
  }
  if (found < wanted)
    throw new Error(`gate: only ${found} of ${tried} random cases were taken; give the specification draw`);
};

function randomCase({ mechanism, spec }: Gated, next: () => number, native: boolean): Case {
  const { supports, options } = mechanism.definition;
  const whole = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1));
  const L = whole(1, 48);
  const G = whole(1, 2);
  const shape = {
    B: whole(1, 2),
    H: G * (supports.groupedHeads ? whole(1, 3) : 1),
    G,
    L,
    S: supports.cross && next() < 0.5 ? whole(1, 48) : L,
    // every head size is kernels to compile
    D: native ? base.D : full ? whole(1, 20) : [base.D, 5][whole(0, 1)]!,
    E: native ? base.E : full ? whole(1, 20) : [base.E, 5][whole(0, 1)]!,
  };
  const ways = causalities(mechanism);
  const lengths = Array.from({ length: shape.B }, () => whole(1, shape.S));
  const sets = spec.options ?? [{}];
  const drawn =
    spec.draw?.(next, shape) ??
    Object.fromEntries(
      Object.entries(options).flatMap(([name, one]) => (next() < 0.4 ? [] : [[name, drawOption(one, next, shape)]])),
    );
  return {
    shape,
    options: native ? sets[whole(0, sets.length - 1)]! : drawn,
    causal: ways[whole(0, ways.length - 1)]!,
    ...(supports.padding && next() < 0.4 && { lengths }),
    ...(supports.score && !native && next() < 0.2 && { softcap: true }),
  };
}

function drawOption(spec: OptionSpec, next: () => number, { S }: AttentionShape): unknown {
  const whole = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1));
  switch (spec.type) {
    case 'integer':
      return whole(spec.min, Math.min(spec.max ?? Infinity, spec.min + 16));
    case 'number':
      return spec.min + next() * (Math.min(spec.max ?? Infinity, spec.min + 2) - spec.min);
    case 'boolean':
      return next() < 0.5;
    case 'choice':
      return spec.choices[whole(0, spec.choices.length - 1)];
    case 'integers': {
      const places = Array.from({ length: whole(0, 3) }, () =>
        whole(spec.min, Math.max(spec.min, Math.min(spec.max ?? Infinity, S - 1))),
      );
      return [...new Set(places)].sort((a, b) => a - b);
    }
    default:
      return spec satisfies never;
  }
}

const softmaxAttention = patternOracle<Options>(() => true);

/** Where the specification says so, it is exact attention: in its formula, and as computed. */
export const exactWhen: Check = async ({ mechanism, spec, answers }, { device }) => {
  const { name, definition } = mechanism;
  const cases = spec.exactWhen ?? [];
  if (cases.length === 0 && definition.exactness === 'exact on its support')
    throw new Error(`gate: ${name} is exact on its support; say with exactWhen which options open all pairs`);
  for (const { options = {}, shape, causal, parameters, equals = softmaxAttention, within = 1e-9 } of cases) {
    const [small] = sizesOf(spec);
    for (const way of causal === undefined ? causalities(mechanism) : [causal]) {
      const one: Case = {
        shape: { ...base, L: small, S: small, ...shape },
        options,
        causal: way,
        plain: true,
        ...(parameters && { parameters }),
      };
      const who = `${name} where it is exact, ${describeCase(one)}`;
      const data = answers.data(one);
      const want = valuesOf(equals, one, data, new Graph(double));
      const formula = valuesOf(spec.oracle, one, data, new Graph(double));
      const largest = Math.max(...Array.from(want, Math.abs));
      expectClose(`${who}: the formula`, formula, want, { budget: within * largest, seed: data.seed });
      const budgets = [0, 1, 2, 3, 4, 5, 6, 7].map((order) =>
        budgetOf(want, valuesOf(spec.oracle, one, data, new Graph(single, order))),
      );
      const { results } = await run(device, mechanism, one, data, { forward: true });
      expectClose(who, results['out']!, want, { budget: Math.max(...budgets), seed: data.seed });
    }
  }
};

/** Scores in the thousands give finite numbers, forward and backward. */
export const largeScores: Check = async (gated, { device }) => {
  for (const one of oracleCases(gated).filter(({ shape }) => shape.L === sizesOf(gated.spec)[0])) {
    const data = gated.answers.data(one);
    const loud = { ...data, q: data.q.map((x) => 60 * x), k: data.k.map((x) => 60 * x) };
    const { results } = await run(device, gated.mechanism, one, loud);
    for (const [name, numbers] of Object.entries(results)) {
      // a row that may see nothing has logsumexp −∞
      const bad = Array.from(numbers).findIndex(
        (x) => Number.isNaN(x) || (name !== 'logsumexp' && !Number.isFinite(x)),
      );
      if (bad >= 0)
        throw new Error(
          `${gated.mechanism.name} ${describeCase(one)}: ${name}[${bad}] is ${numbers[bad]} at large scores`,
        );
    }
  }
};

import { single, double } from '../../oracles/arithmetic.js';
import { Graph, perHead, rowLogsumexp, scoresOf, type Oracle } from '../../oracles/graph.js';
import { budgetOf, expectClose } from '../../support/compare.js';
import { predicate } from '../../masks/brute.js';
import { D, describeCase, oracleCases, paddedCases, plainCases } from './cases.js';
import { callOptions, type Data } from './data.js';
import { valuesOf } from './expected.js';
import { run } from './run.js';
import type { Case, Check, Gated, On, Options } from './spec.js';

type Place = (b: number, h: number, i: number, j: number) => boolean;

/** Causal and padding. */
export const visible =
  ({ shape: { L, S }, causal, lengths }: Case): Place =>
  (b, _, i, j) =>
    (!causal || j <= i + S - L) && (!lengths || j < lengths[b]!);

/** Which pairs the mechanism says it attends to, everything counted; undefined without a pattern. */
export function patternOf({ mechanism }: Gated, one: Case, seed: number): Place | undefined {
  const mask = mechanism.pattern(one.shape, { ...callOptions(one), seed });
  if (mask === undefined) return undefined;
  const [inside, seen] = [predicate(mask.expression(one.shape), one.shape), visible(one)];
  return (b, h, i, j) => seen(b, h, i, j) && inside(b, h, i, j);
}

/** The data with other values: v, and further projections of that kind. `value` is of key j and column e. */
function withValues(data: Data, one: Case, value: (j: number, e: number) => number): Data {
  const { B, G, S, E } = one.shape;
  const v = Float32Array.from({ length: B * G * S * E }, (_, n) => value(Math.floor(n / E) % S, n % E));
  const inputs = Object.entries(data.inputs).map(([name, x]) => [name, x.of === 'v' ? { ...x, data: v } : x]);
  return { ...data, v, inputs: Object.fromEntries(inputs) as Data['inputs'] };
}

/** The effective weights `[B, H, L, S]`: what comes out for values that are unit vectors, a few keys at a time. */
export async function readWeights({ mechanism }: Gated, { device }: On, one: Case, data: Data): Promise<Float32Array> {
  const { B, H, L, S, E } = one.shape;
  const weights = new Float32Array(B * H * L * S);
  for (let start = 0; start < S; start += E) {
    const oneHot = withValues(data, one, (j, e) => Number(j === start + e));
    const { results } = await run(device, mechanism, one, oneHot, { forward: true });
    const out = results['out']!;
    for (let row = 0; row < B * H * L; row++) {
      for (let e = 0; e < Math.min(E, S - start); e++) weights[row * S + start + e] = out[row * E + e]!;
    }
  }
  return weights;
}

/** Rows of the effective weights sum to 1 (or 0, where nothing may be seen) and are not negative, as far as is declared. */
export const weights: Check = async (gated, on) => {
  const { mechanism, spec, answers } = gated;
  const kind = spec.weights ?? 'stochastic';
  for (const one of kind === 'none' ? [] : [...plainCases(gated), ...paddedCases(gated)]) {
    const who = `${mechanism.name} ${describeCase(one)}`;
    const data = answers.data(one);
    if (kind === 'stochastic' || kind === 'normalised') {
      const ones = withValues(data, one, () => 1);
      const exact = valuesOf(spec.oracle, one, ones, new Graph(double));
      const want = Float64Array.from(exact, (x) => (Math.abs(x) < 1e-9 ? 0 : 1));
      expectClose(`${who}: values of 1 in the formula`, exact, want, { budget: 1e-9 });
      const plain = [0, 1, 2, 3, 4].map((order) => valuesOf(spec.oracle, one, ones, new Graph(single, order)));
      const { results } = await run(on.device, mechanism, one, ones, { forward: true });
      const budget = Math.max(...plain.map((x) => budgetOf(want, x)));
      expectClose(`${who}: values of 1`, results['out']!, want, { budget });
    }
    if (kind === 'stochastic' || kind === 'positive') {
      const negative = (await readWeights(gated, on, one, data)).findIndex((x) => !(x >= 0));
      if (negative >= 0) throw new Error(`${who}: weight ${negative} of [B,H,L,S] is negative`);
    }
  }
};

/** The effective weights are 0 exactly where the pattern, causality or padding says so, and NaN in a value gets exactly there. */
export const pattern: Check = async (gated, on) => {
  const { mechanism, answers } = gated;
  if (mechanism.definition.pattern === undefined) return;
  for (const one of [...plainCases(gated), ...paddedCases(gated)]) {
    const { shape } = one;
    const { H, L, S, E } = shape;
    const data = answers.data(one);
    const allowed = patternOf(gated, one, data.seed)!;
    const compare = (what: string, seen: (row: number, j: number) => boolean, keys: readonly number[]): void => {
      for (let row = 0; row < shape.B * H * L; row++) {
        const [b, h, i] = [Math.floor(row / (H * L)), Math.floor(row / L) % H, row % L];
        if (one.lengths !== undefined && L === S && i >= one.lengths[b]!) continue;
        for (const j of keys) {
          if (seen(row, j) === allowed(b, h, i, j)) continue;
          throw new Error(
            `${mechanism.name} ${describeCase(one)}: query ${i} of b=${b}, h=${h} ${seen(row, j) ? 'sees' : 'does not see'} ` +
              `key ${j} (${what}), its pattern says otherwise`,
          );
        }
      }
    };
    const read = await readWeights(gated, on, one, data);
    compare(
      'by its weight',
      (row, j) => read[row * S + j] !== 0,
      Array.from({ length: S }, (_, j) => j),
    );
    for (const key of [0, Math.floor(S / 2), S - 1]) {
      const spoilt = withValues(data, one, (j) => (j === key ? NaN : 1));
      const { results } = await run(on.device, mechanism, one, spoilt, { forward: true });
      compare('by NaN in its value', (row) => Number.isNaN(results['out']![row * E]), [key]);
    }
  }
};

/**
 * A logsumexp that is returned is that of the scaled scores over all visible pairs of the pattern, or what the specification
 * says it is.
 */
export const logsumexp: Check = async (gated, { device }) => {
  const { mechanism, answers, spec } = gated;
  const { exactness, parameters, inputs, pattern: rule } = mechanism.definition;
  const ordinary =
    parameters === undefined && (exactness === 'exact' || (exactness === 'exact on its support' && rule !== undefined));
  // further projections make other scores, unless q and k stand in for them
  const plainOnly = inputs !== undefined && spec.logsumexp === undefined;
  const suits = ({ shape, plain: bare }: Case): boolean =>
    shape.D === D && shape.E === D && (!plainOnly || bare === true);
  for (const one of oracleCases(gated).filter(suits)) {
    const data = answers.data(one);
    const { results } = await run(device, mechanism, one, data, { forward: true });
    if (results['logsumexp'] === undefined) return;
    if (!ordinary && spec.logsumexp === undefined)
      throw new Error(`gate: ${mechanism.name} returns a logsumexp; give the specification its formula, logsumexp`);
    const place = patternOf(gated, one, data.seed) ?? visible(one);
    const formula: Oracle<Options> =
      spec.logsumexp ?? perHead((g, p, b, h) => rowLogsumexp(g, scoresOf(g, p, b, h), (i, j) => place(b, h, i, j)));
    const want = valuesOf(formula, one, data, new Graph(double), 1);
    const budgets = [0, 1, 2, 3, 4].map((order) =>
      budgetOf(want, valuesOf(formula, one, data, new Graph(single, order), 1)),
    );
    expectClose(`${mechanism.name} ${describeCase(one)}: logsumexp`, results['logsumexp'], want, {
      // few numbers, whose error may be small by luck: at least a rounding of the largest score is granted
      budget: Math.max(...budgets) + budgetOf(want),
    });
  }
};

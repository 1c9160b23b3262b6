import { expectSameBits } from '../../support/compare.js';
import { normal } from '../../support/random.js';
import { admits, causalCases, describeCase, oracleCases, paddedCases, plainCases } from './cases.js';
import { isReal, type Data } from './data.js';
import type { Results } from './expected.js';
import { run } from './run.js';
import type { Case, Check } from './spec.js';
import { readWeights, visible } from './weights.js';

type Which = 'q' | 'k' | 'v';

/** What stands in for numbers that nobody may read; NaN and huge numbers get through a product with 0. */
const poisons: Readonly<Record<string, (n: number) => Float32Array>> = {
  'other numbers': (n) => normal(77, n),
  '1e9': (n) => new Float32Array(n).fill(1e9),
  NaN: (n) => new Float32Array(n).fill(NaN),
};

const poisonsFor = (nanSpreads: string | undefined): [string, (n: number) => Float32Array][] =>
  Object.entries(poisons).filter(([name]) => name !== 'NaN' || nanSpreads === undefined);

/** The data with the rows that `hit` names replaced in q, k, v and further projections. */
function poisoned(
  data: Data,
  { shape: { H, G, L, S, D, E } }: Case,
  fill: (n: number) => Float32Array,
  hit: (of: Which, b: number, row: number) => boolean,
): Data {
  const spoil = (x: Float32Array, of: Which): Float32Array => {
    const [heads, rows, columns] = [of === 'q' ? H : G, of === 'q' ? L : S, of === 'v' ? E : D];
    const other = fill(x.length);
    return x.map((value, n) => {
      const row = Math.floor(n / columns);
      return hit(of, Math.floor(row / (heads * rows)), row % rows) ? other[n]! : value;
    });
  };
  const inputs = Object.entries(data.inputs).map(([name, x]) => [name, { ...x, data: spoil(x.data, x.of) }]);
  return {
    ...data,
    q: spoil(data.q, 'q'),
    k: spoil(data.k, 'k'),
    v: spoil(data.v, 'v'),
    inputs: Object.fromEntries(inputs) as Data['inputs'],
  };
}

const outputWhere = (
  results: Results,
  { shape: { H, L, E } }: Case,
  keep: (b: number, i: number) => boolean,
): number[] =>
  Array.from(results['out']!).filter((_, n) => {
    const row = Math.floor(n / E);
    return keep(Math.floor(row / (H * L)), row % L);
  });

const causalShapes = (gated: Parameters<Check>[0]): Case[] => [
  ...causalCases(gated),
  ...oracleCases(gated).filter(({ causal, shape: { L, S }, lengths }) => causal && L !== S && lengths === undefined),
];

/** The future may be other numbers, 1e9 or NaN: no bit of the past's output changes. */
export const future: Check = async (gated, on) => {
  const { mechanism, spec, answers } = gated;
  if (spec.causality === 'weights') return;
  for (const one of causalShapes(gated)) {
    const { L, S } = one.shape;
    const data = answers.data(one);
    const { results: before } = await run(on.device, mechanism, one, data, { forward: true });
    for (const key of new Set([1, Math.floor(S / 2), S - 1])) {
      const hit = (of: Which, _: number, row: number): boolean => (of === 'q' ? row + S - L : row) >= key;
      for (const [what, fill] of poisonsFor(spec.nanSpreads?.future)) {
        const who = `${mechanism.name} ${describeCase(one)}: ${what} from key ${key} on`;
        const { results: after } = await run(on.device, mechanism, one, poisoned(data, one, fill, hit), {
          forward: true,
        });
        const past = (x: Results): number[] => outputWhere(x, one, (_, i) => i + S - L < key);
        expectSameBits(`${who}, output before it`, past(after), past(before));
        const later = (x: Results): number[] => outputWhere(x, one, (_, i) => i + S - L >= key);
        if (later(after).every((x, n) => Object.is(x, later(before)[n])))
          throw new Error(`${who}: nothing changed; the check sees nothing`);
      }
    }
  }
};

/** No query has weight on, or a gradient to, anything after it. */
export const futureGradient: Check = async (gated, on) => {
  const { mechanism, spec, answers } = gated;
  for (const one of causalShapes(gated)) {
    const who = `${mechanism.name} ${describeCase(one)}`;
    const { H, G, L, S, D, E } = one.shape;
    const data = answers.data(one);
    for (const key of new Set([1, Math.floor(S / 2), S - 1])) {
      const asked = { ...data, dout: data.dout.map((x, n) => ((Math.floor(n / E) % L) + S - L < key ? x : 0)) };
      const { results } = await run(on.device, mechanism, one, asked);
      const gradients: readonly (readonly [string, Which])[] = [
        ['dq', 'q'],
        ['dk', 'k'],
        ['dv', 'v'],
        ...Object.entries(data.inputs).map(([name, { of }]) => [`d:${name}`, of] as const),
      ];
      for (const [name, of] of gradients) {
        const [columns, rows] = [of === 'v' ? E : D, of === 'q' ? L : S];
        const leak = Array.from(results[name]!).findIndex((x, n) => {
          const row = Math.floor(n / columns) % rows;
          return (of === 'q' ? row + S - L : row) >= key && x !== 0;
        });
        if (leak < 0) continue;
        const head = Math.floor(leak / (rows * columns)) % (of === 'q' ? H : G);
        throw new Error(`${who}: outputs before ${key} have a gradient to a later row: ${name}[${leak}], head ${head}`);
      }
    }
    if (spec.weights === 'none') continue;
    const seen = visible(one);
    const leak = (await readWeights(gated, on, one, data)).findIndex((x, n) => {
      const row = Math.floor(n / S);
      return x !== 0 && !seen(Math.floor(row / (H * L)), 0, row % L, n % S);
    });
    if (leak >= 0) throw new Error(`${who}: weight ${leak} of [B,H,L,S], on a later key, is not 0`);
  }
};

/** Padding may be other numbers, 1e9 or NaN: no bit of the other tokens' outputs and gradients changes, and its own are 0. */
export const padding: Check = async (gated, { device }) => {
  const { mechanism, answers } = gated;
  const cross = oracleCases(gated).filter(({ lengths, shape: { L, S } }) => lengths !== undefined && L !== S);
  for (const one of [...paddedCases(gated), ...cross]) {
    const { L, S, E } = one.shape;
    const lengths = one.lengths!;
    const data = answers.data(one);
    const { results: before } = await run(device, mechanism, one, data);
    for (const [what, fill] of poisonsFor(gated.spec.nanSpreads?.padding)) {
      const who = `${mechanism.name} ${describeCase(one)}: ${what} in the padding`;
      const keys = (of: Which, b: number, row: number): boolean => of !== 'q' && row >= lengths[b]!;
      const { results: after } = await run(device, mechanism, one, poisoned(data, one, fill, keys));
      for (const [name, numbers] of Object.entries(before)) expectSameBits(`${who}, ${name}`, after[name]!, numbers);
      // padded queries are no queries either; their own outputs may be anything
      const all = (of: Which, b: number, row: number): boolean => (of !== 'q' || L === S) && row >= lengths[b]!;
      const { results } = await run(device, mechanism, one, poisoned(data, one, fill, all), { forward: true });
      const real = (x: Results): number[] => Array.from(x['out']!).filter((_, n) => isReal(one, n, E));
      expectSameBits(`${who}, output`, real(results), real(before));
    }
  }
};

/** NaN in one batch row stays there: the others do not change by a bit. */
export const batches: Check = async (gated, { device }) => {
  const { mechanism, answers } = gated;
  for (const one of plainCases(gated)) {
    const data = answers.data(one);
    const others = (x: Results): number[] => outputWhere(x, one, (b) => b > 0);
    const { results: before } = await run(device, mechanism, one, data, { forward: true });
    const spoilt = poisoned(data, one, poisons['NaN']!, (_, b) => b === 0);
    const { results: after } = await run(device, mechanism, one, spoilt, { forward: true });
    expectSameBits(`${mechanism.name} ${describeCase(one)}: NaN in another batch row`, others(after), others(before));
    const alone = { ...one, shape: { ...one.shape, B: 1 } };
    if (!admits(mechanism, alone)) throw new Error(`${mechanism.name}: takes two batch rows but not one`);
  }
};

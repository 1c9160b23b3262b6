import { expectClose, refinedBudget, type Refinable } from '../../support/compare.js';
import { describeCase, paddedCases } from './cases.js';
import type { Data } from './data.js';
import { Expected } from './expected.js';
import { run } from './run.js';
import type { Case, Check } from './spec.js';

/** Each batch row gives what it gives without its padding: the formula of the shorter sequence. */
export const removal: Check = async (gated, { device }) => {
  const { mechanism, answers, spec } = gated;
  for (const one of paddedCases(gated)) {
    const data = answers.data(one);
    const { results } = await run(device, mechanism, one, data);
    const { shape } = one;
    const rows = one.lengths!.map((length, b) => {
      const short: Case = { ...one, shape: { ...shape, B: 1, L: length, S: length }, lengths: [length] };
      // where a default follows the length, the shorter sequence keeps what the longer one had
      const cut = cutData(data, one, short, b, mechanism.definition.parameters?.(short.shape, data.options as never));
      const { lengths: _, ...plain } = short;
      return { b, length, expected: new Expected(plain, cut, spec.oracle) };
    });
    const batch = batchOf(rows.map(({ expected }) => expected));
    for (const name of ['out', 'dq', 'dk', 'dv'] as const) {
      const [heads, columns] = [
        name === 'out' || name === 'dq' ? shape.H : shape.G,
        name === 'dq' || name === 'dk' ? shape.D : shape.E,
      ];
      for (const { b, length, expected } of rows) {
        const got = rowsOf(results[name]!, { b, heads, rows: shape.L, length, columns });
        const want = expected.exact[name]!;
        const budget = refinedBudget(name, got, want, batch);
        const who = `${mechanism.name} ${describeCase(one)}, row ${b} as without padding: ${name}`;
        expectClose(who, got, want, { budget, seed: data.seed });
      }
    }
  }
};

/** One budget for all rows of a batch, as they are one result: that of a single token may be 0 by luck. */
const batchOf = (rows: readonly Expected[]): Refinable => ({
  get budgets() {
    const names = Object.keys(rows[0]!.budgets);
    return Object.fromEntries(names.map((name) => [name, Math.max(...rows.map(({ budgets }) => budgets[name]!))]));
  },
  get orders() {
    return Math.min(...rows.map(({ orders }) => orders));
  },
  refine: () => rows.map((row) => row.refine()).includes(true),
});

interface Part {
  readonly b: number;
  readonly heads: number;
  readonly rows: number;
  readonly length: number;
  readonly columns: number;
}

/** The first rows of every head of one batch row. */
const rowsOf = (x: ArrayLike<number>, { b, heads, rows, length, columns }: Part): Float32Array =>
  Float32Array.from({ length: heads * length * columns }, (_, n) => {
    const row = Math.floor(n / columns);
    return x[((b * heads + Math.floor(row / length)) * rows + (row % length)) * columns + (n % columns)]!;
  });

function cutData(
  data: Data,
  { shape: { H, G, L, D, E } }: Case,
  { shape: { S: length } }: Case,
  b: number,
  specs: Readonly<Record<string, { readonly shape: readonly number[] }>> = {},
): Data {
  const part = (x: Float32Array, of: 'q' | 'k' | 'v', columns = of === 'v' ? E : D): Float32Array =>
    rowsOf(x, { b, heads: of === 'q' ? H : G, rows: L, length, columns });
  const parameters = Object.entries(data.parameters).map(([name, x]) => {
    const shape = specs[name]?.shape ?? x.shape;
    return [name, { ...x, shape, data: leadingPart(x.data, x.shape, shape) }];
  });
  const inputs = Object.entries(data.inputs).map(([name, x]) => [name, { ...x, data: part(x.data, x.of) }]);
  return {
    ...data,
    q: part(data.q, 'q'),
    k: part(data.k, 'k'),
    v: part(data.v, 'v'),
    dout: part(data.dout, 'q', E),
    parameters: Object.fromEntries(parameters) as Data['parameters'],
    inputs: Object.fromEntries(inputs) as Data['inputs'],
  };
}

/** A parameter whose size follows the length, cut to a shorter one. */
function leadingPart(x: Float32Array, from: readonly number[], to: readonly number[]): Float32Array {
  const size = to.reduce((product, extent) => product * extent, 1);
  return Float32Array.from({ length: size }, (_, flat) => {
    let [rest, at, step] = [flat, 0, 1];
    for (let axis = to.length - 1; axis >= 0; axis--) {
      at += (rest % to[axis]!) * step;
      rest = Math.floor(rest / to[axis]!);
      step *= from[axis]!;
    }
    return x[at]!;
  });
}

import { recurrentAttend, type RecurrentAttendOptions } from '../../../src/ops/index.js';
import type { Tensor } from '../../../src/tensor/index.js';
import type { Graph, Matrix } from '../../oracles/graph.js';
import { recurrence } from '../../oracles/recurrent.js';
import type { Numbers } from '../../support/compare.js';
import { uniform } from '../../support/random.js';

/** A problem, and how it is given to the library. */
export interface Case {
  readonly B: number;
  readonly H: number;
  readonly n: number;
  readonly M: number;
  readonly E: number;
  readonly decay?: 'head' | 'feature';
  readonly beta?: boolean;
  readonly initial?: boolean;
  readonly lengths?: readonly number[];
  readonly chunk?: number;
  /** Logarithms of decays, from a number of 0 … 1; default down to −0.3. */
  readonly level?: (x: number) => number;
}

export const size = (...shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** The tensors that a case has, in the order of the arguments. */
export const shapesOf = ({ B, H, n, M, E, ...p }: Case): Readonly<Record<string, readonly number[]>> => ({
  q: [B, H, n, M],
  k: [B, H, n, M],
  v: [B, H, n, E],
  ...(p.decay && { decay: p.decay === 'head' ? [B, H, n] : [B, H, n, M] }),
  ...(p.beta && { beta: [B, H, n] }),
  ...(p.initial && { initial: [B, H, M, E] }),
});

export function inputsOf(p: Case, seed = 1): Float32Array[] {
  const { level = (x: number) => -0.3 * x } = p;
  return Object.entries(shapesOf(p)).map(([name, shape], i) => {
    const x = uniform(seed * 31 + i, size(...shape), -1, 1);
    if (name === 'decay') return x.map((y) => level((y + 1) / 2));
    // the delta rule takes keys of length 1: with longer ones a state may grow, and with it every error
    if (name === 'k' && p.beta)
      return x.map((y, j) => y / Math.hypot(...x.subarray(j - (j % p.M), j - (j % p.M) + p.M)));
    return name === 'beta' ? x.map((y) => (y + 1) / 2) : x;
  });
}

export const run = (p: Case, all: readonly Tensor[]): ReturnType<typeof recurrentAttend> => {
  const given = Object.fromEntries(Object.keys(shapesOf(p)).map((name, i) => [name, all[i]!])) as Record<
    string,
    Tensor
  >;
  const { q, k, v, decay, beta, initial } = given;
  const options: RecurrentAttendOptions = {
    ...(decay && { decay }),
    ...(beta && { beta }),
    ...(initial && { initialState: initial }),
    ...(p.lengths && { lengths: p.lengths }),
    ...(p.chunk !== undefined && { chunk: p.chunk }),
  };
  return recurrentAttend(q!, k!, v!, options);
};

/** Outputs, then final states, by the plain recurrence; gradients for their cotangents. */
export function oracle(
  p: Case,
  g: Graph,
  inputs: readonly Numbers[],
  d?: Numbers,
): { values: Float64Array; grads: Float64Array[] } {
  const { B, H, n, M, E } = p;
  const names = Object.keys(shapesOf(p));
  const matrices = names.map((name, i) => {
    const columns = shapesOf(p)[name]!.length === 4 ? shapesOf(p)[name]![3]! : 1;
    const each = inputs[i]!.length / (B * H);
    return Array.from({ length: B * H }, (_, h) =>
      g.input(
        Float64Array.from({ length: each }, (__, j) => inputs[i]![h * each + j]!),
        each / columns,
        columns,
      ),
    );
  });
  const found = Array.from({ length: B * H }, (_, h) => {
    const of = Object.fromEntries(names.map((name, i) => [name, matrices[i]![h]!])) as Record<'q' | 'k' | 'v', Matrix>;
    return recurrence(g, { ...of, ...(p.lengths && { length: p.lengths[Math.floor(h / H)]! }) });
  });
  const outputs = [...found.map(({ out }) => out), ...found.map(({ state }) => state)];
  const values = Float64Array.from(outputs.flatMap(({ data }) => Array.from(data)));
  if (!d) return { values, grads: [] };
  const [rows, state] = [n * E, M * E];
  const cotangents = outputs.map((_, i) => {
    const start = i < B * H ? i * rows : B * H * rows + (i - B * H) * state;
    return Float64Array.from({ length: i < B * H ? rows : state }, (__, j) => d[start + j]!);
  });
  const flat = matrices.flat();
  const all = g.gradients(outputs, cotangents, flat);
  const grads = names.map((_, i) =>
    Float64Array.from(all.slice(i * B * H, (i + 1) * B * H).flatMap((x) => Array.from(x))),
  );
  return { values, grads };
}

export const small = { B: 1, H: 4, n: 13, M: 5, E: 7 };
export const full = { decay: 'feature', beta: true, initial: true } as const;
const steep = (x: number): number => -20 * x;
export const cases: Record<string, Case> = {
  plain: small,
  'decay by head': { ...small, decay: 'head' },
  'decay by feature': { ...small, decay: 'feature', initial: true },
  delta: { ...small, beta: true },
  'delta, decay by head': { ...small, decay: 'head', beta: true, initial: true },
  'delta, decay by feature': { ...small, ...full },
  'one position': { ...small, H: 8, n: 1, ...full },
  'one feature, one value': { ...small, M: 1, E: 1, ...full },
  'whole vectors': { ...small, H: 1, n: 17, M: 16, E: 32, ...full },
  'more vectors than a tile': { ...small, H: 1, n: 20, M: 7, E: 100, decay: 'head', beta: true },
  ragged: { ...small, B: 3, H: 2, lengths: [13, 9, 0], ...full },
  'several blocks': { B: 1, H: 1, n: 70, M: 3, E: 4, chunk: 2, ...full },
  'steep, by feature': { ...small, decay: 'feature', level: steep },
  'steep, delta': { ...small, decay: 'head', beta: true, level: steep },
  'nothing is kept': { ...small, decay: 'feature', level: () => -20 },
  'nothing is kept, delta': { ...small, decay: 'head', beta: true, level: () => -20 },
  'kept and forgotten': { ...small, decay: 'feature', beta: true, level: (x) => (x < 0.2 ? -20 : 0) },
  'it grows': { ...small, decay: 'feature', level: (x) => 0.1 * x },
};

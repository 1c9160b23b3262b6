import type { Device } from '../../../src/devices/index.js';
import { linearAttend, type LinearAttendOptions } from '../../../src/ops/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import type * as oracle from '../../oracles/linear-attend.js';
import type { Numbers } from '../../support/compare.js';
import { uniform } from '../../support/random.js';

/** A problem, and how it is given to the library. */
export interface Case extends oracle.LinearProblem {
  readonly chunk?: number;
  readonly initial?: boolean;
  readonly decay?: boolean;
}

export const small = { B: 1, H: 2, G: 2, L: 37, S: 37, M: 5, E: 7 };
export const cases: Record<string, Case> = {
  'all see all': small,
  unnormalised: { ...small, normalise: false },
  causal: { ...small, causal: true },
  'causal, unnormalised': { ...small, causal: true, normalise: false },
  'one position': { ...small, L: 1, S: 1, causal: true },
  'one feature, one value': { ...small, M: 1, E: 1, causal: true, chunk: 8 },
  'more keys than queries': { ...small, L: 11, S: 29, causal: true, chunk: 8 },
  'more queries than keys': { ...small, L: 29, S: 11, causal: true, chunk: 8, initial: true },
  cross: { ...small, L: 13, S: 31 },
  'shared heads': { ...small, B: 2, H: 4, G: 2, L: 23, S: 23, causal: true, initial: true },
  'multi-query, all see all': { ...small, H: 3, G: 1, L: 19, S: 23 },
  'an initial state': { ...small, causal: true, initial: true },
  'an initial state, all see all': { ...small, initial: true },
  'chunks of one': { ...small, L: 9, S: 9, causal: true, chunk: 1 },
  'chunks of 16, in segments': {
    ...small,
    L: 131,
    S: 131,
    M: 3,
    E: 4,
    H: 1,
    G: 1,
    causal: true,
    chunk: 16,
    initial: true,
  },
  'whole vectors': { ...small, L: 70, S: 70, M: 16, E: 64, H: 1, G: 1, causal: true },
  'more vectors than a tile': { ...small, L: 20, S: 20, M: 16, E: 100, H: 1, G: 1, causal: true },
  ragged: { ...small, B: 3, lengths: [37, 20, 0], causal: true, chunk: 16 },
  'ragged, all see all': { ...small, B: 2, lengths: [5, 36], chunk: 16 },
  'ragged, fewer queries': { ...small, B: 2, L: 9, lengths: [30, 37], causal: true, chunk: 8 },
  decay: { ...small, causal: true, decay: true, chunk: 16 },
  'decay, unnormalised, segments': {
    ...small,
    L: 130,
    S: 130,
    M: 3,
    E: 4,
    H: 1,
    G: 1,
    causal: true,
    normalise: false,
    decay: true,
    initial: true,
    chunk: 16,
  },
  'decay, more keys': { ...small, L: 9, S: 21, causal: true, decay: true, initial: true, chunk: 8 },
  'decay, more queries': { ...small, L: 21, S: 9, causal: true, decay: true, initial: true, chunk: 8 },
  'decay, shared heads, ragged': { ...small, B: 2, H: 4, lengths: [37, 9], causal: true, decay: true, chunk: 8 },
};

export const size = (...extents: number[]): number => extents.reduce((a, b) => a * b, 1);

export function inputsOf(p: Case): {
  shapes: number[][];
  inputs: Float32Array[];
  arrays: (x: readonly Numbers[]) => oracle.LinearArrays;
} {
  const { B, H, G, L, S, M, E, normalise = true } = p;
  const shapes = [
    [B, H, L, M],
    [B, G, S, M],
    [B, G, S, E],
    ...(p.initial ? [[B, H, M, normalise ? E + 1 : E]] : []),
    ...(p.decay ? [[B, H, S]] : []),
  ];
  // positive features, so that divisors are far from 0
  const ranges = [[0.1, 1], [0.1, 1], [-1, 1], ...(p.initial ? [[0.1, 1]] : []), ...(p.decay ? [[-0.5, 0]] : [])];
  const inputs = shapes.map((shape, i) => uniform(41 + i, size(...shape), ...(ranges[i] as [number, number])));
  const arrays = (x: readonly Numbers[]): oracle.LinearArrays => ({
    q: x[0]!,
    k: x[1]!,
    v: x[2]!,
    initial: p.initial ? x[3] : undefined,
    decay: p.decay ? x[p.initial ? 4 : 3] : undefined,
  });
  return { shapes, inputs, arrays };
}

export function optionsOf(p: Case, x: readonly Tensor[]): LinearAttendOptions {
  const { causal, normalise, eps, chunk, lengths } = p;
  return Object.fromEntries(
    Object.entries({
      causal,
      normalise,
      eps,
      chunk,
      lengths,
      initialState: p.initial ? x[3] : undefined,
      decay: p.decay ? x[p.initial ? 4 : 3] : undefined,
    }).filter(([, value]) => value !== undefined),
  );
}

/** `out` and `state` of a case, with its own inputs or given ones. */
export async function run(
  device: Device,
  p: Case,
  given?: readonly Numbers[],
): Promise<Record<'out' | 'state', Numbers>> {
  const { shapes, inputs } = inputsOf(p);
  const { out, state } = scope(() => {
    const x = shapes.map((shape, i) => tensor(Float32Array.from(given?.[i] ?? inputs[i]!), shape, { device }));
    return linearAttend(x[0]!, x[1]!, x[2]!, optionsOf(p, x));
  });
  const found = { out: await out.data(), state: await state.data() };
  disposeAll([out, state]);
  return found;
}

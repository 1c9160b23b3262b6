import { expect, test } from 'vitest';
import { lev } from '../../../src/attention/hashing/index.js';
import { leverage, lewisWeights } from '../../../src/attention/hashing/leverage.js';
import { scope, tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import { perHead, rowLogsumexp, scoresOf, type Matrix, type Oracle, type OracleProblem } from '../../oracles/graph.js';
import { onEveryDevice } from '../../support/devices.js';
import { generator, normal } from '../../support/random.js';

interface Options {
  readonly topK: number;
  readonly epsilon: number;
  readonly scores: string;
  readonly lewisPower: number;
  readonly ridge: number;
  readonly blockSize: number;
}
type Problem = OracleProblem<Options>;

/** x of A·x = y, by Gauss–Jordan with the largest pivot. */
function solve(A: readonly (readonly number[])[], y: readonly number[]): number[] {
  const rows = A.map((row, i) => [...row, y[i]!]);
  for (let c = 0; c < rows.length; c++) {
    const best = rows.reduce((at, row, i) => (i >= c && Math.abs(row[c]!) > Math.abs(rows[at]![c]!) ? i : at), c);
    [rows[c], rows[best]] = [rows[best]!, rows[c]!];
    for (let i = 0; i < rows.length; i++) {
      if (i === c) continue;
      const factor = rows[i]![c]! / rows[c]![c]!;
      rows[i] = rows[i]!.map((x, j) => x - factor * rows[c]![j]!);
    }
  }
  return rows.map((row, i) => row.at(-1)! / row[i]!);
}

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

/** kᵀ(Σ_j w_j k_j k_jᵀ + λI)⁻¹k of each of `rows`, λ the ridge times the trace. */
function leverages(
  rows: readonly number[][],
  all: readonly number[][],
  ridge: number,
  w?: readonly number[],
): number[] {
  const D = all[0]!.length;
  const gram = Array.from({ length: D }, (_, c) =>
    Array.from({ length: D }, (_d, d) => all.reduce((sum, k, j) => sum + (w?.[j] ?? 1) * k[c]! * k[d]!, 0)),
  );
  const trace = gram.reduce((sum, row, c) => sum + row[c]!, 0);
  gram.forEach((row, c) => (row[c]! += ridge * trace));
  return rows.map((k) => dot(k, solve(gram, k)));
}

function lewis(all: readonly number[][], ridge: number, p: number): number[] {
  let w = all.map(() => 1);
  for (let n = 0; n < 200; n++) {
    const factors = w.map((x) => x ** (1 - 2 / p));
    w = leverages(all, all, ridge, factors).map((x) => x ** (p / 2));
  }
  return w;
}

const rowsOf = (k: Matrix, length: number): number[][] =>
  Array.from({ length }, (_, j) => Array.from({ length: k.columns }, (_c, c) => k.at(j, c)));

/** Whether query i sees key j. */
function universal(p: Problem, b: number, h: number): (i: number, j: number) => boolean {
  const { topK, epsilon, scores, lewisPower, ridge, blockSize } = p.options;
  const length = p.lengths?.[b] ?? p.S;
  const keys = rowsOf(p.k(b, h), length);
  const found = keys.map((k, j): number => {
    if (scores === 'normSq') return dot(k, k);
    const end = p.causal ? Math.min(length, (Math.floor(j / blockSize) + 1) * blockSize) : length;
    return scores === 'lewis' ? 0 : leverages([k], keys.slice(0, end), ridge)[0]!;
  });
  const values = scores === 'lewis' ? lewis(keys, ridge, lewisPower) : found;
  const most = epsilon > 0 ? Math.min(p.S, Math.max(1, Math.floor(p.D / epsilon))) : topK;
  const chosen = (end: number): Set<number> =>
    new Set(
      Array.from({ length: Math.min(end, length) }, (_, j) => j)
        .sort((i, j) => values[j]! - values[i]! || i - j)
        .slice(0, most)
        .filter((j) => epsilon === 0 || values[j]! >= epsilon),
    );
  if (!p.causal) {
    const all = chosen(length);
    return (_, j) => all.has(j);
  }
  const before = Array.from({ length: Math.ceil(p.L / blockSize) }, (_, block) => chosen(block * blockSize));
  return (i, j) => {
    const block = Math.floor(i / blockSize);
    return Math.floor(j / blockSize) === block || before[block]!.has(j);
  };
}

// a case has options of its own; the plain code of every order of summation sees the same keys
const known = new WeakMap<object, Map<string, ReturnType<typeof universal>>>();

function seen(p: Problem, b: number, h: number): ReturnType<typeof universal> {
  const of = known.get(p.options) ?? new Map<string, ReturnType<typeof universal>>();
  known.set(p.options, of);
  const key = [b, h, p.L, p.S, p.causal, ...(p.lengths ?? []), p.k(b, h).at(0, 0)].join();
  const found = of.get(key) ?? universal(p, b, h);
  of.set(key, found);
  return found;
}

const formula: Oracle<Options> = perHead((g, p, b, h) => {
  const sees = seen(p, b, h);
  const weights = g.softmax(scoresOf(g, p, b, h), (i, j) => sees(i, j) && p.allowed(b, h, i, j));
  return g.matmul(weights, p.v(b, h));
});

const logsumexp: Oracle<Options> = perHead((g, p, b, h) => {
  const sees = seen(p, b, h);
  return rowLogsumexp(g, scoresOf(g, p, b, h), (i, j) => sees(i, j) && p.allowed(b, h, i, j));
});

gate(lev, {
  oracle: formula,
  logsumexp,
  options: [
    { topK: 3, blockSize: 5 },
    { epsilon: 0.55, topK: 3, blockSize: 4 },
    { topK: 4, scores: 'lewis', blockSize: 6 },
    { topK: 4, scores: 'normSq', blockSize: 6 },
  ],
  draw: (next, { S }) => ({
    topK: 1 + Math.floor(next() * Math.min(S, 9)),
    epsilon: next() < 0.3 ? 0.3 + 0.4 * next() : 0,
    scores: next() < 0.7 ? 'leverage' : 'lewis',
    lewisPower: 0.8 + 2 * next(),
    blockSize: 1 + Math.floor(9 * next()),
  }),
  exactWhen: [
    { options: { topK: 17 }, causal: false },
    { options: { blockSize: 17 }, causal: true },
    { options: { topK: 17, blockSize: 4 }, causal: true },
  ],
  refused: [{ options: { topK: 18 } }, { options: { topK: 2, epsilon: 0.2, scores: 'normSq' } }],
});

onEveryDevice((on) => {
  const scores = async (keys: readonly number[][], ridge = 1e-6, p?: number): Promise<number[]> => {
    const D = keys[0]!.length;
    const k = tensor(Float32Array.from(keys.flat()), [1, 1, 1, keys.length, D], { device: on.device });
    try {
      const found = scope(() => (p === undefined ? leverage(k, ridge) : lewisWeights(k, ridge, p)));
      // a device that answers later refuses here
      return Array.from(await found.data().finally(() => found.dispose()));
    } finally {
      k.dispose();
    }
  };
  const near = (got: readonly number[], want: readonly number[], within: number): void =>
    got.forEach((x, i) => expect(Math.abs(x - want[i]!)).toBeLessThan(within));
  const random = (n: number, D: number, seed: number): number[][] =>
    Array.from({ length: n }, (_, i) => Array.from(normal(seed, n * D).subarray(i * D, (i + 1) * D)));

  test('six keys by hand: of rank 2, and their scores add up to it', async () => {
    const keys = Array.from({ length: 6 }, (_, i) => Array.from({ length: 4 }, (_c, c) => Math.cos(2 + 4 * i + c)));
    const found = await scores(keys);
    near(found, [0.318888, 0.28872, 0.392392, 0.392392, 0.28872, 0.318888], 2e-5);
    expect(found.reduce((a, b) => a + b)).toBeCloseTo(2, 4);
  });

  test('scores add up to the rank, twins share, a change of basis changes nothing, an outlier has 1', async () => {
    const keys = random(40, 6, 3);
    const found = await scores(keys);
    expect(found.reduce((a, b) => a + b)).toBeCloseTo(6, 3);
    const basis = random(6, 6, 4).map((row, i) => row.map((x, j) => 0.3 * x + (i === j ? 2 : 0)));
    near(
      await scores(
        keys.map((k) =>
          basis[0]!.map((_, c) =>
            dot(
              k,
              basis.map((row) => row[c]!),
            ),
          ),
        ),
      ),
      found,
      1e-3,
    );
    const twins = await scores([...keys, keys[7]!]);
    expect(twins[7]).toBe(twins[40]);
    const flat = [...keys.map((k) => [...k.slice(0, 5), 0]), [0, 0, 0, 0, 0, 9]];
    expect((await scores(flat)).at(-1)).toBeCloseTo(1, 3);
    const loud = await scores(keys.map((k, j) => (j === 5 ? k.map((x) => 10 * x) : k)));
    expect(loud.indexOf(Math.max(...loud))).toBe(5);
  });

  test('whatever the query, a key with a share of ε of the squares has leverage ε', async () => {
    const keys = random(60, 4, 9);
    const found = await scores(keys);
    const next = generator(2);
    for (let n = 0; n < 2000; n++) {
      const q = Array.from({ length: 4 }, () => next() - 0.5);
      const squares = keys.map((k) => dot(q, k) ** 2);
      const total = squares.reduce((a, b) => a + b);
      squares.forEach((x, j) => expect(x / total).toBeLessThanOrEqual(found[j]! + 1e-4));
    }
  });

  test('Lewis weights are their fixed point, and leverage for p = 2', async () => {
    const keys = random(30, 5, 11);
    near(await scores(keys, 1e-6, 2), await scores(keys), 1e-5);
    near(await scores(keys, 1e-6, 1), lewis(keys, 1e-6, 1), 1e-4);
    near(await scores(keys, 1e-6, 3), lewis(keys, 1e-6, 3), 1e-4);
  });

  test('keys of a singular Gram matrix without a ridge are refused by name', async () => {
    await expect(
      scores(
        [
          [1, 1],
          [2, 2],
        ],
        0,
      ),
    ).rejects.toThrow('Add a ridge to its diagonal');
  });
});

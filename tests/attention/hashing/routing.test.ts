// of attention/real-keys, attention/hashing/{centroids,hamming-clusters}

import { expect, test } from 'vitest';
import { routing } from '../../../src/attention/hashing/index.js';
import { gradients, scope, tensor, disposeAll, type Tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import { double, single } from '../../oracles/arithmetic.js';
import { directions, nearest, nearness } from '../../oracles/centroids.js';
import { normed } from '../../oracles/feature-maps.js';
import { Graph, perHead, withScores, type Matrix, type Oracle } from '../../oracles/graph.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';

interface Options {
  readonly numClusters: number;
  readonly decay: number;
  readonly commitment: number;
  readonly clusterSize: number;
  readonly sharedQk: boolean;
  readonly normalised: boolean;
}

/** The `clusterSize` rows of largest LayerNorm(x)·μ_c of each cluster, in their order. */
function listsOf(x: Matrix, length: number, centroids: Matrix, clusterSize: number): number[][] {
  return nearness(directions(x, length), centroids).map((scores) =>
    scores
      .map((_, i) => i)
      .sort((i, j) => scores[j]! - scores[i]! || i - j)
      .slice(0, clusterSize)
      .sort((i, j) => i - j),
  );
}

/** Algorithm 1 of arXiv 2003.05997, with the mean over the clusters in which a query sees a key. */
const formula: Oracle<Options> = perHead((g, p, b, h) => {
  const { clusterSize, sharedQk, normalised } = p.options;
  const [q, k, v] = [p.q(b, h), sharedQk ? p.q(b, h) : p.k(b, h), p.v(b, h)];
  const centroids = p.parameter('centroids', h);
  const length = p.lengths?.[b] ?? p.S;
  const queryLists = listsOf(q, p.L === p.S ? length : p.L, centroids, clusterSize);
  const keyLists = listsOf(k, length, centroids, clusterSize);
  const flat = (value: number): Matrix => g.constant(new Array<number>(p.D).fill(value), 1, p.D);
  const compared = (x: Matrix, list: readonly number[]): Matrix => {
    const rows = g.gatherRows(x, list);
    return normalised ? normed(g, rows, flat(1), flat(0)) : rows;
  };
  const counts = new Array<number>(p.L).fill(0);
  const parts = queryLists.map((queries, c) => {
    const keys = keyLists[c]!;
    const allowed = (i: number, j: number): boolean => p.allowed(b, h, queries[i]!, keys[j]!);
    const scores = g.scale(g.matmulT(compared(q, queries), compared(k, keys)), p.scale);
    const out = g.matmul(g.softmax(withScores(g, p, b, h, scores), allowed), g.gatherRows(v, keys));
    queries.forEach((i, row) => (counts[i]! += Number(keys.some((_, j) => allowed(row, j)))));
    return g.gatherRows(
      out,
      Array.from({ length: p.L }, (_, i) => queries.indexOf(i)),
    );
  });
  const sum = parts.reduce((a, part) => g.add(a, part));
  return g.div(
    sum,
    g.constant(
      counts.map((count) => Math.max(1, count)),
      p.L,
      1,
    ),
  );
});

gate(routing, {
  oracle: formula,
  options: [
    { numClusters: 3, clusterSize: 6 },
    { numClusters: 4, clusterSize: 7, sharedQk: true },
    { numClusters: 3, clusterSize: 7, normalised: true },
  ],
  causality: 'weights',
  draw: (next, { L, S, D }) => ({
    numClusters: 1 + Math.floor(next() * Math.min(L, 6)),
    clusterSize: 1 + Math.floor(12 * next()),
    sharedQk: L === S && next() < 0.4,
    // of few numbers that lie close together, layer normalisation is mostly rounding
    normalised: D >= 8 && next() < 0.3,
  }),
  exactWhen: [
    { options: { numClusters: 1, clusterSize: 17 } },
    {
      options: { numClusters: 1, clusterSize: 17, sharedQk: true },
      equals: perHead((g, p, b, h) => {
        const scores = g.scale(g.matmulT(p.q(b, h), p.q(b, h)), p.scale);
        return g.matmul(
          g.softmax(scores, (i, j) => p.allowed(b, h, i, j)),
          p.v(b, h),
        );
      }),
    },
  ],
  refused: [{ options: { numClusters: 18 } }, { shape: { D: 2 } }],
});

onEveryDevice((on) => {
  const [B, H, n, D, C] = [2, 2, 9, 5, 4];
  const lengths = [9, 6];
  const data = [1, 2, 3].map((seed) => normal(seed, B * H * n * D)) as [Float32Array, Float32Array, Float32Array];
  const means = normal(4, H * C * D);
  // far from all tokens
  means.fill(0, 3 * D, 4 * D);
  const make = (x: Float32Array): Tensor => tensor(x, [B, H, n, D], { device: on.device, requiresGradient: true });
  const part = (x: Float32Array, at: number, rows: number): Float32Array => x.subarray(at * D, (at + rows) * D);
  const training = { seed: 1, purpose: 'step 1' };
  const call = (options: Partial<Options>, more: object = {}) =>
    scope(() => {
      const [q, k, v] = data.map(make) as [Tensor, Tensor, Tensor];
      const centroids = tensor(means, [H, C, D], { device: on.device });
      const given = { numClusters: C, clusterSize: 3, ...options, lengths, parameters: { centroids }, ...more };
      const result = routing.run(q, k, v, given);
      return { q, k, v, centroids, result };
    });

  /** The rows that are clustered of one head: queries, and keys where they are others. */
  const members = (h: number, sharedQk: boolean): { rows: number[][]; own: number[] } => {
    const centroids = new Graph(double).input(part(means, h * C, C), C, D);
    const sides = sharedQk ? [data[0]] : [data[0], data[1]];
    const rows = sides.flatMap((x) =>
      lengths.flatMap((length, b) => directions(new Graph(double).input(part(x, (b * H + h) * n, n), n, D), length)),
    );
    return { rows, own: nearest(nearness(rows, centroids)) };
  };

  test.each([false, true])(
    'centroids move to the mean of their members, and stay without; shared %s',
    async (shared) => {
      const moves = await Promise.all(
        [0, 0.75, 1].map(async (decay) => {
          const all = call({ decay, sharedQk: shared }, { training });
          const next = await all.result.updates!.centroids!.data();
          disposeAll(all);
          return next;
        }),
      );
      for (let h = 0; h < H; h++) {
        const { rows, own } = members(h, shared);
        expect(new Set(own).size).toBeGreaterThan(1);
        for (let c = 0; c < C; c++) {
          const old = Array.from(part(means, h * C + c, 1));
          const mine = rows.filter((_, i) => own[i] === c);
          const mean =
            mine.length === 0 ? old : old.map((_, d) => mine.reduce((sum, x) => sum + x[d]!, 0) / mine.length);
          [0, 0.75, 1].forEach((decay, i) => {
            const want = old.map((x, d) => decay * x + (1 - decay) * mean[d]!);
            expectClose(`decay ${decay}, head ${h}, cluster ${c}`, part(moves[i] as Float32Array, h * C + c, 1), want, {
              budget: 2 ** -20,
            });
          });
        }
      }
      const outside = call({ sharedQk: shared });
      expect([outside.result.updates, outside.result.losses]).toEqual([undefined, undefined]);
      disposeAll(outside);
    },
  );

  test('the commitment is the mean square of what lies between tokens and their centroids', async () => {
    const all = call({ commitment: 0.25 }, { losses: true });
    const loss = all.result.losses!['commitment']!;
    const found = scope(() => gradients([loss], [all.q, all.k]));
    const numbers = (15 + 15) * H * D;
    const run = (arithmetic: typeof double): { loss: number; gradients: Float64Array[] } => {
      const g = new Graph(arithmetic);
      const flat = (value: number): Matrix => g.constant(new Array<number>(D).fill(value), 1, D);
      const inputs = [data[0], data[1]].flatMap((x) =>
        Array.from({ length: B * H }, (_, at) => ({ x: g.input(part(x, at * n, n), n, D), at })),
      );
      const parts = inputs.map(({ x, at }) => {
        const [b, h] = [Math.floor(at / H), at % H];
        const centroids = g.constant(part(means, h * C, C), C, D);
        const length = lengths[b]!;
        const own = nearest(nearness(directions(x, length), centroids));
        const apart = g.sub(normed(g, g.rows(x, 0, length), flat(1), flat(0)), g.gatherRows(centroids, own));
        return g.scale(g.columnSum(g.rowSum(g.mul(apart, apart))), 0.25 / numbers);
      });
      const total = parts.reduce((a, one) => g.add(a, one));
      return {
        loss: total.at(0, 0),
        gradients: g.gradients(
          [total],
          [Float64Array.of(1)],
          inputs.map(({ x }) => x),
        ),
      };
    };
    const [want, plain] = [run(double), run(single)];
    expectClose('loss', await loss.data(), [want.loss], { budget: [plain.loss] });
    const flatten = (all: Float64Array[]): number[] => all.flatMap((x) => Array.from(x));
    const got = [...(await found[0]!.data()), ...(await found[1]!.data())];
    expectClose('gradients', got, flatten(want.gradients), { budget: flatten(plain.gradients) });
    disposeAll([all, found]);
  });

  test('updates and losses change no output, and the order of the batch no centroid', async () => {
    const [plain, trained] = [call({}), call({}, { training, losses: true })];
    expect(await trained.result.out.data()).toEqual(await plain.result.out.data());
    const turned = scope(() => {
      const swapped = (x: Float32Array): Tensor =>
        make(Float32Array.from([...x.subarray(x.length / 2), ...x.subarray(0, x.length / 2)]));
      const [q, k, v] = data.map(swapped) as [Tensor, Tensor, Tensor];
      const given = { numClusters: C, clusterSize: 3, lengths: [6, 9], parameters: { centroids: trained.centroids } };
      return routing.run(q, k, v, { ...given, training }).updates!.centroids!;
    });
    expect(await turned.data()).toEqual(await trained.result.updates!.centroids!.data());
    disposeAll([plain, trained, turned]);
  });
});

import { describe, expect, test } from 'vitest';
import { clustered, improvedClustered } from '../../../src/attention/hashing/index.js';
import { meanQueries } from '../../../src/attention/hashing/query-clusters.js';
import { groupTiles, tilesOf } from '../../../src/attention/hashing/group-tiles.js';
import { attend, gatherRows } from '../../../src/ops/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import { perHead, scoresOf, type Graph, type Matrix, type Oracle, type OracleProblem } from '../../oracles/graph.js';
import { onEveryDevice } from '../../support/devices.js';
import { generator } from '../../support/random.js';

interface Options {
  readonly numClusters: number;
  readonly bits: number;
  readonly iterations: number;
  readonly hashBias: boolean;
}
interface Improved extends Options {
  readonly topK: number;
}

/** The cluster of each query: Lloyd's iterations in Hamming space, written out bit by bit; −1 for padding. */
function clusters<O extends Options>(p: OracleProblem<O>, b: number, h: number): number[] {
  const { numClusters, bits, iterations } = p.options;
  const length = p.L === p.S ? (p.lengths?.[b] ?? p.L) : p.L;
  const [q, planes, offsets] = [p.q(b, h), p.parameter('planes'), p.parameter('offsets')];
  const [starts, spares] = [p.parameter('starts'), p.parameter('spares')];
  const codes = Array.from({ length }, (_, i) =>
    Array.from({ length: bits }, (_b, bit) => {
      const side = Array.from({ length: p.D }, (_d, d) => q.at(i, d) * planes.at(d, bit)).reduce((a, c) => a + c);
      return side > offsets.at(0, bit);
    }),
  );
  const edge = (c: number): number => Math.floor((c * length) / numClusters);
  let centroids = Array.from({ length: numClusters }, (_, c) =>
    edge(c) === edge(c + 1)
      ? undefined
      : codes[edge(c) + Math.floor(Math.fround(starts.at(0, c) * (edge(c + 1) - edge(c))))],
  );
  const assign = (): number[] =>
    codes.map((code) => {
      const distances = centroids.map((one) =>
        one === undefined ? Infinity : code.filter((bit, at) => bit !== one[at]).length,
      );
      return distances.indexOf(Math.min(...distances));
    });
  let own = assign();
  for (let n = 1; n < iterations; n++) {
    centroids = centroids.map((old, c) => {
      const members = codes.filter((_, i) => own[i] === c);
      if (old === undefined) return undefined;
      return Array.from({ length: bits }, (_, bit) =>
        members.length === 0
          ? spares.at(c, bit) > 0
          : members.reduce((sum, code) => sum + (code[bit] === true ? 1 : -1), 0) > 0,
      );
    });
    own = assign();
  }
  return Array.from({ length: p.L }, (_, i) => own[i] ?? -1);
}

/** softmax of the mean queries, `[C × S]`, and the cluster of each query. */
function means<O extends Options>(
  g: Graph,
  p: OracleProblem<O>,
  b: number,
  h: number,
): { own: number[]; mean: Matrix } {
  const own = clusters(p, b, h);
  const membership = g.constant(
    Array.from({ length: p.options.numClusters * p.L }, (_, at) => {
      const [c, i] = [Math.floor(at / p.L), at % p.L];
      return own[i] === c ? 1 : 0;
    }),
    p.options.numClusters,
    p.L,
  );
  const sizes = own.reduce((all, c) => {
    if (c >= 0) all[c]!++;
    return all;
  }, new Array<number>(p.options.numClusters).fill(0));
  // rows of padding are cut out of q, so that nothing of them is read
  const length = p.L === p.S ? (p.lengths?.[b] ?? p.L) : p.L;
  const sums = g.matmul(g.columns(membership, 0, length), g.rows(p.q(b, h), 0, length));
  return {
    own,
    mean: g.div(
      sums,
      g.constant(
        sizes.map((n) => Math.max(1, n)),
        sizes.length,
        1,
      ),
    ),
  };
}

const formula: Oracle<Options> = perHead((g, p, b, h) => {
  const { own, mean } = means(g, p, b, h);
  const scores = g.scale(g.matmulT(mean, p.k(b, h)), p.scale);
  const weights = g.softmax(scores, (_, j) => p.allowed(b, h, p.L - 1, j));
  return g.gatherRows(g.matmul(weights, p.v(b, h)), own);
});

const improved: Oracle<Improved> = perHead((g, p, b, h) => {
  const { own, mean } = means(g, p, b, h);
  const seen = (j: number): boolean => p.lengths === undefined || j < p.lengths[b]!;
  const scores = g.scale(g.matmulT(mean, p.k(b, h)), p.scale);
  const top = Array.from({ length: mean.rows }, (_, c) => {
    const keys = Array.from({ length: p.S }, (_j, j) => j).filter(seen);
    return new Set(keys.sort((i, j) => scores.at(c, j) - scores.at(c, i) || i - j).slice(0, p.options.topK));
  });
  const inTop = (i: number, j: number): boolean => own[i]! >= 0 && top[own[i]!]!.has(j);
  const fine = g.matmul(
    g.softmax(scoresOf(g, p, b, h), (i, j) => inTop(i, j) && p.allowed(b, h, i, j)),
    p.v(b, h),
  );
  if (p.causal) return fine;
  const weights = g.softmax(scores, (_, j) => seen(j));
  const share = g.rowSum(g.mask(weights, (c, j) => top[c]!.has(j)));
  const rest = g.matmul(
    g.mask(weights, (c, j) => !top[c]!.has(j)),
    p.v(b, h),
  );
  return g.add(g.mul(fine, g.gatherRows(share, own)), g.gatherRows(rest, own));
});

const small = { numClusters: 4, bits: 12, iterations: 3 };
const draw = (next: () => number, { L }: { readonly L: number }): Options => ({
  numClusters: 1 + Math.floor(next() * Math.min(L, 9)),
  bits: 1 + Math.floor(20 * next()),
  iterations: 1 + Math.floor(4 * next()),
  hashBias: next() < 0.5,
});

describe('clustered', () => {
  gate(clustered, {
    oracle: formula,
    options: [small],
    draw,
    exactWhen: [{ options: { numClusters: 17, bits: 48 } }],
    refused: [{ options: { numClusters: 18 } }],
  });
});

describe('improved clustered', () => {
  gate(improvedClustered, {
    oracle: improved,
    options: [{ ...small, topK: 5 }],
    causality: 'weights',
    draw: (next, shape) => ({ ...draw(next, shape), topK: 1 + Math.floor(next() * Math.min(shape.S, 12)) }),
    exactWhen: [
      { options: { ...small, topK: 17 } },
      { options: { numClusters: 17, bits: 48, topK: 3 }, causal: false },
    ],
    refused: [{ options: { numClusters: 18 } }, { options: { numClusters: 2, topK: 18 } }],
  });
});

onEveryDevice((on) => {
  test('six tokens by hand: clusters of three', async () => {
    const fill = (shape: readonly number[], f: (i: number) => number): Tensor =>
      tensor(
        Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => f(i)),
        shape,
        { device: on.device },
      );
    const q = fill([1, 1, 6, 4], (i) => Math.sin(1 + i));
    const k = fill([1, 1, 6, 4], (i) => Math.cos(2 + i));
    const v = fill([1, 1, 6, 3], (i) => Math.sin(3 + 0.5 * i));
    const halves = tensor(Int32Array.of(0, 0, 0, 1, 1, 1), [1, 1, 6], { device: on.device });
    const out = scope(() => {
      const options = { numClusters: 2, bits: 1, iterations: 1, hashBias: false };
      const shape = { B: 1, H: 1, G: 1, L: 6, S: 6, D: 4, E: 3 };
      const parameters = { planes: q, offsets: q, starts: q, spares: q };
      return gatherRows(
        attend(meanQueries({ q, shape, lengths: undefined, options, parameters }, halves), k, v).out,
        halves,
      );
    });
    const rows = Array.from(await out.data(), (x) => Math.round(1e6 * x) / 1e6);
    expect(rows.slice(0, 3)).toEqual([-0.094601, -0.193114, -0.244345]);
    expect(rows.slice(15)).toEqual([-0.103715, -0.200615, -0.248398]);
    disposeAll([q, k, v, halves, out]);
  });

  test.each([
    [1, 1, 4],
    [40, 7, 4],
    [100, 3, 32],
    [30, 200, 8],
  ])('%i rows of %i groups in tiles of %i', async (n, count, size) => {
    const next = generator(n + count);
    const of = Array.from({ length: 2 * n }, () => Math.floor(next() ** 2 * count));
    const given = tensor(Int32Array.from(of), [1, 2, n], { device: on.device });
    const found = groupTiles(given, count, size);
    const [rows, places, groups] = [await found.rows.data(), await found.places.data(), await found.groups.data()];
    const tiles = tilesOf(n, count, size);
    for (const h of [0, 1]) {
      const taken = new Set<number>();
      for (let i = 0; i < n; i++) {
        const place = places[h * n + i]!;
        taken.add(place);
        expect(rows[h * tiles * size + place]).toBe(i);
        expect(groups[h * tiles + Math.floor(place / size)]).toBe(of[h * n + i]);
      }
      expect(taken.size).toBe(n);
    }
    disposeAll([given, found.rows, found.places, found.groups]);
  });
});

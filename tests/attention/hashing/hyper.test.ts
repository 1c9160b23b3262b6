// of attention/hashing/{parts,sample}

import { describe, expect, test } from 'vitest';
import { hyper } from '../../../src/attention/hashing/index.js';
import { signBuckets } from '../../../src/attention/hashing/sign-hash.js';
import { disposeAll, tensor, type Tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import {
  perHead,
  rowLogsumexp,
  withScores,
  type Graph,
  type Matrix,
  type Oracle,
  type OracleProblem,
} from '../../oracles/graph.js';
import { onEveryDevice } from '../../support/devices.js';
import { generator, normal } from '../../support/random.js';
import { sweep } from '../../support/full.js';

interface Options {
  readonly blockSize: number;
  readonly sampleSize: number;
  readonly numProjections: number;
  readonly sampling: string;
  readonly minLength: number;
  readonly referenceQuirks: boolean;
}
type Problem = OracleProblem<Options>;

/** Sort keys that put neighbours at Hamming distance 1: the place of a code in the Gray sequence; or, as released, its Gray code. */
function bucket(code: number, asReleased: boolean): number {
  if (asReleased) return code ^ (code >> 1);
  let place = 0;
  for (let rest = code; rest > 0; rest >>= 1) place ^= rest;
  return place;
}

function codes(x: Matrix, planes: Matrix): number[] {
  return Array.from({ length: x.rows }, (_, i) => {
    let code = 0;
    for (let r = 0; r < planes.columns; r++) {
      let side = 0;
      for (let d = 0; d < x.columns; d++) side += x.at(i, d) * planes.at(d, r);
      code = 2 * code + Number(side > 0);
    }
    return code;
  });
}

/** A square of the score matrix: these queries estimate attention to these keys. */
interface Square {
  readonly queries: readonly number[];
  readonly keys: readonly number[];
  /** Where it was cut, in units of the smallest piece. */
  readonly cut: number;
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

function squares({ L, S, causal, options: { minLength } }: Problem, length: number): Square[] {
  if (!causal) return [{ queries: range(0, L === S ? length : L), keys: range(0, length), cut: 0 }];
  const found: Square[] = [];
  for (let size = minLength; size < length; size *= 2) {
    for (let start = size; start < length; start += 2 * size) {
      found.push({
        queries: range(start, Math.min(length, start + size)),
        keys: range(start - size, start),
        cut: start / minLength,
      });
    }
  }
  return found;
}

/** In how many copies query i sees key j: 1 for what is exact, 1/(s·p_j) for each time that it is drawn. */
function copies(p: Problem, b: number, h: number): number[][] {
  const { blockSize, sampleSize, sampling, minLength, referenceQuirks } = p.options;
  const length = p.lengths?.[b] ?? p.S;
  const times = Array.from({ length: p.L }, () => new Array<number>(p.S).fill(0));
  const queries = p.L === p.S ? length : p.L;
  if (p.causal ? p.L <= minLength : queries < minLength) return times.map((row) => row.fill(1));
  const planes = p.parameter('planes');
  const rank = (x: Matrix): number[] => codes(x, planes).map((code) => bucket(code, referenceQuirks));
  const [rankOfQuery, rankOfKey] = [rank(p.q(b, h)), rank(p.k(b, h))];
  const uniform = p.parameter('samples');
  const square = (j: number): number =>
    Array.from({ length: p.E }, (_, e) => p.v(b, h).at(j, e) ** 2).reduce((a, c) => a + c);
  if (p.causal) {
    for (let i = 0; i < p.L; i++)
      for (let j = 0; j <= i; j++) times[i]![j] = Number(Math.floor(i / minLength) === Math.floor(j / minLength));
  }
  for (const { queries, keys, cut } of squares(p, length)) {
    const sorted = (rows: readonly number[], ranks: readonly number[]): number[] =>
      [...rows].sort((i, j) => ranks[i]! - ranks[j]! || i - j);
    const [sortedQueries, sortedKeys] = [sorted(queries, rankOfQuery), sorted(keys, rankOfKey)];
    const rows = Math.ceil((queries.length * blockSize) / keys.length);
    const all = sortedKeys.map(square);
    const total = all.reduce((a, c) => a + c, 0);
    const turn = Math.fround((cut * 0.6180339887498949) % 1);
    const draws = Array.from(
      {
        length:
          blockSize >= (p.causal ? minLength * 2 ** Math.round(Math.log2(keys.length / minLength)) : p.S)
            ? 0
            : sampleSize,
      },
      (_, c) => {
        const sum = Math.fround(uniform.at(Math.floor((h * p.G) / p.H), c) + turn);
        const u = Math.fround(sum - Math.floor(sum));
        if (sampling === 'uniform')
          return { place: Math.floor(Math.fround(u * keys.length)), weight: keys.length / sampleSize };
        let [place, reached] = [0, all[0]!];
        while (place < keys.length - 1 && reached <= u * total) reached += all[++place]!;
        return { place, weight: total / (sampleSize * all[place]!) };
      },
    );
    sortedQueries.forEach((i, at) => {
      const own = Math.floor(at / rows);
      sortedKeys.forEach((j, place) => {
        if (Math.floor(place / blockSize) === own) times[i]![j]!++;
      });
      for (const { place, weight } of draws) {
        if ((referenceQuirks && blockSize < keys.length) || Math.floor(place / blockSize) !== own)
          times[i]![sortedKeys[place]!]! += weight;
      }
    });
  }
  return times;
}

// a case has options of its own; the plain code of every order of summation sees the same keys
const known = new WeakMap<object, Map<string, number[][]>>();

function knownCopies(p: Problem, b: number, h: number): number[][] {
  const of = known.get(p.options) ?? new Map<string, number[][]>();
  known.set(p.options, of);
  const key = [b, h, p.L, p.S, p.causal, ...(p.lengths ?? []), p.q(b, h).at(0, 0), p.v(b, h).at(0, 0)].join();
  const found = of.get(key) ?? copies(p, b, h);
  of.set(key, found);
  return found;
}

function weighed(
  g: Graph,
  p: Problem,
  b: number,
  h: number,
): { scores: Matrix; seen: (i: number, j: number) => boolean } {
  const times = knownCopies(p, b, h);
  const plain = withScores(g, p, b, h, g.scale(g.matmulT(p.q(b, h), p.k(b, h)), p.scale));
  const logs = g.constant(
    times.flatMap((row) => row.map((n) => (n > 0 ? Math.log(n) : 0))),
    p.L,
    p.S,
  );
  return { scores: g.add(plain, logs), seen: (i, j) => times[i]![j]! > 0 && p.allowed(b, h, i, j) };
}

const formula: Oracle<Options> = perHead((g, p, b, h) => {
  const { scores, seen } = weighed(g, p, b, h);
  return g.matmul(g.softmax(scores, seen), p.v(b, h));
});

const logsumexp: Oracle<Options> = perHead((g, p, b, h) => {
  const { scores, seen } = weighed(g, p, b, h);
  return rowLogsumexp(g, scores, seen);
});

const small = { blockSize: 4, sampleSize: 6, numProjections: 3, minLength: 5 };
const each = (name: string, shape: readonly number[]): Float32Array | undefined =>
  name === 'samples'
    ? Float32Array.from({ length: shape[0]! * shape[1]! }, (_, i) => ((i % shape[1]!) + 0.5) / shape[1]!)
    : undefined;

gate(hyper, {
  oracle: formula,
  logsumexp,
  options: [small, { ...small, sampling: 'rowNorm' }, { ...small, blockSize: 6, referenceQuirks: true, minLength: 4 }],
  causality: 'weights',
  draw: (next) => ({
    blockSize: 1 + Math.floor(12 * next()),
    sampleSize: Math.floor(9 * next()),
    numProjections: 1 + Math.floor(5 * next()),
    minLength: 1 + Math.floor(9 * next()),
    sampling: next() < 0.3 ? 'rowNorm' : 'uniform',
    referenceQuirks: next() < 0.2,
  }),
  exactWhen: [
    { options: { ...small, blockSize: 17 }, causal: false },
    { options: { ...small, minLength: 18 } },
    // every key once, beside the block
    { options: { ...small, sampleSize: 17 }, parameters: each, causal: false },
    { options: { ...small, minLength: 9, sampleSize: 9 }, parameters: each, causal: true },
  ],
  refused: [{ options: { blockSize: 0 } }, { options: { numProjections: 17 } }],
});

onEveryDevice((on) => {
  test('buckets of three planes: neighbours differ in one bit, in the released order not always', async () => {
    const points = Float32Array.from(
      [...range(0, 8)].flatMap((code) => [4, 2, 1].map((bit) => ((code & bit) > 0 ? 1 : -1))),
    );
    const order = async (which: 'inverse-gray' | 'gray'): Promise<number[]> => {
      const [x, planes] = [points, Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1)].map((data, i) =>
        tensor(data, i === 0 ? [1, 1, 8, 3] : [3, 3], { device: on.device }),
      ) as [Tensor, Tensor];
      const buckets = signBuckets(x, planes, which);
      const found = Array.from(await buckets.data());
      disposeAll([x, planes, buckets]);
      return range(0, 8).map((place) => found.indexOf(place));
    };
    expect(await order('inverse-gray')).toEqual([0, 1, 3, 2, 6, 7, 5, 4]);
    expect(await order('gray')).toEqual([0, 1, 3, 2, 7, 6, 4, 5]);
  });
});

describe('samples', () => {
  onEveryDevice((on) => {
    const [n, D, draws] = [256, 16, 400];
    const shape = [1, 1, n, D];

    /** exp(logsumexp) over its exact value, minus 1, as means over the rows; and the share of the own block in it. */
    async function denominators(own: object, size = 64): Promise<{ mean: number; deviation: number; share: number }> {
      const [q, k, v, planes] = [1, 2, 3, 4].map((seed) =>
        tensor(normal(seed, seed === 4 ? D * 7 : n * D), seed === 4 ? [D, 7] : shape, { device: on.device }),
      ) as [Tensor, Tensor, Tensor, Tensor];
      const run = async (options: object): Promise<Float32Array> => {
        const { out, logsumexp: sums } = hyper.run(q, k, v, { blockSize: 32, minLength: 1, ...options });
        const numbers = (await sums!.data()) as Float32Array;
        disposeAll([out, sums!]);
        return numbers;
      };
      const exact = await run({ blockSize: n });
      const block = await run({ ...own, sampleSize: 0, parameters: { planes } });
      const share = block.reduce((sum, x, row) => sum + Math.exp(x - exact[row]!), 0) / n;
      const next = generator(5);
      const errors: number[] = [];
      for (let i = 0; i < draws; i++) {
        const samples = tensor(
          Float32Array.from({ length: size }, () => next()),
          [1, size],
          { device: on.device },
        );
        const found = await run({ sampleSize: size, ...own, parameters: { planes, samples } });
        samples.dispose();
        errors.push(found.reduce((sum, x, row) => sum + Math.exp(x - exact[row]!) - 1, 0) / n);
      }
      disposeAll([q, k, v, planes]);
      const mean = errors.reduce((a, b) => a + b) / draws;
      const variance = errors.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (draws - 1);
      return { mean, deviation: Math.sqrt(variance / draws), share };
    }

    test('denominators are right on average; where the own block is drawn again, by its share too large', async () => {
      const once = await denominators({});
      expect(Math.abs(once.mean)).toBeLessThan(3 * once.deviation);
      const twice = await denominators({ referenceQuirks: true });
      expect(Math.abs(twice.mean - twice.share)).toBeLessThan(3 * twice.deviation);
      expect(twice.share).toBeGreaterThan(30 * twice.deviation);
    });

    sweep('their squared error falls as the number of samples grows', async () => {
      const [few, many] = [await denominators({}, 16), await denominators({}, 256)];
      const slope = (2 * Math.log(many.deviation / few.deviation)) / Math.log(256 / 16);
      expect(Math.abs(slope + 1)).toBeLessThan(0.1);
    });
  });
});

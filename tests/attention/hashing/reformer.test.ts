// of attention/hashing/{chunks,reformer-score}

import { describe, expect, test } from 'vitest';
import { reformer } from '../../../src/attention/hashing/index.js';
import { bucketFactors } from '../../../src/attention/hashing/lsh.js';
import { mersenneTwister, torchNormal } from '../../../src/attention/hashing/torch-random.js';
import { concat } from '../../../src/ops/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
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
import { budgetOf, expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';

interface Options {
  readonly rounds: number;
  readonly chunkLength: number;
  readonly lookBack: number;
  readonly numBuckets: number;
  readonly wrapAround: boolean;
  readonly sameBucket: boolean;
  readonly correctDuplicates: boolean;
  readonly selfAlone: boolean;
  readonly logits: string;
}
type Problem = OracleProblem<Options>;

/** argmax [q·Ω ; −q·Ω], of each of the hashes that the columns of Ω belong to. */
function hashes(q: Matrix, rotations: Matrix, factors: readonly number[]): number[] {
  return Array.from({ length: q.rows }, (_, i) => {
    let [id, stride, column] = [0, 1, 0];
    for (const factor of factors) {
      const rotated = Array.from({ length: factor / 2 }, (_r, c) =>
        Array.from({ length: q.columns }, (_d, d) => q.at(i, d) * rotations.at(d, column + c)).reduce((a, b) => a + b),
      );
      const both = [...rotated, ...rotated.map((x) => -x)];
      id += stride * both.indexOf(Math.max(...both));
      stride *= factor;
      column += factor / 2;
    }
    return id;
  });
}

/** Trax: above 128 buckets a power of two from their root up, and the even number that fills them as far as it goes. */
function factorsOf(buckets: number): readonly number[] {
  if (buckets <= 128) return [buckets];
  let [first, second] = [1, 0];
  while (first ** 2 < buckets) first *= 2;
  while (first * (second + 2) <= buckets) second += 2;
  return [first, second];
}

/** How often key j stands before query i, over all rounds: the lists of the paper, written out. */
function multiplicities(p: Problem, b: number, h: number): number[][] {
  const { rounds, chunkLength: c, lookBack, numBuckets, wrapAround, sameBucket } = p.options;
  const length = p.lengths?.[b] ?? p.L;
  const buckets = numBuckets || 2 * Math.max(1, Math.floor(p.L / c));
  const ids = Array.from({ length: rounds }, (_, r) =>
    hashes(p.q(b, h), p.parameter('rotations', r, h), factorsOf(buckets)),
  );
  const sorted = ids.map((id) => Array.from({ length }, (_, i) => i).sort((i, j) => id[i]! - id[j]! || i - j));
  const times = Array.from({ length: p.L }, () => new Array<number>(p.L).fill(0));
  sorted.forEach((order, r) => {
    const before = wrapAround && !sameBucket ? sorted[(r + rounds - 1) % rounds]! : [];
    const both = [...before, ...order];
    order.forEach((i, place) => {
      const start = before.length + place - (place % c);
      const end = Math.min(both.length, start + c);
      for (let at = Math.max(0, start - lookBack * c); at < end; at++) {
        const j = both[at]!;
        // all the way around: what is in the chunks up to the own is not seen again
        if (at < before.length && at < place - (place % c) + c) continue;
        if (sameBucket && ids[r]![i] !== ids[r]![j]) continue;
        times[i]![j]!++;
      }
    });
  });
  return times;
}

interface Scored {
  /** The score, and the logarithm of how often the key is seen. */
  readonly scores: Matrix;
  readonly seen: (i: number, j: number) => boolean;
  /** Whether a token has none but itself, and so sees itself. */
  readonly alone: readonly boolean[];
}

function scored(g: Graph, p: Problem, b: number, h: number): Scored {
  const { chunkLength, correctDuplicates, selfAlone, logits } = p.options;
  const q = p.q(b, h);
  const size = g.map(
    g.rowMean(g.mul(q, q)),
    (x, r) => r(Math.sqrt(r(x + 1e-6))),
    (x, r) => r(0.5 / r(Math.sqrt(r(x + 1e-6)))),
  );
  const factor = logits === 'trax' ? p.scale : p.scale / Math.sqrt(p.D);
  const plain = withScores(g, p, b, h, g.scale(g.matmulT(q, g.div(q, size)), factor));
  const times =
    p.L <= chunkLength ? Array.from({ length: p.L }, () => new Array<number>(p.L).fill(1)) : multiplicities(p, b, h);
  // rounds merged by their logsumexp are one softmax in which a key counts as often as it is seen
  const counts = g.constant(
    times.flatMap((row) => row.map((n) => (correctDuplicates || n === 0 ? 0 : Math.log(n)))),
    p.L,
    p.L,
  );
  const all = (i: number, j: number): boolean => times[i]![j]! > 0 && p.allowed(b, h, i, j);
  const alone = times.map((row, i) => selfAlone && all(i, i) && !row.some((_, j) => j !== i && all(i, j)));
  const seen = (i: number, j: number): boolean => all(i, j) && (!selfAlone || i !== j || alone[i]!);
  return { scores: g.add(plain, counts), seen, alone };
}

const formula: Oracle<Options> = perHead((g, p, b, h) => {
  const { scores, seen } = scored(g, p, b, h);
  return g.matmul(g.softmax(scores, seen), p.v(b, h));
});

/** That of a token which has none but itself is −1e5 a round, merged. */
const logsumexp: Oracle<Options> = perHead((g, p, b, h) => {
  const { scores, seen, alone } = scored(g, p, b, h);
  const { data } = rowLogsumexp(g, scores, seen);
  const rounds = p.L <= p.options.chunkLength ? 1 : p.options.rounds;
  return g.constant(
    data.map((x, i) => (alone[i]! ? -1e5 + Math.log(rounds) : x)),
    p.L,
    1,
  );
});

/** Softmax attention whose keys are q divided by its length; the 1e-6 in the formula's mean square is left out. */
const shared: Oracle<Options> = perHead((g, p, b, h) => {
  const q = p.q(b, h);
  const length = g.map(
    g.rowSum(g.mul(q, q)),
    (x) => Math.sqrt(x),
    (x) => 0.5 / Math.sqrt(x),
  );
  const scores = g.scale(g.matmulT(q, g.div(q, length)), p.scale * Math.sqrt(p.D));
  return g.matmul(
    g.softmax(scores, (i, j) => p.allowed(b, h, i, j)),
    p.v(b, h),
  );
});

const small = { chunkLength: 4, numBuckets: 4 };

gate(reformer, {
  oracle: formula,
  logsumexp,
  options: [
    { ...small, rounds: 2 },
    // all the way around
    { ...small, rounds: 2, correctDuplicates: true, lookBack: 3 },
    { ...small, rounds: 2, correctDuplicates: true, sameBucket: true },
    // two hashes, [16, 8]
    { chunkLength: 5, numBuckets: 140, wrapAround: false, selfAlone: false, logits: 'sqrtD' },
  ],
  causality: 'weights',
  draw: (next, { L }) => ({
    rounds: 1 + Math.floor(3 * next()),
    chunkLength: 1 + Math.floor(next() * Math.min(L, 12)),
    lookBack: Math.floor(4 * next()),
    numBuckets: 2 * Math.floor(5 * next()),
    wrapAround: next() < 0.7,
    sameBucket: next() < 0.3,
    correctDuplicates: next() < 0.5,
    selfAlone: next() < 0.7,
  }),
  exactWhen: [
    { options: { chunkLength: 17, selfAlone: false }, equals: shared, within: 1e-5 },
    { options: { chunkLength: 4, lookBack: 9, selfAlone: false }, equals: shared, within: 1e-5 },
  ],
  refused: [{ options: { numBuckets: 3 } }, { options: { rounds: 0 } }],
});

describe('hashes', () => {
  test('numbers of a seed are those of torch', () => {
    const next = mersenneTwister(0);
    const uniforms = Array.from({ length: 4 }, () => (next() & 0xffffff) / 2 ** 24);
    const drawn = [0.49625659, 0.7682218, 0.08847743, 0.13203049];
    expect(uniforms.map((x, i) => Math.abs(x - drawn[i]!) < 1e-8)).toEqual([true, true, true, true]);
    const normals = [-1.1258, -1.1524, -0.2506, -0.4339, 0.8487, 0.692, -0.316, -2.1152];
    expect(Array.from(torchNormal(0, 32).slice(0, 8), (x) => Number(x.toFixed(4)))).toEqual(normals);
    expect(torchNormal(3, 20)).toHaveLength(20);
  });
  test('more than 128 buckets are a product of two', () => {
    expect([2, 128, 130, 2048].map(bucketFactors)).toEqual([[2], [128], [16, 8], [64, 32]]);
  });
});

onEveryDevice((on) => {
  test('six tokens by hand: shared queries and keys, causal, the token itself only where it is alone', async () => {
    const fill = (n: number, f: (i: number) => number): Float32Array =>
      Float32Array.from({ length: n }, (_, i) => f(i));
    const q = tensor(
      fill(24, (i) => Math.sin(1 + i)),
      [1, 1, 6, 4],
      { device: on.device },
    );
    const k = tensor(
      fill(24, (i) => Math.cos(2 + i)),
      [1, 1, 6, 4],
      { device: on.device },
    );
    const v = tensor(
      fill(18, (i) => Math.sin(3 + 0.5 * i)),
      [1, 1, 6, 3],
      { device: on.device },
    );
    const { out, logsumexp, notes } = reformer.run(q, k, v, { causal: true });
    const rows = await out.data();
    // numbers of six digits
    const row = (i: number): number[] => Array.from(rows.slice(3 * i, 3 * i + 3), (x) => Math.round(1e6 * x) / 1e6);
    expect(row(0)).toEqual([0.14112, -0.350783, -0.756802]);
    expect(row(1)).toEqual(row(0));
    expect(row(5)).toEqual([0.029219, 0.094956, 0.137444]);
    expect(notes).toEqual(['one chunk: attended to whole, without hashing']);
    disposeAll([q, k, v, out, logsumexp]);
  });

  const random = (seed: number, shape: readonly number[]): Tensor =>
    tensor(
      normal(
        seed,
        shape.reduce((a, b) => a * b),
      ),
      shape,
      { device: on.device },
    );
  const n = 37;
  const shape = [1, 2, n, 8];

  test('rounds of one rotation are one round', async () => {
    const [q, v, own] = [random(1, shape), random(2, shape), random(3, [1, 2, 8, 2])];
    const [one, two] = scope(() =>
      [own, concat([own, own], { axis: 0 })].map((rotations, i) => {
        const call = { ...small, rounds: i + 1, parameters: { rotations } };
        return {
          ...reformer.run(q, q, v, call),
          repeated: reformer.run(q, q, v, { ...call, correctDuplicates: true }),
        };
      }),
    );
    const want = await one!.out.data();
    for (const other of [two!, two!.repeated, one!.repeated])
      expectClose('out', await other.out.data(), want, { budget: 4 * budgetOf(want) });
    // twice the weight, unless duplicates are corrected
    const plain = await one!.logsumexp!.data();
    expectClose(
      'twice',
      await two!.logsumexp!.data(),
      Float64Array.from(plain, (x) => x + Math.log(2)),
      { budget: 4 * budgetOf(plain) },
    );
    expectClose('once', await two!.repeated.logsumexp!.data(), plain, { budget: 4 * budgetOf(plain) });
    disposeAll([q, v, own, one, two]);
  });

  test('causal: the first token gets its own value in any number of rounds', async () => {
    const [q, v] = [random(1, shape), random(2, shape)];
    const { out, logsumexp } = reformer.run(q, q, v, { ...small, rounds: 5, causal: true });
    const [got, values] = [await out.data(), await v.data()];
    for (const head of [0, 1]) {
      const row = (x: ArrayLike<number>): number[] => Array.from(x).slice(head * n * 8, head * n * 8 + 8);
      expectClose('first token', row(got), row(values), { budget: budgetOf(row(values)) });
    }
    disposeAll([q, v, out, logsumexp]);
  });

  test('causal: a token after all others moves the chunks, and so what the others see, but has no weight', async () => {
    const [q, v] = [random(1, shape), random(2, shape)];
    const { device } = on;
    const replaced = async (x: Tensor): Promise<Tensor> =>
      tensor(
        (await x.data()).map((value, at) => (Math.floor(at / 8) % n === n - 1 ? -3 : value)),
        shape,
        { device },
      );
    const before = async (queries: Tensor, values: Tensor): Promise<number[]> => {
      const { out, logsumexp } = reformer.run(queries, queries, values, { ...small, rounds: 2, causal: true });
      const rows = await out.data();
      disposeAll([out, logsumexp]);
      return Array.from(rows).filter((_, at) => Math.floor(at / 8) % n !== n - 1);
    };
    const [otherQ, otherV] = [await replaced(q), await replaced(v)];
    expect(await before(q, otherV)).toEqual(await before(q, v));
    expect(await before(otherQ, v)).not.toEqual(await before(q, v));
    disposeAll([q, v, otherQ, otherV]);
  });
});

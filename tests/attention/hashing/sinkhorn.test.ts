// of attention/hashing/sorted-keys

import { expect, test } from 'vitest';
import { sinkhorn } from '../../../src/attention/hashing/index.js';
import { causalSinkhorn, sinkhorn as normalised } from '../../../src/attention/hashing/sort-blocks.js';
import { tempered } from '../../../src/attention/hashing/sort-logits.js';
import { sum } from '../../../src/ops/index.js';
import { disposeAll, full, gradients, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import { double, single } from '../../oracles/arithmetic.js';
import { Graph } from '../../oracles/graph.js';
import { sinkhorn as oracle, sinkhornFormula } from '../../oracles/sinkhorn.js';
import { expectClose, expectSameBits } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';
import { readSafetensors } from '../../support/safetensors.js';

const sizes = [1, 2, 3, 4, 5, 6, 7, 8];

gate(sinkhorn, {
  oracle: sinkhornFormula,
  sizes: [16, 36, 132],
  options: [
    { blockSize: 4 },
    { blockSize: 4, sorting: 'topK', topK: 2 },
    { blockSize: 4, sortCut: 2, iterations: 2 },
    { blockSize: 4, sorting: 'topK', topK: 2, sortCut: 3 },
    { blockSize: 4, combine: 'sum' },
  ],
  // rows of a matrix whose columns add up to 1, and causal a learned value beside those given
  weights: 'none',
  nanSpreads: { future: 'sorted blocks are a product with a matrix that is 0 above its diagonal' },
  draw: (next, { L }) => {
    // the error of plain code on orders of two or three single tokens is small by luck
    const own = sizes.filter((size) => L % size === 0 && (size > 1 || L === 1 || L > 8));
    const blockSize = own[Math.floor(next() * own.length)]!;
    const blocks = L / blockSize;
    const sortCut = next() < 0.3 ? 1 + Math.floor(next() * blocks) : 0;
    return {
      blockSize,
      sorting: next() < 0.5 ? 'sinkhorn' : 'topK',
      iterations: 1 + Math.floor(6 * next()),
      topK: 1 + Math.floor(next() * Math.min(3, blocks)),
      temperature: 0.5 + next(),
      sortCut,
      combine: sortCut === 0 && next() < 0.3 ? 'sum' : 'concat',
    };
  },
  exactWhen: [
    { options: { blockSize: 16 }, causal: false },
    { options: { blockSize: 16, sorting: 'topK' }, causal: false },
    { options: { blockSize: 16, sortCut: 1 }, causal: false },
  ],
  refused: [
    { options: { blockSize: 5 } },
    { options: { blockSize: 4, sortCut: 5 } },
    { options: { blockSize: 4, sortCut: 1, combine: 'sum' } },
    { options: { blockSize: 4, sorting: 'topK', topK: 6 } },
  ],
});

/** One of lucidrains/sinkhorn-transformer: its sorting operator, 8 rounds. */
const golden = readSafetensors(new URL('../../fixtures/sinkhorn/sinkhorn_normalise.safetensors', import.meta.url));

onEveryDevice((on) => {
  const make = (x: ArrayLike<number>, shape: readonly number[], requiresGradient = false): Tensor =>
    tensor(Float32Array.from(x), shape, { device: on.device, requiresGradient });
  const read = async (x: Tensor): Promise<Float32Array> => {
    const data = (await x.data()) as Float32Array;
    x.dispose();
    return data;
  };
  const of = (g: Graph, r: ArrayLike<number>, N: number, at: number): ReturnType<Graph['input']> =>
    g.input(Array.from(r).slice(at * N * N, (at + 1) * N * N), N, N);

  test('normalises rows and columns as the released code does', async () => {
    const { shape, data } = golden['in.r']!;
    const found = await read(scope(() => normalised(make(data, shape), 8)));
    const N = 6;
    const run = (arithmetic: typeof double): number[] =>
      [0, 1].flatMap((at) =>
        Array.from(oracle(new Graph(arithmetic), of(new Graph(arithmetic), data, N, at), 8, false).data),
      );
    const [want, plain] = [run(double), run(single)];
    expectClose('this', found, want, { budget: plain });
    // theirs is float32 too
    expectClose('theirs', golden['out.o']!.data, want, { budget: plain });
    expectClose('both', found, golden['out.o']!.data, { budget: plain });
  });

  test('in the limit rows and columns add up to 1, and large gaps make it a permutation', async () => {
    const N = 8;
    const r = normal(3, N * N);
    const found = await read(scope(() => normalised(make(r, [1, 1, N, N]), 60)));
    for (let i = 0; i < N; i++) {
      const at = Array.from({ length: N }, (_, j) => j);
      expect(at.reduce((total, j) => total + found[i * N + j]!, 0)).toBeCloseTo(1, 5);
      expect(at.reduce((total, j) => total + found[j * N + i]!, 0)).toBeCloseTo(1, 5);
    }
    const permutation = [3, 0, 7, 1, 6, 2, 5, 4];
    const peaked = r.map((x, at) => (x + (permutation[Math.floor(at / N)] === at % N ? 10 : 0)) / 0.05);
    const sharp = await read(scope(() => normalised(make(peaked, [1, 1, N, N]), 60)));
    sharp.forEach((x, at) => expect(x).toBeCloseTo(permutation[Math.floor(at / N)] === at % N ? 1 : 0, 5));
  });

  test('no row of the causal one depends on later rows, however large they are', async () => {
    const N = 5;
    const lower = (r: Float32Array): Float32Array => r.map((x, at) => (at % N <= Math.floor(at / N) ? x : -Infinity));
    const r = lower(normal(4, N * N));
    const louder = r.map((x, at) => (at >= 3 * N ? 1000 * x : x));
    const [plain, loud] = await Promise.all(
      [r, louder].map((x) => read(scope(() => causalSinkhorn(make(x, [1, 1, N, N]), 4)))),
    );
    expectSameBits('rows before', loud!.subarray(0, 3 * N), plain!.subarray(0, 3 * N));
    expect(loud!.every(Number.isFinite)).toBe(true);
    const run = (arithmetic: typeof double): number[] => {
      const g = new Graph(arithmetic);
      return Array.from(oracle(g, g.input(r, N, N), 4, true).data);
    };
    expectClose('lower triangle', plain!, run(double), { budget: run(single) });
  });

  test("logits: temperature, the released code's ln relu, and Gumbel noise in training only", async () => {
    const options = { temperature: 0.5, noise: true, positiveLogits: false };
    const training = { seed: 1, purpose: 'step 1' };
    const x = make([-1, 0, 0.25, -Infinity, 3], [5], true);
    const all = scope(() => {
      const positive = tempered(x, { ...options, positiveLogits: true }, undefined);
      const zeros = full([4096], 0, { device: on.device });
      return {
        plain: tempered(x, options, undefined),
        silent: tempered(x, { ...options, noise: false }, training),
        positive,
        dx: gradients([sum(positive)], [x])[0]!,
        noise: tempered(zeros, { ...options, temperature: 1 }, training),
        again: tempered(zeros, { ...options, temperature: 1 }, training),
        next: tempered(zeros, { ...options, temperature: 1 }, { ...training, purpose: 'step 2' }),
      };
    });
    expect(Array.from(await all.plain.data())).toEqual([-2, 0, 0.5, -Infinity, 6]);
    expect(await all.silent.data()).toEqual(await all.plain.data());
    const ln = (y: number): number => 2 * Math.log(y + 1e-6);
    const want = [ln(0), ln(0), ln(0.25), -Infinity, ln(3)];
    expectClose('ln relu', await all.positive.data(), want, { budget: want.map(Math.fround) });
    const slopes = Array.from(await all.dx.data());
    [0, 2, 4].forEach((at, i) => expect(slopes[at]).toBeCloseTo([0, 8, 2 / 3][i]!, 4));
    const noise = Array.from((await all.noise.data()) as Float32Array);
    expectSameBits('the same step', await all.again.data(), noise);
    expect(await all.next.data()).not.toEqual(await all.noise.data());
    const mean = noise.reduce((a, b) => a + b) / noise.length;
    const variance = noise.reduce((total, g) => total + (g - mean) ** 2, 0) / noise.length;
    // Euler's constant and π²/6, within 4 standard errors
    expect(Math.abs(mean - 0.5772156649)).toBeLessThan(4 * Math.sqrt(Math.PI ** 2 / 6 / noise.length));
    expect(Math.abs(variance - Math.PI ** 2 / 6)).toBeLessThan(
      4 * Math.sqrt((4.4 * (Math.PI ** 2 / 6) ** 2) / noise.length),
    );
    disposeAll([x, all]);
  });

  test('two tokens by hand: the noise of a step turns the order, and an order that keeps blocks doubles their keys', async () => {
    const run = (more: object): Tensor =>
      scope(() => {
        const [q, k, v] = [make([0, 0], [1, 1, 2, 1]), make([0, 0], [1, 1, 2, 1]), make([2, 6], [1, 1, 2, 1])];
        return sinkhorn.run(q, k, v, { blockSize: 1, ...more }).out;
      });
    // all logits are 0: each sorted block is the mean of both
    expect(Array.from(await read(run({})))).toEqual([3, 5]);
    expect(Array.from(await read(run({ combine: 'sum' })))).toEqual([6, 10]);
    expect(Array.from(await read(run({ sortCut: 1 })))).toEqual([4, 4]);
    // of equal blocks the first, by its softmax of a half
    expect(Array.from(await read(run({ sorting: 'topK' })))).toEqual([1.5, 3.5]);
    // causal: a null block of value 0 and then, as likely, the block before
    expect(Array.from(await read(run({ causal: true })))).toEqual([1, 4]);
    const training = { seed: 1, purpose: 'step 1' };
    const noisy = await Promise.all([run({ training }), run({ training }), run({ training, noise: false })].map(read));
    expect(noisy[1]).toEqual(noisy[0]);
    expect(Array.from(noisy[0]!)).not.toEqual([3, 5]);
    expect(Array.from(noisy[2]!)).toEqual([3, 5]);
  });
});

// of attention/patterns/{longformer-masks,place-score}

import { describe, expect, test } from 'vitest';
import { longformer } from '../../../src/attention/patterns/longformer.js';
import { slidingWindow } from '../../../src/attention/patterns/sliding-window.js';
import { dilationSchedule, windowSchedule } from '../../../src/attention/patterns/schedules.js';
import { OptionError } from '../../../src/core/errors.js';
import { causal as onlyPast, countPairs, mask } from '../../../src/masks/index.js';
import { attend, slice } from '../../../src/ops/index.js';
import { alibi, score, t5Bias } from '../../../src/scores/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import {
  perHead,
  rowLogsumexp,
  scoresOf,
  withScores,
  type Graph,
  type Matrix,
  type OracleProblem,
} from '../../oracles/graph.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';

interface Options {
  readonly radius: number;
  readonly globals: readonly number[];
  readonly dilations: readonly number[];
}

const isGlobal = ({ options, S, L }: OracleProblem<Options>, i: number): boolean => options.globals.includes(i + S - L);

function sees(p: OracleProblem<Options>, h: number, i: number, j: number): boolean {
  const { radius, globals, dilations } = p.options;
  const dilation = dilations[dilations.length === 1 ? 0 : h]!;
  const distance = Math.abs(i + p.S - p.L - j);
  return globals.includes(j) || (distance % dilation === 0 && distance <= radius * dilation);
}

/** With the global projections, of which everything may be seen. */
const globalScores = (g: Graph, p: OracleProblem<Options>, b: number, h: number): Matrix =>
  withScores(g, p, b, h, g.scale(g.matmulT(p.input('globalQ', b, h), p.input('globalK', b, h)), p.scale));

/** Rows of `local`, and those of `global` where the query is global. */
const eitherRow = (g: Graph, p: OracleProblem<Options>, local: Matrix, global: Matrix): Matrix =>
  g.gatherRows(
    g.concatRows([local, global]),
    Array.from({ length: p.L }, (_, i) => (isGlobal(p, i) ? p.L + i : i)),
  );

const oracle = perHead<Options>((g, p, b, h) => {
  const local = g.softmax(scoresOf(g, p, b, h), (i, j) => p.allowed(b, h, i, j) && sees(p, h, i, j));
  const global = g.softmax(globalScores(g, p, b, h), (i, j) => p.allowed(b, h, i, j));
  return eitherRow(g, p, g.matmul(local, p.v(b, h)), g.matmul(global, p.input('globalV', b, h)));
});

const logsumexp = perHead<Options>((g, p, b, h) => {
  const local = rowLogsumexp(g, scoresOf(g, p, b, h), (i, j) => p.allowed(b, h, i, j) && sees(p, h, i, j));
  return eitherRow(
    g,
    p,
    local,
    rowLogsumexp(g, globalScores(g, p, b, h), (i, j) => p.allowed(b, h, i, j)),
  );
});

const everyone = { globals: Array.from({ length: 17 }, (_, i) => i) };

gate(longformer, {
  oracle,
  logsumexp,
  options: [
    { radius: 3 },
    { radius: 2, globals: [0, 1], dilations: [1, 3] },
    { radius: 1, globals: [], dilations: [2] },
  ],
  draw: (next, { H, G, S }) => ({
    radius: Math.floor(6 * next()),
    globals: [0, 1, 5].slice(0, Math.floor(4 * next())).filter((position) => position < S),
    dilations: H === G && next() < 0.5 ? Array.from({ length: H }, () => 1 + Math.floor(3 * next())) : [2],
  }),
  exactWhen: [
    { options: { radius: 16, globals: [] } },
    { options: everyone },
    { options: { radius: 16, globals: [0, 1], dilations: [1] } },
  ],
  refused: [{ options: { globals: [17] } }, { options: { dilations: [] } }, { options: { dilations: [1, 2, 3] } }],
});

const shapeOf = (n: number, H = 1) => ({ B: 1, H, G: H, L: n, S: n, D: 64, E: 64 });

describe('counts of the paper and of the formulas', () => {
  test('radius 256 and one global token at 4096', () => {
    expect(longformer.cost(shapeOf(4096)).pairs).toBe(2_043_134);
    expect(longformer.cost(shapeOf(4096, 12)).multiplyAdds).toBe(12 * 2_043_134 * 128);
  });
  test('radius 512 and the first two tokens', () => {
    expect(longformer.cost(shapeOf(4096), { radius: 512, globals: [0, 1] }).pairs).toBe(3_950_074);
  });
  test('no globals: the window', () => {
    expect(longformer.cost(shapeOf(4096), { globals: [] }).pairs).toBe(2_035_456);
    expect(longformer.cost(shapeOf(1024), { globals: [], radius: 128 }).pairs).toBe(246_656);
  });
  test('every length, radius, dilation and globals: as its mask has', () => {
    for (let n = 1; n <= 40; n += 3) {
      for (const options of [
        { radius: 0, globals: [] },
        { radius: 3, globals: [0], dilations: [2] },
        { radius: 2, globals: [0, 1, 2].slice(0, n), dilations: [1, 3] },
        { radius: 50, globals: [0] },
      ]) {
        const shape = shapeOf(n, 2);
        const mask = longformer.pattern(shape, options)!;
        for (const causal of [false, true]) {
          const counted = countPairs(causal ? onlyPast().and(mask) : mask, shape);
          expect(longformer.cost(shape, { ...options, causal }).pairs, JSON.stringify({ n, options, causal })).toBe(
            counted,
          );
        }
      }
    }
  });
});

describe('schedules', () => {
  test('windows rise in equal steps', () => {
    expect(windowSchedule(12, 32, 512)).toHaveLength(12);
    expect(windowSchedule(3, 512, 32)).toEqual([512, 272, 32]);
    expect(windowSchedule(1, 32, 512)).toEqual([512]);
    expect(() => windowSchedule(0, 1, 2)).toThrow(OptionError);
    expect(() => windowSchedule(2, -1, 2)).toThrow('bottom must be');
  });
  test('the small character model of table 12: two of eight heads, 1 more than its gaps', () => {
    const steps = [
      { layer: 0, dilation: 1 },
      { layer: 6, dilation: 2 },
      { layer: 8, dilation: 3 },
      { layer: 10, dilation: 4 },
    ];
    const layers = dilationSchedule(12, steps, { heads: 8 });
    expect(layers.map((heads) => heads.at(-1))).toEqual([1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4]);
    expect(layers[11]).toEqual([1, 1, 1, 1, 1, 1, 4, 4]);
    expect(() => dilationSchedule(12, steps.slice(1), { heads: 8 })).toThrow('begin at layer 0');
    expect(() => dilationSchedule(12, steps, { heads: 1 })).toThrow('dilated must be');
  });
});

onEveryDevice((on) => {
  const [B, H, n, D] = [2, 4, 61, 8];
  const create = (seed: number, shape: readonly number[] = [B, H, n, D]): Tensor =>
    tensor(
      normal(
        seed,
        shape.reduce((a, b) => a * b),
      ),
      shape,
      { device: on.device, requiresGradient: true },
    );

  /** What n terms summed in another order may differ by. */
  const reordered = (x: ArrayLike<number>): number => n * 2 ** -24 * Math.max(...Array.from(x, Math.abs));

  test('projections given twice agree with those left out, through the other way of computing', async () => {
    const [q, k, v] = [create(1), create(2), create(3)];
    const copies = [create(1), create(2), create(3)] as const;
    const options = { radius: 4, globals: [0, 7, 30], lengths: [61, 20] };
    for (const causal of [false, true]) {
      const own = { ...options, causal, globals: causal ? [0, 1, 2] : options.globals };
      const shared = longformer.run(q, k, v, own);
      const [globalQ, globalK, globalV] = copies;
      const apart = longformer.run(q, k, v, { ...own, inputs: { globalQ, globalK, globalV } });
      const want = await shared.out.data();
      expectClose('out', await apart.out.data(), want, { budget: reordered(want) });
      const sums = await shared.logsumexp!.data();
      expectClose('logsumexp', await apart.logsumexp!.data(), sums, { budget: reordered(sums) });
      disposeAll([shared.out, shared.logsumexp!, apart.out, apart.logsumexp!]);
    }
    disposeAll([q, k, v, ...copies]);
  });

  test('global tokens of each row: as each row alone with those in its options, and gradients too', async () => {
    const globals = [[0, 7, 30], [5], []];
    const lengths = [61, 20, 40];
    const names = ['q', 'k', 'v', 'globalQ', 'globalK', 'globalV'] as const;
    const leaves = names.map((_, i) => create(i + 1, [3, H, n, D]));
    const cotangent = create(9, [3, H, n, D]);
    const holes = mask(({ k, q }) => k.add(q).mod(5).ne(2));
    const run = (of: readonly Tensor[], own: object, apart: boolean) => {
      const [q, k, v, globalQ, globalK, globalV] = of as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
      const inputs = apart ? { globalQ, globalK, globalV } : {};
      return longformer.run(q, k, v, { radius: 4, score: alibi(), mask: holes, inputs, ...own });
    };
    for (const apart of [true, false]) {
      const found = scope(() => {
        const all = run(leaves, { globalTokens: globals, lengths }, apart);
        return [all.out, all.logsumexp!, ...gradients([all.out], leaves, [cotangent])];
      });
      const alone = globals.map((own, b) =>
        scope(() => {
          const row = leaves.map((x) => slice(x, { start: b, end: b + 1 }));
          const one = run(row, { globals: own, lengths: [lengths[b]!] }, apart);
          return [one.out, one.logsumexp!, ...gradients([one.out], row, [slice(cotangent, { start: b, end: b + 1 })])];
        }),
      );
      for (const [i, x] of found.entries()) {
        const parts = await Promise.all(alone.map((row) => row[i]!.data()));
        const want = parts.flatMap((part) => [...part]);
        const finite = want.map((one) => (Number.isFinite(one) ? one : 0));
        expectClose(['out', 'logsumexp', ...names][i]!, await x.data(), want, { budget: reordered(finite) });
      }
      disposeAll([...found, ...alone.flat()]);
    }
    disposeAll([...leaves, cotangent]);
  });

  test('global tokens of rows that cannot be are refused', () => {
    const [q, k, v] = [create(1), create(2), create(3)];
    const run = (own: object) => () => longformer.run(q, k, v, own);
    expect(run({ globalTokens: [[0]] })).toThrow(
      /globalTokens must be 2 lists of different whole numbers from 0 to 60/,
    );
    expect(run({ globalTokens: [[0], [61]] })).toThrow(OptionError);
    expect(run({ globalTokens: [[0], [1]], causal: true })).toThrow(/for attention to both sides/);
    expect(() => slidingWindow.run(q, k, v, { globalTokens: [[0], [1]] })).toThrow(
      /it has no global tokens that a call names/,
    );
    disposeAll([q, k, v]);
  });

  test('scores know where their row and head is, in dilated heads and in rows of global tokens', async () => {
    const [q, k, v] = [create(1), create(2), create(3)];
    const [globalQ, globalK, globalV] = [create(1), create(2), create(3)];
    const table = tensor(normal(9, 32 * H), [32, H], { device: on.device });
    const change = alibi().andThen(t5Bias(table));
    const run = (dilations: number[], inputs = {}): Tensor => {
      const { out, logsumexp } = longformer.run(q, k, v, {
        radius: 30,
        globals: [0, 9],
        dilations,
        score: change,
        inputs,
      });
      logsumexp!.dispose();
      return out;
    };
    const whole = run([2]);
    // the same numbers as dilations by head, two heads of which differ
    const parts = run([2, 2, 2, 3]);
    const own = run([2], { globalQ, globalK, globalV });
    const [a, b, c] = [await whole.data(), await parts.data(), await own.data()];
    const heads = (x: ArrayLike<number>): number[] => Array.from(x).filter((_, at) => Math.floor(at / (n * D)) % H < 3);
    expectClose('three heads', heads(b), heads(a), { budget: reordered(a) });
    expectClose('projections apart', c, a, { budget: reordered(a) });
    disposeAll([q, k, v, globalQ, globalK, globalV, table, whole, parts, own]);
  });

  test('a score is given the positions of the text: of global rows, of some heads, and of the last rows of a longer text', async () => {
    // tells row, column and head themselves, which softmax does not shift away
    const place = score(({ score: s, h, q, k }) => s.add(q.add(1).mul(k).add(h.mul(5)).mod(7).toF32()));
    for (const [causal, globals, L] of [
      [false, [0, 9, 30], n],
      [true, [0, 1, 2, 3], n],
      [true, [0, 1, 2, 3], n - 2],
      [true, [0, 1, 2, 3], n - 4],
    ] as const) {
      const [q, k, v] = [create(1, [B, H, L, D]), create(2), create(3)];
      const inputs = { globalQ: create(1, [B, H, L, D]), globalK: create(2), globalV: create(3) };
      for (const dilations of [[2], [1, 1, 2, 3]]) {
        for (const own of [{}, inputs]) {
          const options = { radius: 3, globals, dilations, causal };
          const got = longformer.run(q, k, v, { ...options, score: place, inputs: own });
          const mask = longformer.pattern({ B, H, G: H, L, S: n, D, E: D }, options)!;
          const want = attend(q, k, v, { causal, mask, score: place });
          const numbers = await want.out.data();
          const what = JSON.stringify({ ...options, L, own: own === inputs });
          expectClose(what, await got.out.data(), numbers, { budget: reordered(numbers) });
          disposeAll([got.out, got.logsumexp!, want.out, want.logsumexp]);
        }
      }
      disposeAll([q, k, v, inputs]);
    }
  });

  test('without global tokens the global projections get no gradient', async () => {
    const inputs = { globalQ: create(4), globalK: create(5), globalV: create(6) };
    const [q, k, v] = [create(1), create(2), create(3)];
    const { out, logsumexp } = longformer.run(q, k, v, { radius: 4, globals: [], inputs });
    const found = scope(() =>
      gradients([out], Object.values(inputs), [tensor(normal(8, out.size), out.shape, { device: on.device })]),
    );
    for (const gradient of found) expect((await gradient.data()).every((x) => x === 0)).toBe(true);
    disposeAll([q, k, v, out, logsumexp!, ...Object.values(inputs), ...found]);
  });
});

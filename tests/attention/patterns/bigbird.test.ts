import { describe, expect, test } from 'vitest';
import { bigbird } from '../../../src/attention/patterns/bigbird.js';
import { certainBlocks, randomBlocks } from '../../../src/attention/patterns/bigbird-blocks.js';
import { words } from '../../../src/core/random.js';
import { classifyTiles, countPairs } from '../../../src/masks/index.js';
import { disposeAll, tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import { single } from '../../oracles/arithmetic.js';
import { Graph, patternOracle, perHead, scoresOf, type OracleProblem } from '../../oracles/graph.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';

interface Options {
  readonly mode: 'itc' | 'etc';
  readonly blockSize: number;
  readonly numWindowBlocks: number;
  readonly numGlobalBlocks: number;
  readonly numRandomBlocks: number;
  readonly randomMode: 'seeded' | 'hfEval';
  readonly shortSequences: 'full' | 'sparse';
}

/** The table of the paper's block matrix, written out; the random blocks drawn again. */
function seesBlock(p: OracleProblem<Options>, h: number, I: number, J: number): boolean {
  const { mode, blockSize, numWindowBlocks, numGlobalBlocks, numRandomBlocks } = p.options;
  const count = Math.ceil(p.S / blockSize);
  const start = mode === 'etc' ? numGlobalBlocks : Math.ceil(numGlobalBlocks / 2);
  const global = (x: number): boolean => x < start || x >= count - (numGlobalBlocks - start);
  if (global(I) || global(J) || Math.abs(I - J) <= (numWindowBlocks - 1) / 2) return true;
  const others = Array.from({ length: count }, (_, x) => x).filter(
    (x) => !global(x) && Math.abs(I - x) > (numWindowBlocks - 1) / 2,
  );
  return drawn(
    others,
    words(p.seed, `bigbird blocks, head ${h}`, count * numRandomBlocks),
    I,
    numRandomBlocks,
  ).includes(J);
}

/** So many of the others, each choice as likely: Floyd's sampling, of which a place that is taken already takes the last. */
function drawn(others: readonly number[], random: ArrayLike<number>, row: number, most: number): number[] {
  const found: number[] = [];
  for (let i = 0; i < Math.min(most, others.length); i++) {
    const places = others.length - Math.min(most, others.length) + i + 1;
    const one = others[Math.floor((random[row * most + i]! / 2 ** 32) * places)]!;
    found.push(found.includes(one) ? others[places - 1]! : one);
  }
  return found;
}

const isShort = ({ options: o, S }: OracleProblem<Options>): boolean =>
  o.shortSequences === 'full' && S <= o.blockSize * (o.numWindowBlocks + o.numGlobalBlocks + 2 * o.numRandomBlocks);

const sees = (p: OracleProblem<Options>, h: number, i: number, j: number): boolean =>
  isShort(p) || seesBlock(p, h, Math.floor(i / p.options.blockSize), Math.floor(j / p.options.blockSize));

const sparse = { shortSequences: 'sparse', blockSize: 2 } as const;

gate(bigbird, {
  oracle: patternOracle<Options>((p, _, h, i, j) => sees(p, h, i, j)),
  options: [
    { ...sparse, numRandomBlocks: 1 },
    { ...sparse, mode: 'etc', numRandomBlocks: 2, numGlobalBlocks: 1, numWindowBlocks: 1 },
    {},
  ],
  draw: (next) => ({
    shortSequences: next() < 0.8 ? 'sparse' : 'full',
    mode: next() < 0.5 ? 'itc' : 'etc',
    blockSize: 1 + Math.floor(7 * next()),
    numWindowBlocks: 1 + 2 * Math.floor(3 * next()),
    numGlobalBlocks: Math.floor(4 * next()),
    numRandomBlocks: Math.floor(4 * next()),
  }),
  exactWhen: [
    { options: {} },
    { options: { ...sparse, numRandomBlocks: 9 } },
    // four blocks, no random ones: blocks 1 and 2 see all four
    { options: { shortSequences: 'sparse', blockSize: 5, numRandomBlocks: 0 } },
  ],
  refused: [{ options: { numWindowBlocks: 2 } }, { options: { mode: 'etc', randomMode: 'hfEval' } }],
  costShapes: [1024, 2000].map((n) => ({ B: 1, H: 4, G: 4, L: n, S: n, D: 64, E: 64 })),
  except: { 'padding equals removal': 'the last block is global, and random blocks are drawn for the padded length' },
});

const shapeOf = (n: number, H = 1) => ({ B: 1, H, G: H, L: n, S: n, D: 64, E: 64 });

describe('pairs', () => {
  test('b²·(nb·(7 + r) − 12 − 2r) without overlaps: 622 block pairs at 4096', () => {
    expect(bigbird.cost(shapeOf(4096)).pairs).toBe(2_547_712);
    expect(countPairs(bigbird.pattern(shapeOf(4096))!, shapeOf(4096))).toBe(2_547_712);
    for (const [n, b, r] of [
      [2048, 64, 3],
      [4096, 128, 2],
      [1024, 16, 5],
    ] as const) {
      const [nb, options] = [n / b, { blockSize: b, numRandomBlocks: r }];
      expect(bigbird.cost(shapeOf(n, 2), options).pairs).toBe(2 * b * b * (nb * (7 + r) - 12 - 2 * r));
      expect(countPairs(bigbird.pattern(shapeOf(n, 2), options)!, shapeOf(n, 2))).toBe(
        2 * b * b * (nb * (7 + r) - 12 - 2 * r),
      );
    }
  });
  test('the arithmetic of 352 keys for each of 4064 tokens and 32 global ones is the pattern without overlaps', () => {
    // 256 of the window, 64 random, 32 global, none of them twice; every global token sees all
    expect(4064 * (256 + 64 + 32) + 32 * 4096).toBe(1_561_600);
    // blocks of 32, a window of 7 and 2 random ones: 32 more of the window than 256 − 64 + 32 keys, at the borders fewer
    const options = { mode: 'etc', blockSize: 32, numWindowBlocks: 7, numRandomBlocks: 2, numGlobalBlocks: 1 } as const;
    const keys = 32 * (7 + 2 + 1);
    const missing = 32 * 32 * (3 + 2 + 1 + 1 + 2 + 3);
    const pairs = 4064 * keys + 32 * 4096 - missing;
    expect(bigbird.cost(shapeOf(4096), options).pairs).toBe(pairs);
  });
  test('five blocks without random ones: 23 of 25 block pairs', () => {
    const options = { blockSize: 1, numRandomBlocks: 0, shortSequences: 'sparse' } as const;
    expect(bigbird.cost(shapeOf(5), options).pairs).toBe(23);
    expect(bigbird.cost(shapeOf(4), options).pairs).toBe(16);
  });
  test('a short last block', () => {
    const options = { blockSize: 16, numRandomBlocks: 1 };
    for (const n of [200, 203, 255]) {
      expect(bigbird.cost(shapeOf(n, 2), options).pairs).toBe(
        countPairs(bigbird.pattern(shapeOf(n, 2), options)!, shapeOf(n, 2)),
      );
    }
  });
});

describe('random blocks', () => {
  const layout = { blockSize: 64, count: 64, side: 1, first: 1, last: 1, random: 3 };
  test('none is seen anyway, none repeats, and they reach the whole sequence evenly', () => {
    const met = new Int32Array(64);
    for (let head = 0; head < 40; head++) {
      const drawn = randomBlocks(layout, 5, head);
      for (let row = 1; row < 63; row++) {
        const own = Array.from(drawn.subarray(3 * row, 3 * row + 3));
        expect(new Set([...own, ...certainBlocks(layout, row)]).size).toBe(3 + certainBlocks(layout, row).length);
        for (const block of own) met[block]!++;
      }
      for (const row of [0, 63]) expect(Array.from(drawn.subarray(3 * row, 3 * row + 3))).toEqual([-1, -1, -1]);
    }
    // 40·62·3/62 = 120 each; six deviations of a binomial
    const inner = Array.from(met.subarray(1, 63));
    expect(Math.min(...inner)).toBeGreaterThan(120 - 6 * Math.sqrt(120));
    expect(Math.max(...inner)).toBeLessThan(120 + 6 * Math.sqrt(120));
  });
  test('a seed gives the same blocks, another seed or head others', () => {
    expect(randomBlocks(layout, 5, 1)).toEqual(randomBlocks(layout, 5, 1));
    expect(randomBlocks(layout, 6, 1)).not.toEqual(randomBlocks(layout, 5, 1));
    expect(randomBlocks(layout, 5, 2)).not.toEqual(randomBlocks(layout, 5, 1));
  });
  test('fewer candidates than asked: all of them', () => {
    const few = randomBlocks({ ...layout, count: 6 }, 1, 0);
    expect(Array.from(few.subarray(3 * 2, 3 * 3)).filter((block) => block >= 0)).toEqual([4]);
  });
  test('a mask of 65,536 tokens and 12 heads is classified from its blocks, none of them partial in tiles that divide them', () => {
    const shape = shapeOf(65_536, 12);
    const expression = bigbird.pattern(shape)!.expression(shape);
    const tiles = classifyTiles(expression, { ...shape, queryTile: 64, keyTile: 32, queryOffset: 0 });
    expect(tiles.counts.partial).toBe(0);
    expect(tiles.pairs.full).toBe(bigbird.cost(shape).pairs);
  });
});

onEveryDevice((on) => {
  const [B, H, n, D] = [1, 2, 40, 8];
  const data = [1, 2, 3].map((seed) => normal(seed, B * H * n * D));
  const inputs = () => data.map((x) => tensor(x, [B, H, n, D], { device: on.device }));

  test('short sequences: full attention, said so, and decided for each call alone', async () => {
    const [q, k, v] = inputs();
    const options = { blockSize: 4, numRandomBlocks: 3 };
    // 44 is the longest of (5 + 2·3)·4
    const short = bigbird.run(q!, k!, v!, options);
    expect(short.notes).toEqual([expect.stringContaining('40 tokens are at most 44')]);
    const long = bigbird.run(q!, k!, v!, { ...options, numRandomBlocks: 1 });
    expect(long.notes).toEqual([]);
    const pattern = bigbird.run(q!, k!, v!, { ...options, shortSequences: 'sparse' });
    expect(pattern.notes).toEqual([]);
    expect(await pattern.out.data()).not.toEqual(await short.out.data());
    disposeAll([q!, k!, v!, ...[short, long, pattern].flatMap(({ out, logsumexp }) => [out, logsumexp!])]);
  });

  test('hfEval: block 0 counts 1 + r times in the rows between the first and the last block', async () => {
    const [q, k, v] = inputs();
    const options = { ...sparse, blockSize: 4, numRandomBlocks: 3, randomMode: 'hfEval' } as const;
    const { out, logsumexp } = bigbird.run(q!, k!, v!, options);
    const want = (g: Graph): number[] => {
      const matrix = (x: Float32Array) => (_: number, h: number) =>
        g.input(x.subarray(h * n * D, (h + 1) * n * D), n, D);
      const [mq, mk, mv] = data.map(matrix);
      const shape = { B, H, G: H, L: n, S: n, D, E: D, causal: false, scale: 1 / Math.sqrt(D), seed: 0 };
      const none = { ...options, numRandomBlocks: 0, mode: 'itc', numWindowBlocks: 3, numGlobalBlocks: 2 } as const;
      const problem = {
        ...shape,
        options: none,
        q: mq!,
        k: mk!,
        v: mv!,
        parameter: () => mq!(0, 0),
        input: () => mq!(0, 0),
        allowed: () => true,
      } satisfies OracleProblem<Options>;
      const heads = perHead<Options>((graph, p, b, h) => {
        const scores = graph.map(
          scoresOf(graph, p, b, h),
          (x, r, i, j) => (j < 4 && i >= 4 && i < 36 ? r(x + Math.log(4)) : x),
          () => 1,
        );
        return graph.matmul(
          graph.softmax(scores, (i, j) => sees(p, h, i, j)),
          p.v(b, h),
        );
      })(g, problem);
      return heads.flatMap((head) => Array.from(head.data));
    };
    const exact = want(new Graph());
    expectClose('hfEval', await out.data(), exact, { budget: want(new Graph(single)) });
    disposeAll([q!, k!, v!, out, logsumexp!]);
  });
});

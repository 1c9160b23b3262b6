import { describe, expect, it } from 'vitest';
import { randomBlocks } from '../../../src/attention/patterns/index.js';
import { words } from '../../../src/core/random.js';
import { predicate } from '../../masks/brute.js';
import { gate } from '../../contract/gate/index.js';
import { patternOracle, type OracleProblem } from '../../oracles/graph.js';
import { countsPairs } from './pairs.js';

interface Options {
  blockSize: number;
  numRandomBlocks: number;
}

/** Blocks that a block of queries sees besides its own: one after the other drawn from those that are left. */
function drawn({ options, S, causal, seed }: OracleProblem<Options>, h: number, block: number): readonly number[] {
  const count = Math.ceil(S / options.blockSize);
  const slots = Math.min(options.numRandomBlocks, count - 1);
  const left = Array.from({ length: causal ? block : count }, (_, other) => other).filter((other) => other !== block);
  const random = words(seed, `random-blocks head ${h}`, count * slots).slice(block * slots);
  const found: number[] = [];
  for (let i = 0; i < slots && left.length > 0; i++) {
    const at = Math.floor((random[i]! / 2 ** 32) * left.length);
    found.push(left[at]!);
    left[at] = left[0]!;
    left.shift();
  }
  return found;
}

const oracle = patternOracle<Options>((p, _b, h, i, j) => {
  const count = Math.ceil(p.S / p.options.blockSize);
  const [query, key] = [Math.floor((i * count) / p.S), Math.floor((j * count) / p.S)];
  return query === key || drawn(p, h, query).includes(key);
});

gate(randomBlocks, {
  oracle,
  options: [
    { blockSize: 3, numRandomBlocks: 2 },
    { blockSize: 4, numRandomBlocks: 1 },
    { blockSize: 5, numRandomBlocks: 0 },
  ],
  except: { 'padding equals removal': 'the blocks are parts of the whole length, padding included' },
  exactWhen: [{}, { options: { blockSize: 2, numRandomBlocks: 8 } }],
});

describe('random-blocks', () => {
  countsPairs(randomBlocks, [
    [1024, {}, false, 2 * 1024 * 4 * 64, 2],
    [1024, {}, true, 16 * ((64 * 65) / 2) + 64 ** 2 * (0 + 1 + 2 + 13 * 3)],
    [128, {}, false, 128 ** 2],
  ]);

  const shape = { B: 1, H: 3, G: 3, L: 128, S: 128, D: 8, E: 8 };
  const seen = (options: { seed?: number; causal?: boolean }): number[][][] => {
    const sees = predicate(
      randomBlocks.pattern(shape, { blockSize: 8, numRandomBlocks: 3, ...options })!.expression(shape),
      shape,
    );
    const blocks = Array.from({ length: 16 }, (_, block) => block);
    return Array.from({ length: 3 }, (_, h) =>
      blocks.map((block) => blocks.filter((other) => sees(0, h, 8 * block, 8 * other))),
    );
  };

  it('draws as many blocks for every block, its own among them, and other ones for other heads and seeds', () => {
    const all = seen({ seed: 1 });
    all.forEach((head) =>
      head.forEach((list, block) => {
        expect(list).toHaveLength(4);
        expect(list).toContain(block);
      }),
    );
    expect(seen({ seed: 1 })).toEqual(all);
    expect(seen({ seed: 2 })).not.toEqual(all);
    expect(all[0]).not.toEqual(all[1]);
  });

  it('draws from the past under causal', () => {
    seen({ causal: true }).forEach((head) =>
      head.forEach((list, block) => {
        expect(list).toHaveLength(Math.min(4, block + 1));
        expect(Math.max(...list)).toBe(block);
      }),
    );
  });

  it('draws every other block about equally often', () => {
    const counts = new Array<number>(16).fill(0);
    for (let seed = 0; seed < 60; seed++) {
      seen({ seed }).forEach((head) => head.forEach((list) => list.forEach((block) => counts[block]!++)));
    }
    // 60 · 3 heads: 180 of its own and 180 · 15 · 3/15 draws, with a deviation of √(540 · 0.8)
    for (const count of counts) expect(Math.abs(count - 720)).toBeLessThan(5 * Math.sqrt(540 * 0.8));
  });
});

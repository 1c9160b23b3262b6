import { words } from '../../core/random.js';
import { pickedBlocks } from '../../masks/index.js';
import { defineAttention } from '../define.js';
import { integer } from '../options.js';
import { costOfPairs } from '../pairs.js';

/** A few blocks out of those with numbers below `count`, without `own`: the first of a shuffle, each equally likely. */
function draw(random: Uint32Array, count: number, own: number, wanted: number): number[] {
  const others = own < count ? count - 1 : count;
  // the shuffle as its exchanges alone: a list of all blocks for each block would be quadratic
  const moved = new Map<number, number>();
  const at = (i: number): number => moved.get(i) ?? (i < own ? i : i + 1);
  return Array.from({ length: Math.min(wanted, others) }, (_, i) => {
    const j = i + Math.floor((random[i]! / 2 ** 32) * (others - i));
    const drawn = at(j);
    moved.set(j, at(i));
    return drawn;
  });
}

const blocksOf = (n: number, blockSize: number): number => Math.ceil(n / blockSize);

/** Every block of queries sees its own block and a few random ones, others in every head. */
export const randomBlocks = defineAttention({
  name: 'random-blocks',
  family: 'patterns',
  summary: 'Every block of queries sees its own block and a few random ones.',
  paper: {
    authors: 'Zaheer et al.',
    title: 'Big Bird: Transformers for Longer Sequences',
    year: 2020,
    arxiv: '2007.14062',
  },
  formula: 'keys of query i in head h: the blocks { ⌊i/b⌋ } ∪ R_h(⌊i/b⌋),  |R_h| = r drawn from the seed',
  complexity: 'n·(r + 1)·b·d',
  exactness: 'exact on its support',
  relativeToPaper:
    'the random part by itself, with the own block so that no query is without a key; under causal the blocks are drawn from those before. A length that is no multiple of the block gives ⌈n/b⌉ blocks that differ by one position.',
  options: {
    blockSize: integer({ min: 1, default: 64, help: 'positions of a block' }),
    numRandomBlocks: integer({ min: 0, default: 3, help: 'random blocks that each block of queries sees' }),
  },
  supports: { causal: true, cross: false, padding: true, score: true, groupedHeads: true, decode: false },
  pattern: ({ H, S }, { blockSize, numRandomBlocks }, { causal, seed }) => {
    const numBlocks = blocksOf(S, blockSize);
    const slots = Math.min(numRandomBlocks, numBlocks - 1);
    const picks = Array.from({ length: H }, (_, h) => {
      const random = words(seed, `random-blocks head ${h}`, numBlocks * slots);
      return Array.from({ length: numBlocks }, (_, block) => {
        const own = random.subarray(block * slots, (block + 1) * slots);
        const drawn = draw(own, causal ? block + 1 : numBlocks, block, slots);
        // one length for all: the first blocks of a causal pattern have fewer to choose from
        return [block, ...drawn, ...new Array<number>(slots - drawn.length).fill(block)];
      });
    });
    return pickedBlocks({ numBlocks, picks });
  },
  cost: (shape, { blockSize, numRandomBlocks }, causal) => {
    const { H, S } = shape;
    const numBlocks = blocksOf(S, blockSize);
    const size = S / numBlocks;
    const others = (block: number): number => Math.min(numRandomBlocks, causal ? block : numBlocks - 1);
    let pairs = 0;
    for (let block = 0; block < numBlocks; block++) {
      pairs += (causal ? (size * (size + 1)) / 2 : size * size) + others(block) * size * size;
    }
    return costOfPairs(shape, Math.round(H * pairs));
  },
});

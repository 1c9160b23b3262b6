import { localBlocks } from '../../masks/index.js';
import { defineAttention } from '../define.js';
import { integer } from '../options.js';
import { costOfPairs } from '../pairs.js';
import { keysBetween, sumOverRows } from './rows.js';

interface LocalOptions {
  readonly blockSize: number;
  readonly memory: number;
}

/** Keys that a block sees before and after itself. */
const memoryOf = ({ blockSize, memory }: LocalOptions, causal: boolean): number =>
  memory >= 0 ? memory : causal ? blockSize : 100;

/** Local attention in one dimension: a block of queries sees itself and the keys next to it. */
export const local1d = defineAttention({
  name: 'local-1d',
  family: 'patterns',
  summary: 'Blocks of queries see their own block and a stretch of keys next to it.',
  paper: { authors: 'Parmar et al.', title: 'Image Transformer', year: 2018, arxiv: '1802.05751' },
  formula: 'keys of query i: { j : b⌊i/b⌋ − m ≤ j < b⌊i/b⌋ + b + m },  b = blockSize, m = memory',
  complexity: 'n·(b + m)·d',
  exactness: 'exact on its support',
  relativeToPaper:
    'defaults are those of tensor2tensor: 100 keys on each side, and the whole block before under causal, where up to two blocks are full causal attention.',
  options: {
    blockSize: integer({ min: 1, default: 128, help: 'queries of a block' }),
    memory: integer({
      min: -1,
      default: -1,
      help: 'keys that a block sees on each side; −1: 100, or under causal the block before it',
    }),
  },
  supports: { causal: true, cross: false, padding: true, score: true, groupedHeads: true, decode: 'cache' },
  pattern: (_, options, { causal }) => {
    const memory = memoryOf(options, causal);
    return localBlocks({ size: options.blockSize, before: memory, after: memory });
  },
  cost: (shape, options, causal) => {
    const { blockSize } = options;
    const memory = memoryOf(options, causal);
    const keys = (i: number): number => {
      const start = i - (i % blockSize);
      return keysBetween(shape.S, start - memory, causal ? i : start + blockSize + memory - 1);
    };
    return costOfPairs(shape, shape.H * sumOverRows(shape, keys));
  },
});

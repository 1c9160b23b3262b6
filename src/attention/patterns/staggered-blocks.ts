import { global, localBlocks } from '../../masks/index.js';
import { defineAttention } from '../define.js';
import { integer } from '../options.js';
import { costOfPairs } from '../pairs.js';
import { keysBetween, sumOverRows } from './rows.js';

interface StaggeredOptions {
  readonly blockSize: number;
  readonly shift: number;
  readonly numGlobals: number;
}

/** What position 0 has before it in its block. */
const ahead = ({ blockSize, shift, numGlobals }: StaggeredOptions): number =>
  (((shift - numGlobals) % blockSize) + blockSize) % blockSize;

/** Blocks that see themselves and the first tokens; moved by half a block in every second layer, so that what is known crosses their bounds. */
export const staggeredBlocks = defineAttention({
  name: 'staggered-blocks',
  family: 'patterns',
  summary: 'Blocks see themselves and the first tokens, which see all; layers may have their blocks elsewhere.',
  paper: {
    authors: 'Phang, Zhao, Liu',
    title: 'Investigating Efficiently Extending Transformers for Long Input Summarization',
    year: 2022,
    arxiv: '2208.04347',
  },
  formula:
    'keys of query i: { j : i < g or j < g or ⌊(i − g + s)/b⌋ = ⌊(j − g + s)/b⌋ },  b = blockSize, s = shift, g = numGlobals',
  complexity: 'n·(b + g)·d',
  exactness: 'exact on its support',
  relativeToPaper:
    'the global tokens are the first of the sequence, and blocks are counted from behind them; a model may put rows of its own there (embedding.prefix).',
  options: {
    blockSize: integer({ min: 1, default: 512, help: 'tokens of a block' }),
    shift: integer({
      min: 0,
      default: 0,
      help: 'by how much blocks begin before the first token; half a block in every second layer',
    }),
    numGlobals: integer({ min: 0, default: 32, help: 'so many first tokens are global' }),
  },
  supports: { causal: true, cross: false, padding: true, score: true, groupedHeads: true, decode: 'cache' },
  refuse: (_, { blockSize, shift }) =>
    shift < blockSize ? [] : [`shift must be below blockSize ${blockSize}; got ${shift}`],
  pattern: (_, options) => {
    const { blockSize: size, numGlobals: first } = options;
    const own = localBlocks({ size, before: 0, after: 0, ahead: ahead(options) });
    return first > 0 ? global({ first }).or(own) : own;
  },
  cost: (shape, options, causal) => {
    const { H, S } = shape;
    const { blockSize: b, numGlobals: g } = options;
    const keys = (i: number): number => {
      if (i < g) return causal ? i + 1 : S;
      const start = i - ((i + ahead(options)) % b);
      return Math.min(g, S) + keysBetween(S, Math.max(g, start), causal ? i : start + b - 1);
    };
    return costOfPairs(shape, H * sumOverRows(shape, keys));
  },
});

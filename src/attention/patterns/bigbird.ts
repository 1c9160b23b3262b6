import { constant, select } from '../../codegen/expression/index.js';
import { mask } from '../../masks/index.js';
import { score, type Score } from '../../scores/index.js';
import { attendWithin, defineAttention } from '../define.js';
import { choice, integer, type AttentionShape } from '../options.js';
import { allPairs, costOfPairs } from '../pairs.js';
import { blockMask, blockPairs, type BlockLayout } from './bigbird-blocks.js';

interface Blocks {
  readonly mode: 'itc' | 'etc';
  readonly blockSize: number;
  readonly numWindowBlocks: number;
  readonly numGlobalBlocks: number;
  readonly numRandomBlocks: number;
  readonly randomMode: 'seeded' | 'hfEval';
  readonly shortSequences: 'full' | 'sparse';
}

/** Blocks of tokens that see their neighbours, the global blocks, and blocks drawn at random. */
export const bigbird = defineAttention({
  name: 'bigbird',
  family: 'patterns',
  summary: 'Blocks of tokens see their neighbouring blocks, global blocks, and a few blocks drawn at random.',
  paper: {
    authors: 'Zaheer et al.',
    title: 'Big Bird: Transformers for Longer Sequences',
    year: 2020,
    arxiv: '2007.14062',
  },
  formula:
    'out_i = Σ_j softmax_j(scale · q_i·k_j) v_j over the blocks that the block of i sees: window ∪ global ∪ random',
  complexity: 'n·b·(w + g + r)·d',
  exactness: 'exact on its support',
  relativeToPaper:
    'random blocks are drawn per head from the seed, uniformly over the whole sequence and never one that is seen anyway (the published code draws most from the first tokens and counts what it meets twice twice); ' +
    'mode etc takes the first blocks of the sequence as the global tokens; randomMode hfEval is what the published PyTorch port computes outside of training: no random blocks, but block 0 counted 1 + numRandomBlocks times by the blocks between the first and the last.',
  options: {
    mode: choice(['itc', 'etc'], {
      default: 'itc',
      help: 'global blocks: the first and the last ("itc"), or all at the start ("etc")',
    }),
    blockSize: integer({ min: 1, default: 64, help: 'tokens of a block; the last block may be shorter' }),
    numWindowBlocks: integer({ min: 1, default: 3, help: 'blocks of the window, the own one in the middle: odd' }),
    numGlobalBlocks: integer({ min: 0, default: 2, help: 'blocks that see all and are seen by all' }),
    numRandomBlocks: integer({ min: 0, default: 3, help: 'further blocks that a block sees, drawn for each head' }),
    randomMode: choice(['seeded', 'hfEval'], {
      default: 'seeded',
      help: '"hfEval": no random blocks, block 0 counted several times, as in a published port',
    }),
    shortSequences: choice(['full', 'sparse'], {
      default: 'full',
      help: 'up to blockSize · (window + global + 2 · random blocks) tokens: full attention, with a note, or the pattern',
    }),
  },
  supports: { causal: false, cross: false, padding: true, score: true, mask: true, groupedHeads: true, decode: false },
  refuse: (_, { numWindowBlocks, mode, randomMode }) =>
    [
      numWindowBlocks % 2 === 0 && `numWindowBlocks must be odd: ${numWindowBlocks - 1} or ${numWindowBlocks + 1}`,
      mode === 'etc' && randomMode === 'hfEval' && 'randomMode hfEval goes with mode itc: the port has no other',
    ].filter((fault) => fault !== false),
  pattern: (shape, options, { seed }) =>
    isShort(shape, options) ? mask(() => constant(true)) : blockMask(layoutOf(shape, options), shape.H, seed),
  cost: (shape, options) =>
    isShort(shape, options)
      ? allPairs(shape, false)
      : costOfPairs(shape, shape.H * blockPairs(layoutOf(shape, options), shape.S)),
  takesHalves: true,
  forward: (call) => {
    const { shape, options } = call;
    const notes = isShort(shape, options)
      ? [
          `full attention: ${shape.S} tokens are at most ${shortest(options)}; shortSequences: "sparse" keeps the pattern`,
        ]
      : [];
    const port = options.randomMode === 'hfEval' && notes.length === 0 ? repeated(shape, options) : undefined;
    const change = port && call.score ? call.score.andThen(port) : (port ?? call.score);
    return { ...attendWithin({ ...call, score: change }), notes };
  },
});

/** The longest sequence that the published code does not take as sparse: `(5 + 2r)·b` with the usual window and global blocks. */
const shortest = ({ blockSize, numWindowBlocks, numGlobalBlocks, numRandomBlocks }: Blocks): number =>
  blockSize * (numWindowBlocks + numGlobalBlocks + 2 * numRandomBlocks);

const isShort = ({ S }: AttentionShape, options: Blocks): boolean =>
  options.shortSequences === 'full' && S <= shortest(options);

function layoutOf({ S }: AttentionShape, options: Blocks): BlockLayout {
  const { mode, blockSize, numWindowBlocks, numGlobalBlocks, numRandomBlocks, randomMode } = options;
  const count = Math.ceil(S / blockSize);
  const first = Math.min(count, mode === 'etc' ? numGlobalBlocks : Math.ceil(numGlobalBlocks / 2));
  return {
    blockSize,
    count,
    side: (numWindowBlocks - 1) / 2,
    first,
    last: Math.min(count - first, numGlobalBlocks - first),
    random: randomMode === 'seeded' ? numRandomBlocks : 0,
  };
}

/** Counts the keys of block 0 once more for each random block, in the rows of all blocks but the first and the last. */
function repeated({ S }: AttentionShape, { blockSize, numRandomBlocks }: Blocks): Score {
  const end = blockSize * (Math.ceil(S / blockSize) - 1);
  return score(({ score: s, q, k }) =>
    select(k.lt(blockSize).and(q.ge(blockSize)).and(q.lt(end)), s.add(Math.log(1 + numRandomBlocks)), s),
  );
}

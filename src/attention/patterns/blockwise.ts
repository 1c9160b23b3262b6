import { shiftedBlocks } from '../../masks/index.js';
import { defineAttention } from '../define.js';
import { integer, integers } from '../options.js';
import { costOfPairs } from '../pairs.js';

/** The shift of each head's permutation: as listed, or by the paper's rule; under causal the identity. */
function shiftsOf(
  H: number,
  { numBlocks, shifts }: { readonly numBlocks: number; readonly shifts: readonly number[] },
  causal: boolean,
): readonly number[] {
  if (shifts.length > 0) return shifts.slice(0, H);
  if (causal) return [0];
  // 10:2 of 12 heads for two blocks and 8:2:2 for three: a sixth of the heads for each shift, a fair share at most
  const each = Math.min(Math.max(1, Math.floor(H / 6)), Math.floor(H / numBlocks));
  const identity = H - each * (numBlocks - 1);
  return Array.from({ length: H }, (_, h) => (h < identity ? 0 : 1 + Math.floor((h - identity) / each)));
}

/** Positions of block I: ⌈(I + 1)·n / count⌉ − ⌈I·n / count⌉. */
const sizeOf = (n: number, count: number, I: number): number =>
  Math.ceil(((I + 1) * n) / count) - Math.ceil((I * n) / count);

/** Blocks of queries that see one block of keys each, another one in other heads. */
export const blockwise = defineAttention({
  name: 'blockwise',
  family: 'patterns',
  summary: 'The sequence is cut into blocks; in each head a block sees one block, its own or another.',
  paper: {
    authors: 'Qiu, Ma, Levy, Yih, Wang, Tang',
    title: 'Blockwise Self-Attention for Long Document Understanding',
    year: 2019,
    arxiv: '1911.02972',
  },
  formula: 'keys of query i in head h: { j : (⌊i·b/n⌋ + shift_h) mod b = ⌊j·b/n⌋ },  b = numBlocks',
  complexity: 'n²/b·d',
  exactness: 'exact on its support',
  relativeToPaper:
    'lengths that are no multiple of the blocks give blocks that differ by one position; causal is the identity with a triangle in each block.',
  options: {
    numBlocks: integer({ min: 1, default: ({ S }) => Math.min(2, S), help: 'blocks of the sequence' }),
    shifts: integers({
      min: 0,
      default: [],
      help: 'how many blocks on the block seen is, of the heads in turn; none: a sixth of the heads for each shift, the others 0',
    }),
  },
  supports: { causal: true, cross: false, padding: true, score: true, groupedHeads: true, decode: false },
  refuse: ({ H, S }, { numBlocks, shifts }, causal) =>
    [
      numBlocks > S && `numBlocks must be at most the length ${S}; got ${numBlocks}`,
      causal &&
        shifts.slice(0, H).some((shift) => shift % numBlocks !== 0) &&
        `under causal a block can only see itself, so shifts must be 0; got ${shifts.join('+')}`,
    ].filter((fault) => fault !== false),
  pattern: ({ H }, options, { causal }) =>
    shiftedBlocks({ numBlocks: options.numBlocks, shifts: shiftsOf(H, options, causal) }),
  cost: (shape, options, causal) => {
    const { H, S } = shape;
    const { numBlocks } = options;
    const shifts = shiftsOf(H, options, causal);
    let pairs = 0;
    for (let h = 0; h < H; h++) {
      for (let I = 0; I < numBlocks; I++) {
        const size = sizeOf(S, numBlocks, I);
        const seen = sizeOf(S, numBlocks, (I + shifts[h % shifts.length]!) % numBlocks);
        pairs += causal ? (size * (size + 1)) / 2 : size * seen;
      }
    }
    return costOfPairs(shape, pairs);
  },
});

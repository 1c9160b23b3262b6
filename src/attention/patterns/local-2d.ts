import { localImage } from '../../masks/index.js';
import { defineAttention } from '../define.js';
import { choice, integer } from '../options.js';
import { costOfPairs } from '../pairs.js';
import { imagePairs } from './image.js';
import { nearSquareWidth } from './rows.js';

/** Local attention in an image: a block of queries sees itself and a flange of pixels around it. */
export const local2d = defineAttention({
  name: 'local-2d',
  family: 'patterns',
  summary: 'The sequence is an image; blocks of pixels see their own block and a flange around it.',
  paper: { authors: 'Parmar et al.', title: 'Image Transformer', year: 2018, arxiv: '1802.05751' },
  formula: 'keys of a block at (y, x): rows y − fh … y + bh + fh − 1, columns x − fw … x + bw + fw − 1',
  complexity: 'n·(bh + 2fh)(bw + 2fw)·d',
  exactness: 'exact on its support',
  relativeToPaper:
    'with order "blocks" and causal it is the paper\'s: the strip above, the strip to the left, and the block so far. With order "raster" causal is the order of pixels row by row.',
  options: {
    height: integer({ min: 1, default: ({ S }) => Math.ceil(S / nearSquareWidth(S)), help: 'rows of the image' }),
    width: integer({ min: 1, default: ({ S }) => nearSquareWidth(S), help: 'pixels of a row' }),
    blockHeight: integer({ min: 1, default: 8, help: 'rows of a block of queries' }),
    blockWidth: integer({ min: 1, default: 16, help: 'columns of a block of queries' }),
    flangeHeight: integer({ min: 0, default: 8, help: 'rows seen above and below the block' }),
    flangeWidth: integer({ min: 0, default: 16, help: 'columns seen left and right of the block' }),
    order: choice(['raster', 'blocks'], {
      default: 'raster',
      help: 'of the sequence: pixels row by row, or blocks row by row and pixels row by row in each',
    }),
  },
  supports: { causal: true, cross: false, padding: true, score: true, groupedHeads: true, decode: 'cache' },
  refuse: ({ S }, { height, width }) =>
    S > height * width
      ? [`the image of ${height} × ${width} pixels must hold the length ${S}; height ${Math.ceil(S / width)} would`]
      : [],
  pattern: (_, options) => localImage(options),
  cost: (shape, options, causal) => costOfPairs(shape, shape.H * imagePairs(shape, options, causal)),
});

import { blocks, byHead, strided } from '../../masks/index.js';
import { defineAttention } from '../define.js';
import { choice, integer } from '../options.js';
import { costOfPairs } from '../pairs.js';
import { keysBetween, keysInSteps, nearSquareWidth, overHeads, sumOverRows } from './rows.js';

const axesOf = (axis: 'alternate' | 'row' | 'column'): readonly ('row' | 'column')[] =>
  axis === 'alternate' ? ['row', 'column'] : [axis];

/** Attention along the rows or the columns of an image. */
export const axial = defineAttention({
  name: 'axial',
  family: 'patterns',
  summary: 'The sequence is an image, and a query sees its row or its column.',
  paper: {
    authors: 'Ho, Kalchbrenner, Weissenborn, Salimans',
    title: 'Axial Attention in Multidimensional Transformers',
    year: 2019,
    arxiv: '1912.12180',
  },
  formula: 'keys of query i: row { j : ⌊j/w⌋ = ⌊i/w⌋ }, column { j : (i − j) mod w = 0 },  w = width',
  complexity: 'n·√n·d',
  exactness: 'exact on its support',
  relativeToPaper:
    'the axes are shared out over heads or given one by one; two layers, or the two kinds of head in turn, see the whole image. Causal is the order of pixels row by row. The last row may be short.',
  options: {
    width: integer({ min: 1, default: ({ S }) => nearSquareWidth(S), help: 'pixels of a row' }),
    axis: choice(['alternate', 'row', 'column'], {
      default: 'alternate',
      help: 'along which axis; alternate: even heads along rows, odd ones along columns',
    }),
  },
  supports: { causal: true, cross: false, padding: true, score: true, groupedHeads: true, decode: 'cache' },
  pattern: ({ H }, { width, axis }) =>
    byHead(
      axesOf(axis)
        .slice(0, H)
        .map((one) => (one === 'row' ? blocks({ size: width }) : strided({ stride: width, part: 'summary' }))),
    ),
  cost: (shape, { width, axis }, causal) => {
    const { S } = shape;
    const row = (i: number): number => keysBetween(S, i - (i % width), causal ? i : i - (i % width) + width - 1);
    const column = (i: number): number => keysInSteps(S, i, width, Infinity, causal ? 0 : Infinity);
    const perAxis = axesOf(axis).map((one) => sumOverRows(shape, one === 'row' ? row : column));
    return costOfPairs(shape, overHeads(shape.H, perAxis));
  },
});

import { byHead, dilated } from '../../masks/index.js';
import { defineAttention } from '../define.js';
import { integer, integers } from '../options.js';
import { costOfPairs } from '../pairs.js';
import { keysInSteps, overHeads, sumOverRows } from './rows.js';

/** A window with gaps: every `dilation`-th key near the query, where heads may have dilations of their own. */
export const dilatedWindow = defineAttention({
  name: 'dilated-window',
  family: 'patterns',
  summary: 'A window with gaps, whose reach differs from head to head.',
  paper: {
    authors: 'Beltagy, Peters, Cohan',
    title: 'Longformer: The Long-Document Transformer',
    year: 2020,
    arxiv: '2004.05150',
  },
  formula: 'keys of query i in head h: { i + t·e_h : |t| ≤ radius },  e_h = dilations[h mod length]',
  complexity: 'n·r·d',
  exactness: 'exact on its support',
  relativeToPaper: 'a dilation is the step between keys, 1 for none; the table of the paper gives the gap, 0 for none.',
  options: {
    radius: integer({ min: 0, default: 128, help: "keys on each side besides the query's own" }),
    dilations: integers({ min: 1, default: [1, 2, 4, 8], help: 'step from key to key, of the heads in turn' }),
  },
  supports: { causal: true, cross: false, padding: true, score: true, groupedHeads: true, decode: 'cache' },
  refuse: (_, { dilations }) => (dilations.length === 0 ? ['dilations must name at least one step, such as 1'] : []),
  pattern: ({ H }, { radius, dilations }) =>
    byHead(dilations.slice(0, H).map((dilation) => dilated({ dilation, radiusSlots: radius }))),
  cost: (shape, { radius, dilations }, causal) => {
    const { H, S } = shape;
    const after = causal ? 0 : radius;
    const perStep = dilations.map((step) => sumOverRows(shape, (i) => keysInSteps(S, i, step, radius, after)));
    return costOfPairs(shape, overHeads(H, perStep));
  },
});

import { within } from '../../masks/index.js';
import { defineAttention } from '../define.js';
import { integer } from '../options.js';
import { costOfPairs } from '../pairs.js';
import { keysBetween, sumOverRows } from './rows.js';

const sides = { min: -1, default: -1 } as const;

interface WindowOptions {
  readonly radius: number;
  readonly left: number;
  readonly right: number;
  readonly causalWindow: number;
}

/** Keys before and after the query's own. */
function bounds({ radius, left, right, causalWindow }: WindowOptions): { left: number; right: number } {
  if (causalWindow > 0) return { left: causalWindow - 1, right: 0 };
  return { left: left < 0 ? radius : left, right: right < 0 ? radius : right };
}

/** Each query sees its neighbours: key j where `−right ≤ i − j ≤ left`. */
export const slidingWindow = defineAttention({
  name: 'sliding-window',
  family: 'patterns',
  summary: 'Each query sees the keys near it.',
  paper: {
    authors: 'Beltagy, Peters, Cohan',
    title: 'Longformer: The Long-Document Transformer',
    year: 2020,
    arxiv: '2004.05150',
  },
  formula: 'out_i = softmax over { j : −right ≤ i − j ≤ left } of scale · q_i·k_j, times v_j',
  complexity: 'n·r·d',
  exactness: 'exact on its support',
  relativeToPaper: "the paper's w is the total without the query's own key, 2·radius; here both sides may differ.",
  options: {
    radius: integer({ min: 0, default: 256, help: "keys on each side besides the query's own" }),
    left: integer({ ...sides, help: 'keys before the query; −1: radius' }),
    right: integer({ ...sides, help: 'keys after the query; −1: radius' }),
    causalWindow: integer({
      min: 0,
      default: 0,
      help: "keys in all, the query's own and those before it, in place of the others; 0: not used",
    }),
  },
  supports: { causal: true, cross: false, padding: true, score: true, groupedHeads: true, decode: 'cache' },
  refuse: (_, { left, right, causalWindow }) =>
    causalWindow > 0 && (left >= 0 || right >= 0)
      ? [`causalWindow ${causalWindow} stands in place of left and right; got left ${left}, right ${right}`]
      : [],
  pattern: (_, options) => within(bounds(options)),
  cost: (shape, options, causal) => {
    const { left, right } = bounds(options);
    const after = causal ? 0 : right;
    return costOfPairs(shape, shape.H * sumOverRows(shape, (i) => keysBetween(shape.S, i - left, i + after)));
  },
});

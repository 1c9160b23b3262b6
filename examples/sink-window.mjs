// A mechanism of your own, as a plugin: npx subquad compare --plugin examples/sink-window.mjs --mechanisms sink-window
import { mask, within } from 'subquad';
import { costOfPairs, defineAttention, integer } from 'subquad/attention';

/** The first tokens, which all may see, and the latest ones. */
export const sinkWindow = defineAttention({
  name: 'sink-window',
  family: 'patterns',
  summary: 'The first tokens and the latest ones.',
  paper: {
    authors: 'Xiao et al.',
    title: 'Efficient Streaming Language Models with Attention Sinks',
    year: 2023,
    arxiv: '2309.17453',
  },
  formula: 'keys of query i: { j < sinks } ∪ { j : i − radius ≤ j ≤ i }',
  complexity: 'n·(s + r)·d',
  exactness: 'exact on its support',
  options: {
    sinks: integer({ min: 0, default: 4, help: 'first tokens that all see' }),
    radius: integer({ min: 0, default: 256, help: "keys before the query, besides the query's own" }),
  },
  supports: { causal: 'only', cross: false, padding: true, score: true, groupedHeads: true, decode: 'cache' },
  pattern: (_, { sinks, radius }) => within({ radius }).or(mask(({ k }) => k.lt(sinks))),
  cost: (shape, { sinks, radius }) => {
    const { H, L, S } = shape;
    let pairs = 0;
    for (let row = 0; row < L; row++) {
      const i = row + S - L;
      pairs += Math.min(i + 1, radius + 1) + Math.min(sinks, Math.max(0, i - radius));
    }
    return costOfPairs(shape, H * pairs);
  },
});

import { constant, lookup, select, type I32 } from '../../codegen/expression/index.js';
import { global, within } from '../../masks/index.js';
import type { Place } from '../../masks/index.js';
import { add, attend, matmul, mul, reshape } from '../../ops/index.js';
import { score, type Score } from '../../scores/index.js';
import { tensorTable } from '../../scores/tensor.js';
import { defineAttention, type Call } from '../define.js';
import { integer, type AttentionShape } from '../options.js';
import { costOfPairs } from '../pairs.js';
import { constantOf, learned, type ParameterSpec } from '../parameters.js';
import { longformerPairs } from './longformer-masks.js';

const options = {
  numGlobals: integer({
    min: 0,
    // 256 global tokens for 4,096 in the paper
    default: ({ S }: AttentionShape) => Math.ceil(S / 16),
    help: 'leading tokens that are the global sequence; the others are the long one',
  }),
  radius: integer({ min: 0, default: 84, help: 'keys on each side that a token of the long sequence sees' }),
  maxDistance: integer({
    min: 0,
    default: 12,
    help: 'distances from here on share a relative label; 0 for no relative labels',
  }),
};

type Etc = Call<typeof options, 'relativeKeys' | 'relativeBias'>;

/** A global and a long sequence: the long one sees a window and the global one, which sees everything; relative labels. */
export const etc = defineAttention({
  name: 'etc',
  family: 'patterns',
  summary:
    'A short global sequence sees everything; a long one sees it and its neighbours, with learned relative labels.',
  paper: {
    authors: 'Ainslie et al.',
    title: 'ETC: Encoding Long and Structured Inputs in Transformers',
    year: 2020,
    arxiv: '2004.08483',
  },
  formula:
    'out_i = Σ_j softmax_j(scale · (q_i·(k_j + R[label(i, j)]) + bias[label(i, j)])) v_j over j global, i global, or |i − j| ≤ radius',
  complexity: 'n·(2r + 1 + 2g)·d + n·labels·d',
  exactness: 'exact on its support',
  relativeToPaper:
    'both sequences are one, the global tokens first, with one set of projections; R and its bias start at 0, so that the pattern alone acts until they are trained; ' +
    'pairs across the sequences have one label each way, and labels of one’s own (membership of sentences) are not there, nor are masks between single tokens (use score).',
  options,
  parameters: ({ H, D }, { maxDistance }) => {
    const labels = labelCount(maxDistance);
    const specs = {
      relativeKeys: learned([H, labels, D], constantOf(0)),
      relativeBias: learned([H, labels], constantOf(0)),
    };
    // none where there are no labels
    return (maxDistance === 0 ? {} : specs) as Record<keyof typeof specs, ParameterSpec>;
  },
  supports: { causal: false, cross: false, padding: true, score: true, mask: true, groupedHeads: true, decode: false },
  refuse: ({ S }, { numGlobals }) =>
    numGlobals <= S ? [] : [`numGlobals must be at most the length ${S}; got ${numGlobals}`],
  pattern: (_, { numGlobals, radius }) => within({ radius }).or(global({ first: numGlobals })),
  cost: (shape, { numGlobals, radius, maxDistance }) => {
    const { B, H, L, S, D } = shape;
    // globals are the first tokens: g² + 2g·l, and the window among the l others
    const long = { L: S - numGlobals, S: S - numGlobals };
    const pairs = S * S - long.S * long.S + longformerPairs(long, { radius, globals: [] }, 1, false);
    const { multiplyAdds } = costOfPairs(shape, H * pairs);
    const labels = maxDistance === 0 ? 0 : labelCount(maxDistance);
    return { pairs: H * pairs, multiplyAdds: multiplyAdds + B * H * L * D * labels };
  },
  takesHalves: true,
  forward: (call) => {
    const { q, k, v, scale, mask } = call;
    const relative = call.options.maxDistance === 0 ? undefined : relativeScore(call);
    const change = relative && call.score ? relative.andThen(call.score) : (relative ?? call.score);
    const { out, logsumexp } = attend(q, k, v, { scale, ...(mask && { mask }), ...(change && { score: change }) });
    return { out, logsumexp };
  },
});

/** Self, 1 … m to the right, 1 … m to the left, long to global, global to long. */
const labelCount = (maxDistance: number): number => 2 * maxDistance + 3;

/** Adds `scale · (q_i·R[label] + bias[label])`, from a table of all labels of every query, `[B, H, L, labels]`. */
function relativeScore({ q, scale, parameters, options: { numGlobals, maxDistance } }: Etc): Score {
  const { relativeKeys, relativeBias } = parameters;
  const [H, labels] = relativeBias.shape as [number, number];
  const terms = matmul(q, relativeKeys, { transposeB: true }); // [B, H, L, labels]
  const table = tensorTable('etc', 'relative', mul(add(terms, reshape(relativeBias, [H, 1, labels])), scale));
  return score(({ score: s, b, h, q: i, k: j }, { L, S }) =>
    s.add(lookup(table, b, h, i.sub(S - L), labelOf({ q: i, k: j }, numGlobals, maxDistance))),
  );
}

function labelOf({ q, k }: Pick<Place, 'q' | 'k'>, numGlobals: number, maxDistance: number): I32 {
  const after = k.sub(q);
  const distance = select(after.ge(0), after.min(maxDistance), after.neg().min(maxDistance).add(maxDistance));
  const [toGlobal, toLong] = [1, 2].map((i) => constant(2 * maxDistance + i, 'i32')) as [I32, I32];
  const across = select(q.lt(numGlobals), toLong, toGlobal);
  const together = q
    .lt(numGlobals)
    .and(k.lt(numGlobals))
    .or(q.ge(numGlobals).and(k.ge(numGlobals)));
  return select(together, distance, across);
}

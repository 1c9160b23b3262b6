import { memoised } from '../../core/memo.js';
import { constant, lookup, select, substitute, tableOf, wrap, type F32 } from '../../codegen/expression/index.js';
import { mask, type Mask } from '../../masks/index.js';
import { attendGathered, concat, map, pad, reshape, slice, square, sum, takeAlong, topK } from '../../ops/index.js';
import { tensorTable } from '../../scores/tensor.js';
import { decided, full, scope, tensor, type Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { realKeys } from '../real-keys.js';
import { choice, integer, number, type AttentionShape, type OptionValues } from '../options.js';
import { costOfPairs } from '../pairs.js';
import { leverage, lewisRounds, lewisWeights } from './leverage.js';

const options = {
  topK: integer({
    min: 1,
    default: ({ S }) => Math.min(32, S),
    help: 'keys of the largest scores, which all queries see',
  }),
  epsilon: number({
    min: 0,
    max: 1,
    default: 0,
    help: 'instead of topK, all keys whose score is at least this; 0: topK',
  }),
  scores: choice(['leverage', 'lewis', 'normSq'], {
    default: 'leverage',
    help: 'the leverage of a key, its Lewis weight for lewisPower, or its squared length',
  }),
  lewisPower: number({ min: 0.5, max: 3.5, default: 1, help: 'the p of Lewis weights' }),
  ridge: number({ min: 0, default: 1e-6, help: 'of the trace of KᵀK, added to its diagonal' }),
  blockSize: integer({
    min: 1,
    default: 256,
    help: 'causal: a query sees its block up to itself, and the keys of the largest scores of the blocks before',
  }),
};
type Options = OptionValues<typeof options>;
type LevCall = Call<typeof options, never, never>;

/** Keys that are chosen: scores add up to D at most, so no more than D/ε reach ε. */
const chosenOf = ({ S, D }: AttentionShape, { topK: count, epsilon }: Options): number =>
  epsilon > 0 ? Math.min(S, Math.max(1, Math.floor(D / epsilon))) : count;

/** Blocks of queries, each with a list of keys: `chosen` before it and, causal, its own. */
interface Lists {
  readonly n: number;
  readonly blocks: number;
  readonly size: number;
  readonly chosen: number;
  readonly causal: boolean;
  readonly lengths: readonly number[] | undefined;
}

const listsOf = (
  shape: AttentionShape,
  own: Options,
  causal: boolean,
  lengths: readonly number[] | undefined,
): Lists => {
  const size = causal ? Math.min(own.blockSize, shape.S) : shape.S;
  const chosen = causal ? Math.min(chosenOf(shape, own), shape.S) : chosenOf(shape, own);
  return { n: shape.S, blocks: Math.ceil(shape.S / size), size, chosen, causal, lengths };
};

/** Attention to the keys that can get a large weight from any query. */
export const lev = defineAttention({
  name: 'lev',
  family: 'hashing',
  summary:
    'Only keys of large leverage can get a large share of the squared products, from whatever query: all queries attend to these alone.',
  paper: {
    authors: 'Kannan, Bhattacharyya, Kacham, Woodruff',
    title: 'LevAttention: Time, Space, and Streaming Efficient Algorithm for Heavy Attentions',
    year: 2024,
    arxiv: '2410.05462',
  },
  formula: 'out_i = softmax_{j∈U}(q_i·k_j) v_j,  U = {j: k_jᵀ(KᵀK)⁻¹k_j ≥ ε}, or the largest ones',
  complexity: 'n·d² + n·k·d',
  exactness: 'biased',
  relativeToPaper:
    'Causal, of which the paper has a streaming form only: keys of a block are scored among all up to its end; a query sees the largest scores of the blocks before its own, and its own block up to itself.',
  options,
  supports: { causal: true, cross: true, padding: true, score: true, groupedHeads: true, decode: false },
  refuse: (shape, own, causal) =>
    [
      own.topK > shape.S && `topK must be at most the ${shape.S} keys; got ${own.topK}`,
      own.epsilon > 0 && own.scores === 'normSq' && 'epsilon compares scores that add up to D; normSq goes with topK',
      causal && own.scores === 'lewis' && 'causal takes scores of the keys so far: leverage or normSq',
      causal && shape.L !== shape.S && `causal takes one sequence; got L=${shape.L} and S=${shape.S}`,
    ].filter((fault) => fault !== false),
  reach: (shape, own) => (own.topK === shape.S && own.epsilon === 0 ? undefined : 'data'),
  cost: (shape, own, causal) => {
    const { B, H, G, L, D } = shape;
    const lists = listsOf(shape, own, causal, undefined);
    const { pairs, multiplyAdds } = costOfPairs(shape, H * pairsOf(lists, L));
    const rounds = own.scores === 'normSq' ? 0 : own.scores === 'lewis' ? lewisRounds : 1;
    return { pairs: pairs!, multiplyAdds: multiplyAdds + 2 * rounds * B * G * lists.blocks * lists.size * D ** 2 };
  },
  choices: (call) => {
    const { shape, options: own, causal, lengths } = call;
    const lists = listsOf(shape, own, causal, lengths);
    const [order] = keysOf(call, lists) as [Tensor, Tensor];
    // causal, what the last block has of those before
    const start = (lists.blocks - 1) * (lists.chosen + lists.size);
    const keys = causal ? slice(order, { axis: 2, start, end: start + lists.chosen }) : order;
    return { shared: { keys, are: `keys of the largest ${own.scores}` } };
  },
  forward: (call) => {
    const { q, k, v, shape, options: own, causal, scale, lengths } = call;
    const lists = listsOf(shape, own, causal, lengths);
    const [order, scores] = decided(() => keysOf(call, lists)) as [Tensor, Tensor];
    const change = call.score?.expression(shape);
    const group = shape.H / shape.G;
    const hides = listMask(lists);
    const { out, logsumexp } = attendGathered(q, k, v, {
      keyOrder: order,
      ...(hides && { mask: hides }),
      scale,
      ...((change || own.epsilon > 0) && {
        score: (at) => {
          const place = { score: at.score, q: at.queryPosition.add(shape.S - shape.L), k: at.keyPosition };
          const value = change ? (wrap(substitute(change, place)) as F32) : at.score;
          if (own.epsilon === 0) return value;
          const found = lookup(tensorTable('lev', 'scores', scores), at.b, at.h.floorDiv(group), at.k);
          return select(found.ge(own.epsilon), value, -Infinity);
        },
      }),
    });
    return { out, logsumexp };
  },
});

/** The scores of the keys, `[B,G,S]`. */
function scoresOf({ k, options: own, lengths, shape: { B, G, S, D } }: LevCall, { blocks, size }: Lists): Tensor {
  const real = realKeys(k, lengths);
  if (own.scores === 'normSq') return sum(square(real), { axes: -1 });
  const rows =
    blocks * size === S
      ? real
      : pad(real, [
          [0, 0],
          [0, 0],
          [0, blocks * size - S],
          [0, 0],
        ]);
  const cut = reshape(rows, [B, G, blocks, size, D]);
  const found = own.scores === 'lewis' ? lewisWeights(cut, own.ridge, own.lewisPower) : leverage(cut, own.ridge);
  return slice(reshape(found, [B, G, blocks * size]), { axis: 2, end: S });
}

/** The lists of all blocks, i32 `[B,G,m]`, and the scores of what is in them, own keys counting as 1. */
function keysOf(call: LevCall, lists: Lists): readonly Tensor[] {
  const {
    shape: { B, G, S },
    lengths,
  } = call;
  const { blocks, size, chosen, causal } = lists;
  const { device } = call.k;
  return scope(() => {
    const column = reshape(scoresOf(call, lists), [B, G, S, 1]);
    // what is padding comes last, and is hidden where nothing else is left
    const scores = reshape(realKeys(column, lengths, -1), [B, G, S]);
    if (!causal) {
      const { values, indices } = topK(scores, chosen);
      return [indices, values];
    }
    const orders: Tensor[] = [];
    const found: Tensor[] = [];
    const none = (value: number): Tensor => full([B, G, chosen], value, { device });
    let best = { values: none(-2), indices: map((x) => x.toI32(), none(0)) };
    for (let block = 0; block < blocks; block++) {
      const [start, end] = [block * size, Math.min(S, (block + 1) * size)];
      const own = tensor(
        Int32Array.from({ length: B * G * (end - start) }, (_, i) => start + (i % (end - start))),
        [B, G, end - start],
        { device },
      );
      orders.push(best.indices, own);
      found.push(best.values, full([B, G, end - start], 1, { device }));
      const all = {
        values: concat([best.values, slice(scores, { axis: 2, start, end })], { axis: 2 }),
        indices: concat([best.indices, own], { axis: 2 }),
      };
      const next = topK(all.values, chosen);
      best = { values: next.values, indices: takeAlong(all.indices, next.indices) };
    }
    return [concat(orders, { axis: 2 }), concat(found, { axis: 2 })];
  });
}

/** Which places of the lists a query sees; all of them without padding. */
const listMask = (lists: Lists): Mask | undefined =>
  !lists.causal && lists.lengths === undefined ? undefined : maskOf(lists);

const maskOf = memoised(buildMask, { by: (lists) => [JSON.stringify(lists)], most: 64 });

function buildMask({ n, blocks, size, chosen, causal, lengths }: Lists): Mask {
  const ends = lengths && tableOf('lengths', Int32Array.from(lengths));
  return mask(({ b, q, k }) => {
    const length = ends ? lookup(ends, b) : constant(n, 'i32');
    if (!causal) return k.lt(length);
    const row = q.sub(blocks * chosen);
    const [block, list] = [row.floorDiv(size), k.floorDiv(chosen + size)];
    const [place, start] = [k.mod(chosen + size), block.mul(size)];
    const key = place.sub(chosen);
    const before = place.lt(chosen).and(place.lt(start.min(length)));
    const own = key
      .ge(0)
      .and(key.le(row.sub(start)))
      .and(start.add(key).lt(length));
    return list.eq(block).and(before.or(own));
  });
}

/** Pairs of one head. */
function pairsOf({ n, blocks, size, chosen, causal }: Lists, L: number): number {
  if (!causal) return L * chosen;
  let pairs = 0;
  for (let block = 0; block < blocks; block++) {
    const rows = Math.min(size, n - block * size);
    pairs += rows * Math.min(chosen, block * size) + (rows * (rows + 1)) / 2;
  }
  return pairs;
}

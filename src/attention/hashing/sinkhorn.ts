import { select, variable } from '../../codegen/expression/index.js';
import { add, argmax, attend, broadcastTo, concat, map, reshape, slice } from '../../ops/index.js';
import { tensor, type Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { choice, flag, integer, number, type AttentionShape, type OptionValues } from '../options.js';
import { costOfPairs } from '../pairs.js';
import { constantOf, learned } from '../parameters.js';
import { realKeys } from '../real-keys.js';
import { causalSinkhorn, largest, sinkhorn as normalised, sortBlocks, type Order } from './sort-blocks.js';
import { paddingScore } from './sorted-keys.js';
import { causalSortLogits, sortLogits, tempered } from './sort-logits.js';

/** The smallest divisor of n from √n on. */
function blockOf(n: number): number {
  let size = Math.ceil(Math.sqrt(n));
  while (n % size !== 0) size++;
  return size;
}

const options = {
  blockSize: integer({ min: 1, default: ({ L }) => blockOf(L), help: 'tokens of a block, which divides their number' }),
  sorting: choice(['sinkhorn', 'topK'], {
    default: 'sinkhorn',
    help: 'sorted blocks are mixtures by a nearly doubly stochastic matrix, or the likeliest blocks alone',
  }),
  iterations: integer({
    min: 1,
    default: 5,
    help: 'of sinkhorn: how often rows and columns are divided by their sums',
  }),
  topK: integer({ min: 1, default: 1, help: 'of topK: blocks that each block gets' }),
  temperature: number({ min: 0.01, default: 0.75, help: 'what the logits of the order are divided by' }),
  noise: flag({ default: true, help: 'Gumbel noise on the logits of the order, in training' }),
  sortCut: integer({
    min: 0,
    default: 0,
    help: 'all queries attend to the first so many sorted blocks, and to nothing else; 0: blocks to their own and to a sorted one',
  }),
  combine: choice(['concat', 'sum'], {
    default: 'concat',
    help: 'one softmax over own and sorted keys, or the sum of two results',
  }),
  positiveLogits: flag({ default: false, help: 'logits are ln(relu(R) + 1e-6), as in the released code' }),
};
type Options = OptionValues<typeof options>;
type SinkhornCall = Call<typeof options, 'nullKey' | 'nullValue', never>;

/** How many blocks there are, and how many sorted ones a block gets. */
const countsOf = (
  { L }: AttentionShape,
  { blockSize, sorting, topK }: Options,
): readonly [blocks: number, each: number] => [L / blockSize, sorting === 'topK' ? topK : 1];

/** Blocks attend to themselves and to blocks that a learned order puts beside them. */
export const sinkhorn = defineAttention({
  name: 'sinkhorn',
  family: 'hashing',
  summary:
    'Blocks of keys are sorted by a nearly doubly stochastic matrix of their means, and a block attends to itself and to the one sorted beside it.',
  paper: {
    authors: 'Tay, Bahri, Yang, Metzler, Juan',
    title: 'Sparse Sinkhorn Attention',
    year: 2020,
    arxiv: '2002.11296',
  },
  formula:
    'P = Sinkhorn((R + g)/τ), R_uv = mean q of block u · mean k of block v:  out_i = softmax_j(q_i·[Σ_v P_uv k_v ; k_u]) [Σ_v P_uv v_v ; v_u]',
  complexity: 'n·b·d + (n/b)·n·d',
  exactness: 'biased',
  relativeToPaper:
    'The order is by means of queries and keys (AttentionSortNet of the released code) instead of a layer whose size follows the length. Blocks are consecutive tokens, with one softmax over both halves. Causal: the means of queries end with the first token of a block, earlier blocks and a learned null block are sorted, and columns are summed up to the row; no head is rotated. Padding of a block that is mixed is 0.',
  options,
  supports: { causal: true, cross: false, padding: true, score: false, groupedHeads: false, decode: false },
  parameters: ({ H, D, E }) => ({ nullKey: learned([H, D], constantOf(0)), nullValue: learned([H, E], constantOf(0)) }),
  refuse: (shape, own, causal) => {
    const { L, S } = shape;
    const { blockSize, sortCut } = own;
    if (L !== S) return [];
    if (L % blockSize !== 0) {
      return [`blockSize must divide the ${L} tokens, as ${blockOf(L)} does; got ${blockSize}`];
    }
    const [blocks, each] = countsOf(shape, own);
    return [
      !causal && each > blocks && `topK must be at most the ${blocks} blocks; got ${each}`,
      sortCut > blocks && `sortCut must be at most the ${blocks} blocks; got ${sortCut}`,
      causal && sortCut > 0 && 'sortCut has no causal form: all queries see the same blocks',
      sortCut > 0 && own.combine === 'sum' && 'sortCut leaves nothing to combine: there are no keys of the own block',
    ].filter((fault) => fault !== false);
  },
  cost: (shape, own, causal) => {
    const { B, H, L, D, E } = shape;
    const { blockSize: b, sortCut } = own;
    const [blocks, each] = countsOf(shape, own);
    const columns = causal ? blocks - 1 + each : blocks;
    const rows = sortCut > 0 ? sortCut : blocks;
    const local = causal ? (b + 1) / 2 : b;
    const { pairs, multiplyAdds } = costOfPairs(shape, H * L * (sortCut > 0 ? sortCut * each * b : each * b + local));
    const order = B * H * blocks * columns * D;
    const sorting = own.sorting === 'sinkhorn' ? B * H * rows * columns * b * (D + E) : 0;
    return { pairs: pairs!, multiplyAdds: multiplyAdds + order + sorting };
  },
  choices: (call) => {
    const { B, H, L } = call.shape;
    const { blockSize, sortCut } = call.options;
    const sorted = likeliest(call);
    if (sortCut > 0) {
      return {
        shared: { keys: slice(sorted, { axis: 2, end: sortCut * blockSize }), are: 'keys of the sorted blocks' },
      };
    }
    const inText = Int32Array.from({ length: B * H * L }, (_, i) => i % L);
    const order = tensor(inText, [B, H, L], { device: call.q.device });
    return {
      group: 'block',
      queries: { order, groups: blockSize },
      keys: { order: sorted, groups: blockSize },
    };
  },
  forward: (call) => {
    const { shape, lengths, options: own } = call;
    const { B, H, L, D, E } = shape;
    const [blocks, each] = countsOf(shape, own);
    const real = { ...call, q: realKeys(call.q, lengths), k: realKeys(call.k, lengths), v: realKeys(call.v, lengths) };
    const order = orderOf(real);
    const sorted = (x: Tensor, none: Tensor): Tensor =>
      sortBlocks(blocksOf(call, x, none), order, own.sortCut > 0 ? own.sortCut : blocks);
    const [keys, values] = [sorted(real.k, call.parameters.nullKey), sorted(real.v, call.parameters.nullValue)];
    const within = (heads: number, k: readonly Tensor[], v: readonly Tensor[], isOwn: boolean): Tensor => {
      const parts = (all: readonly Tensor[], columns: number): Tensor => {
        const lists = all.map((x) => reshape(x, [B, heads, x.size / (B * heads * columns), columns]));
        return lists.length === 1 ? lists[0]! : concat(lists, { axis: 2 });
      };
      const sortedBlocks = k.includes(keys) ? keys.size / (B * heads * own.blockSize * D) : 0;
      const keyBlocks = { size: own.blockSize, blocks, sorted: sortedBlocks, each, own: isOwn };
      const { out } = attend(parts([call.q], D), parts(k, D), parts(v, E), {
        scale: call.scale,
        causal: call.causal && isOwn,
        ...(lengths && !call.causal && { score: paddingScore(keyBlocks, order, lengths) }),
      });
      return reshape(out, [B, H, L, E]);
    };
    if (own.sortCut > 0) return { out: within(H, [keys], [values], false) };
    if (own.combine === 'concat') return { out: within(H * blocks, [keys, real.k], [values, real.v], true) };
    return { out: add(within(H * blocks, [keys], [values], false), within(H * blocks, [real.k], [real.v], true)) };
  },
});

/** In which order the blocks come; causal, only those before each. */
function orderOf({ q, k, causal, lengths, training, shape, options: own }: SinkhornCall): Order {
  const [count, each] = countsOf(shape, own);
  const blocks = { size: own.blockSize, count, lengths };
  const logits = causal ? causalSortLogits(q, k, blocks, each) : sortLogits(q, k, blocks);
  const r = tempered(logits, own, training);
  if (own.sorting === 'topK') return largest(r, each);
  return { sorting: 'sinkhorn', weights: (causal ? causalSinkhorn : normalised)(r, own.iterations) };
}

const [column, within] = [variable('x0', 'i32'), variable('x1', 'i32')];

/** The tokens of the block that has most of each sorted one, −1 for those of a null block, i32 `[B,H,n]`. */
function likeliest(call: SinkhornCall): Tensor {
  const { shape, lengths, causal, options: own } = call;
  const { B, H, L } = shape;
  const [, each] = countsOf(shape, own);
  const nulls = causal ? each : 0;
  const order = orderOf({ ...call, q: realKeys(call.q, lengths), k: realKeys(call.k, lengths) });
  const blocks =
    order.sorting === 'topK' ? slice(order.blocks, { axis: 3, end: 1 }) : argmax(order.weights, { axis: -1 });
  const places = tensor(
    Int32Array.from({ length: own.blockSize }, (_, i) => i),
    [own.blockSize],
    { device: call.q.device },
  );
  const token = column.sub(nulls).mul(own.blockSize).add(within);
  const ofBlocks = reshape(blocks, [B, H, L / own.blockSize, 1]);
  return reshape(map(select(column.lt(nulls), -1, token), ofBlocks, places), [B, H, L]);
}

/** The blocks that are sorted, a row each; causal, null blocks before all but the last. */
function blocksOf({ shape, causal, options: own }: SinkhornCall, x: Tensor, none: Tensor): Tensor {
  const [B, H, , columns] = x.shape as [number, number, number, number];
  const [count, each] = countsOf(shape, own);
  const size = own.blockSize;
  const blocks = reshape(x, [B, H, count, size * columns]);
  if (!causal) return blocks;
  const nulls = reshape(broadcastTo(reshape(none, [H, 1, 1, columns]), [B, H, each, size, columns]), [
    B,
    H,
    each,
    size * columns,
  ]);
  return count === 1 ? nulls : concat([nulls, slice(blocks, { axis: 2, end: count - 1 })], { axis: 2 });
}

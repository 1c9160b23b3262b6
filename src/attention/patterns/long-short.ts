import { memoised } from '../../core/memo.js';
import { lengths as padding, mask } from '../../masks/index.js';
import { attend, broadcastTo, concat, mergeAttention, slice } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { integer, type AttentionShape } from '../options.js';
import { learned, normalOf, type ParameterSpec } from '../parameters.js';
import { normalised, normSpecs, type NormNames } from './dual-norm.js';
import { keysBetween, sumOverRows } from './rows.js';
import { withoutPadding } from './without-padding.js';

const options = {
  numLandmarks: integer({ min: 0, default: 128, help: 'compressed keys of the whole sequence; 0: the window alone' }),
  blockSize: integer({
    min: 2,
    default: 128,
    help: 'queries that share a window: their own block and half a block on each side; even',
  }),
};

type Names = 'projection' | NormNames;
type LongShort = Call<typeof options, Names>;

/** One softmax over a dynamic low-rank summary of all keys and a local window, each with a layer norm of its own. */
export const longShort = defineAttention({
  name: 'long-short',
  family: 'patterns',
  summary: 'One softmax over a summary of all keys by a dynamic projection, and over a window of neighbours.',
  paper: {
    authors: 'Zhu et al.',
    title: 'Long-Short Transformer: Efficient Transformers for Language and Vision',
    year: 2021,
    arxiv: '2107.02192',
  },
  formula:
    'out = softmax(scale · q [LN(Pᵀ k̂) ; k̂ of the window]ᵀ) [LN(Pᵀ v̂) ; v̂ of the window],  P = softmax over positions of k·projection,  k̂ = LN(k), v̂ = LN(v)',
  complexity: 'n·(2w + m)·d',
  exactness: 'learned',
  relativeToPaper:
    'P is computed from the projected keys of each head, not from the input; keys and values are normalised by weights of their own; ' +
    'the windows of the first and last block end with the sequence. The causal form is a mechanism of its own, long-short-causal.',
  options,
  parameters: (shape, { numLandmarks }) => {
    const { G, D } = shape;
    const projection =
      numLandmarks > 0 && ({ projection: learned([G, numLandmarks, D], normalOf(1 / Math.sqrt(D))) } as const);
    const specs = { ...normSpecs(shape, numLandmarks > 0), ...projection };
    // those that the options leave out are not read
    return specs as Record<Names, ParameterSpec>;
  },
  supports: { causal: false, cross: false, padding: true, score: false, groupedHeads: true, decode: false },
  refuse: (_, { blockSize }) =>
    blockSize % 2 === 0 ? [] : [`blockSize must be even: ${blockSize - 1 || 2} or ${blockSize + 1}`],
  reach: (_, { numLandmarks, blockSize }) => (numLandmarks === 0 ? window(blockSize) : undefined),
  cost: (shape, { numLandmarks, blockSize }) => {
    const { B, H, G, L, S, D, E } = shape;
    const pairs = H * (L * numLandmarks + sumOverRows(shape, (i) => windowKeys(shape, i, blockSize)));
    const summary = G * numLandmarks * S * summaryColumns(shape);
    return { pairs, multiplyAdds: B * (pairs * (D + E) + summary) };
  },
  forward: (call) => {
    const { q, scale, lengths, parameters, options: own } = call;
    const [k, v] = [withoutPadding(call.k, lengths), withoutPadding(call.v, lengths)];
    const [keys, values] = [normalised(parameters, k, 'windowKey'), normalised(parameters, v, 'windowValue')];
    const near = window(own.blockSize);
    const local = attend(q, keys, values, { scale, mask: lengths ? near.and(padding(lengths)) : near });
    if (own.numLandmarks === 0) return { out: local.out, logsumexp: local.logsumexp };
    const summary = summarised(call, k, keys, values);
    const far = attend(
      q,
      normalised(parameters, summary.keys, 'landmarkKey'),
      normalised(parameters, summary.values, 'landmarkValue'),
      { scale },
    );
    return mergeAttention(far, local);
  },
});

/** Keys I·w − w/2 … (I+1)·w + w/2 − 1 for the queries of block I: those of ⌊(k + w/2)/w⌋ = I or I + 1. */
const window = memoised(
  (blockSize: number) =>
    mask(({ q, k }) => {
      const [query, key] = [q.floorDiv(blockSize), k.add(blockSize / 2).floorDiv(blockSize)];
      return key.eq(query).or(key.eq(query.add(1)));
    }),
  { most: 64 },
);

function windowKeys({ S }: Pick<AttentionShape, 'S'>, i: number, blockSize: number): number {
  const start = i - (i % blockSize) - blockSize / 2;
  return keysBetween(S, start, start + 2 * blockSize - 1);
}

// keys and values in one pass while a row of both is no longer than the kernels take
const mostColumns = 256;
const summaryColumns = ({ D, E }: Pick<AttentionShape, 'D' | 'E'>): number =>
  D + E <= mostColumns ? D + D + E : 2 * D + D + E;

/** `Pᵀ k̂` and `Pᵀ v̂`: attention of the learned directions to the keys, so that P is never stored. */
function summarised(
  { parameters, shape, lengths, options: own }: LongShort,
  k: Tensor,
  keys: Tensor,
  values: Tensor,
): { readonly keys: Tensor; readonly values: Tensor } {
  const { B, G, D, E } = shape;
  const directions = broadcastTo(parameters.projection, [B, G, own.numLandmarks, D]);
  const by = (x: Tensor): Tensor =>
    attend(directions, k, x, { scale: 1, ...(lengths && { mask: padding(lengths) }) }).out; // [B, G, m, …]
  if (D + E > mostColumns) return { keys: by(keys), values: by(values) };
  const both = by(concat([keys, values], { axis: 3 }));
  return { keys: slice(both, { axis: 3, end: D }), values: slice(both, { axis: 3, start: D }) };
}

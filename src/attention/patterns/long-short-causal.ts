import { memoised } from '../../core/memo.js';
import { lengths as padding, mask, within } from '../../masks/index.js';
import { attend, matmul, mergeAttention, reshape, slice, softmax } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { integer } from '../options.js';
import { learned, normalOf, type ParameterSpec } from '../parameters.js';
import { normalised, normSpecs, type NormNames } from './dual-norm.js';
import { sumOverRows } from './rows.js';
import { withoutPadding } from './without-padding.js';

const options = {
  causalWindow: integer({ min: 1, default: 512, help: 'keys of the window, the own one included' }),
  chunkLength: integer({ min: 1, default: 16, help: 'keys that are compressed together' }),
  chunkRank: integer({ min: 1, default: 1, help: 'keys that they become' }),
};

type Names = 'projection' | NormNames;
type Chunks = Call<typeof options, Names>;

/** One softmax over a causal window and over the compressed chunks before the query's own. */
export const longShortCausal = defineAttention({
  name: 'long-short-causal',
  family: 'patterns',
  summary: 'One softmax over a causal window, and over chunks before it, each compressed by a dynamic projection.',
  paper: {
    authors: 'Zhu et al.',
    title: 'Long-Short Transformer: Efficient Transformers for Language and Vision',
    year: 2021,
    arxiv: '2107.02192',
  },
  formula:
    'out = softmax(scale · q [LN(P_cᵀ k_c) of chunks c < ⌊i/chunkLength⌋ ; LN(k) of the window]ᵀ) [… v …],  P_c = softmax over the chunk of k·projection',
  complexity: 'n·(w + n·r/c)·d',
  exactness: 'learned',
  relativeToPaper:
    'P is computed from the projected keys of each head, not from the input; keys and values are normalised by weights of their own; positions are left to the caller, ' +
    'where the paper adds terms of the distance to window and chunks. A decoder compresses all chunks so far at each step.',
  options,
  parameters: (shape, { chunkRank }) => {
    const { G, D } = shape;
    const specs = { ...normSpecs(shape, true), projection: learned([G, D, chunkRank], normalOf(1 / Math.sqrt(D))) };
    return specs as Record<Names, ParameterSpec>;
  },
  supports: { causal: 'only', cross: false, padding: true, score: false, groupedHeads: true, decode: 'cache' },
  cost: (shape, { causalWindow, chunkLength, chunkRank }) => {
    const { B, H, G, S, D, E } = shape;
    const keys = (i: number): number => Math.min(i + 1, causalWindow) + chunkRank * Math.floor(i / chunkLength);
    const pairs = H * sumOverRows(shape, keys);
    const compression = G * (S - (S % chunkLength)) * chunkRank * (2 * D + E);
    return { pairs, multiplyAdds: B * (pairs * (D + E) + compression) };
  },
  forward: (call) => {
    const { q, scale, lengths, parameters, shape, options: own } = call;
    const [k, v] = [withoutPadding(call.k, lengths), withoutPadding(call.v, lengths)];
    const near = window(own.causalWindow);
    const local = attend(q, normalised(parameters, k, 'windowKey'), normalised(parameters, v, 'windowValue'), {
      causal: true,
      scale,
      mask: lengths ? near.and(padding(lengths)) : near,
    });
    const chunks = Math.floor(shape.S / own.chunkLength);
    if (chunks === 0) return { out: local.out, logsumexp: local.logsumexp };
    const { keys, values } = compressed(call, k, v, chunks);
    const far = attend(
      q,
      normalised(parameters, keys, 'landmarkKey'),
      normalised(parameters, values, 'landmarkValue'),
      { scale, mask: earlier(own.chunkLength, own.chunkRank, shape.S - chunks * own.chunkRank) },
    );
    return mergeAttention(far, local);
  },
});

const window = memoised((causalWindow: number) => within({ causalWindow }), { most: 64 });

/** Chunks before the query's own, in a matrix with `fewer` keys less than there are tokens. */
const earlier = memoised(
  (chunkLength: number, chunkRank: number, fewer: number) =>
    mask(({ q, k }) => k.floorDiv(chunkRank).lt(q.add(fewer).floorDiv(chunkLength))),
  { most: 64 },
);

/** `P_cᵀ k_c` and `P_cᵀ v_c` of every whole chunk: `[B, G, chunks·rank, …]`. */
function compressed(
  { parameters, shape: { B, G, D, E }, options: { chunkLength, chunkRank } }: Chunks,
  k: Tensor,
  v: Tensor,
  chunks: number,
): { readonly keys: Tensor; readonly values: Tensor } {
  const cut = (x: Tensor, size: number): Tensor =>
    reshape(slice(x, { axis: 2, end: chunks * chunkLength }), [B, G, chunks, chunkLength, size]);
  const keys = cut(k, D);
  const logits = matmul(keys, reshape(parameters.projection, [G, 1, D, chunkRank]));
  const weights = softmax(logits, { axis: 3 }); // [B, G, chunks, chunkLength, rank]
  const by = (x: Tensor, size: number): Tensor =>
    reshape(matmul(weights, x, { transposeA: true }), [B, G, chunks * chunkRank, size]);
  return { keys: by(keys, D), values: by(cut(v, E), E) };
}

import { memoised } from '../../core/memo.js';
import { wrap, substitute, type F32 } from '../../codegen/expression/index.js';
import { mask, type Mask } from '../../masks/index.js';
import {
  attend,
  attendGathered,
  concat,
  mergeAttention,
  slice,
  takeAlong,
  type PartialAttention,
} from '../../ops/index.js';
import { decided, type Tensor } from '../../tensor/index.js';
import { attendWithin, defineAttention, type Call } from '../define.js';
import { choice, flag, integer, type AttentionShape, type OptionValues } from '../options.js';
import { allPairs, costOfPairs, headPairs } from '../pairs.js';
import { drawn, normalOf, unitUniform } from '../parameters.js';
import { halvedParts, pairsOfParts, partMask, sortedRows, wholeParts, type Parts } from './parts.js';
import { draw, sampleScore } from './sample.js';
import { signBuckets } from './sign-hash.js';

const options = {
  blockSize: integer({ min: 1, default: 256, help: 'keys of a block of the sorted order' }),
  sampleSize: integer({ min: 0, default: 256, help: 'sampled keys that stand for all others' }),
  numProjections: integer({
    min: 1,
    max: 16,
    default: 7,
    help: 'planes of the hash: 2 to their number are the buckets',
  }),
  sampling: choice(['uniform', 'rowNorm'], {
    default: 'uniform',
    help: 'keys are drawn alike, or by the squared length of their values',
  }),
  minLength: integer({
    min: 1,
    default: 4096,
    help: 'fewer tokens are attended to exactly; causal: so are pieces of so many tokens',
  }),
  referenceQuirks: flag({
    default: false,
    help: "the released code's order of buckets, and its samples, which count keys of the own block again",
  }),
};
type Options = OptionValues<typeof options>;
type HyperCall = Call<typeof options, 'planes' | 'samples', never>;

const isExact = ({ L }: AttentionShape, { minLength }: Options, causal: boolean): boolean =>
  causal ? L <= minLength : L < minLength;

/** The parts that are estimated: everything, or the quadrants below the pieces on the diagonal, as large as they come. */
function partsOf(
  { L, S }: AttentionShape,
  lengths: readonly number[] | undefined,
  { blockSize, sampleSize, minLength }: Options,
  causal: boolean,
): readonly Parts[] {
  const own = { block: blockSize, samples: sampleSize };
  if (!causal) return [wholeParts({ L, S }, lengths, { ...own, exactBelow: minLength })];
  const sizes: number[] = [];
  for (let size = minLength; size < L; size *= 2) sizes.push(size);
  return sizes.map((size) => halvedParts(L, lengths, size, own));
}

/** Blocks of a sorted order, and samples for the rest. */
export const hyper = defineAttention({
  name: 'hyper',
  family: 'hashing',
  summary:
    'Queries and keys are sorted by one sign hash; a query sees the block of keys at its place exactly, and a sample that stands for all others.',
  paper: {
    authors: 'Han, Jayaram, Karbasi, Mirrokni, Woodruff, Zandieh',
    title: 'HyperAttention: Long-context Attention in Near-Linear Time',
    year: 2023,
    arxiv: '2310.05869',
  },
  formula:
    'out_i ∝ Σ_{j in block of i} e^{q_i·k_j} v_j + Σ_{drawn j, not in it} e^{q_i·k_j} v_j / (s·p_j);  causal: exact pieces on the diagonal, this for the squares below',
  complexity: 'n·(b + s)·d + n·log n',
  exactness: 'unbiased',
  relativeToPaper:
    'Buckets are in the order in which neighbours differ in one bit (the inverse of the Gray code that the released code applies), sampled keys of the own block count once, and a last, shorter block is not filled with zeros. Causal: the squares are cut at multiples of minLength·2^i and not at halves of n, which is the same where n is minLength·2^i, so that the length changes nothing; queries are sorted with later ones of their square, so a later token has no weight but may change which past ones are seen. Squares share one list of random numbers, turned by another angle for each.',
  options,
  supports: { causal: true, cross: true, padding: true, score: true, groupedHeads: true, decode: false },
  parameters: ({ G, D }, { numProjections, sampleSize }) => ({
    planes: drawn([D, numProjections], normalOf()),
    samples: drawn([G, Math.max(1, sampleSize)], unitUniform),
  }),
  refuse: ({ L, S }, _, causal) =>
    causal && L !== S ? [`causal takes one sequence, as many queries as keys; got L=${L} and S=${S}`] : [],
  reach: (shape, own) => (isExact(shape, own, false) ? undefined : 'data'),
  cost: (shape, own, causal) => {
    if (isExact(shape, own, causal)) return allPairs(shape, causal);
    const { B, H, G, L, S, D } = shape;
    const parts = partsOf(shape, undefined, own, causal);
    const estimated = parts.reduce((sum, part) => sum + pairsOfParts(part), 0);
    const { pairs, multiplyAdds } = costOfPairs(shape, H * (estimated + (causal ? diagonalPairs(L, own) : 0)));
    return { pairs: pairs!, multiplyAdds: multiplyAdds + B * (H * L + G * S) * D * own.numProjections };
  },
  choices: (call) => {
    const { shape, options: own, causal, lengths } = call;
    if (isExact(shape, own, causal)) return undefined;
    // of the squares of causal attention the largest
    const part = partsOf(shape, lengths, own, causal).at(-1)!;
    const [queries, keys] = listsOf(call, part, ...bucketsOf(call)) as [Tensor, Tensor];
    const drawn = part.count * part.samples;
    const cut = (start: number, end: number): Tensor => slice(keys, { axis: 2, start, end });
    return {
      group: 'block',
      queries: { order: queries, groups: shape.L === shape.S ? own.blockSize : part.rows[0]!.lastRows },
      keys: { order: cut(0, part.keys), groups: own.blockSize },
      ...(drawn > 0 && { shared: { keys: cut(part.keys, part.keys + drawn), are: 'samples' } }),
    };
  },
  forward: (call) => {
    const { shape, options: own, causal, lengths } = call;
    if (isExact(shape, own, causal)) {
      return { ...attendWithin(call), notes: [`fewer tokens than minLength ${own.minLength}: attended to exactly`] };
    }
    const parts = partsOf(shape, lengths, own, causal);
    const lists = decided(() => {
      const [queries, keys] = bucketsOf(call);
      return parts.flatMap((part) => listsOf(call, part, queries, keys));
    });
    const left = [...lists];
    const estimated = parts.map((part) => attendParts(call, part, left.splice(0, listsPerPart(part))));
    return mergeAttention(...(causal ? [diagonal(call)] : []), ...estimated);
  },
});

/** The buckets of queries and of keys, in the order by which they are sorted. */
function bucketsOf({
  q,
  k,
  parameters: { planes },
  options: own,
}: HyperCall): readonly [queries: Tensor, keys: Tensor] {
  const order = own.referenceQuirks ? 'gray' : 'inverse-gray';
  return [signBuckets(q, planes, order), signBuckets(k, planes, order)];
}

/** How many lists a part takes. */
const listsPerPart = ({ samples }: Parts): number => (samples === 0 ? 2 : 5);

/** What the data decides: the queries and keys of the parts in order, the sample among the keys, and the rest of the sample. */
function listsOf(call: HyperCall, parts: Parts, queries: Tensor, keys: Tensor): readonly Tensor[] {
  const { lengths, options: own, parameters, shape, v } = call;
  const buckets = 2 ** own.numProjections;
  const queryOrder = sortedRows(parts, 'queries', queries, {
    buckets,
    lengths: shape.L === shape.S ? lengths : undefined,
  });
  const keyOrder = sortedRows(parts, 'keys', keys, { buckets, lengths });
  if (parts.samples === 0) return [queryOrder, keyOrder];
  const sample = draw(parts, {
    uniform: parameters.samples,
    order: keyOrder,
    v: own.sampling === 'rowNorm' ? v : undefined,
    unit: own.minLength,
    again: own.referenceQuirks,
  });
  const { places, logWeights, from, to } = sample;
  return [queryOrder, concat([keyOrder, takeAlong(keyOrder, places)], { axis: 2 }), logWeights, from, to];
}

function attendParts(call: HyperCall, parts: Parts, lists: readonly Tensor[]): PartialAttention {
  const { q, k, v, shape, scale } = call;
  const [queryOrder, keyOrder, logWeights, from, to] = lists;
  const sample = logWeights && { logWeights, from: from!, to: to! };
  const change = call.score?.expression(shape);
  const group = shape.H / shape.G;
  const { out, logsumexp } = attendGathered(q, k, v, {
    queryOrder: queryOrder!,
    keyOrder: keyOrder!,
    mask: partMask(parts),
    scale,
    ...((change || sample) && {
      score: (at) => {
        const place = { score: at.score, q: at.queryPosition.add(shape.S - shape.L), k: at.keyPosition };
        const score = change ? (wrap(substitute(change, place)) as F32) : at.score;
        if (sample === undefined) return score;
        return sampleScore(parts, sample, { ...at, head: at.h.floorDiv(group), score });
      },
    }),
  });
  return { out, logsumexp };
}

/** The pieces on the diagonal, exactly. */
function diagonal({
  q,
  k,
  v,
  scale,
  score,
  lengths,
  options: { minLength },
  mask: padding,
}: HyperCall): PartialAttention {
  const pieces = piecesOf(minLength, lengths, padding);
  const { out, logsumexp } = attend(q, k, v, { causal: true, mask: pieces, scale, ...(score && { score }) });
  return { out, logsumexp };
}

const piecesOf = memoised(
  (size: number, _lengths: readonly number[] | undefined, padding: Mask | undefined): Mask => {
    const pieces = mask(({ q, k }) => q.floorDiv(size).eq(k.floorDiv(size)));
    return padding ? pieces.and(padding) : pieces;
  },
  // the padding mask follows from the lengths
  { by: (size, lengths) => [size, lengths], most: 64 },
);

/** Pairs of one head in the causal pieces. */
function diagonalPairs(n: number, { minLength }: Options): number {
  const rest = n % minLength;
  const pairs = (length: number): number => headPairs({ L: length, S: length }, true);
  return Math.floor(n / minLength) * pairs(minLength) + (rest > 0 ? pairs(rest) : 0);
}

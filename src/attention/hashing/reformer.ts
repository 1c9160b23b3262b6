import { select } from '../../codegen/expression/index.js';
import {
  argsort,
  attend,
  attendGathered,
  cast,
  concat,
  mergeAttention,
  rmsNorm,
  takeAlong,
  type PartialAttention,
} from '../../ops/index.js';
import { score } from '../../scores/index.js';
import { decided, noGradient, scope, tensor, type Tensor } from '../../tensor/index.js';
import { defineAttention, type Call, type ForwardResult } from '../define.js';
import { choice, flag, integer, integers, type OptionValues } from '../options.js';
import { costOfPairs, headPairs } from '../pairs.js';
import { drawn, normalOf } from '../parameters.js';
import { chunkMask, chunkPairs, cut, frontPlaces, type Chunks } from './chunks.js';
import { angularHash, bucketFactors, rotationColumns, rotationsOf, withPadding } from './lsh.js';
import { alone, scoreOf, tablesOf } from './reformer-score.js';
import { torchNormal } from './torch-random.js';

const options = {
  rounds: integer({ min: 1, default: 1, help: 'hash rounds, merged exactly' }),
  chunkLength: integer({ min: 1, default: 64, help: 'tokens of a chunk of the sorted order' }),
  lookBack: integer({ min: 0, default: 1, help: 'chunks seen before the own' }),
  numBuckets: integer({ min: 0, default: 0, help: 'buckets of a round, an even number; 0: two a chunk' }),
  bucketFactors: integers({
    min: 2,
    default: [],
    help: 'even numbers of buckets of several hashes that are one together, in place of numBuckets; none: one hash up to 128 buckets',
  }),
  hashSeed: integer({
    min: -1,
    default: -1,
    help: 'draws the rotations as published code does from a seed, alike in every layer; −1: each its own',
  }),
  wrapAround: flag({ default: true, help: 'the first chunks look back on the last of the round before' }),
  sameBucket: flag({ default: false, help: 'only tokens of one bucket see each other; nothing wraps around then' }),
  correctDuplicates: flag({ default: false, help: 'a key seen in several rounds counts once' }),
  selfAlone: flag({ default: true, help: 'a token attends to itself only where it sees nothing else' }),
  logits: choice(['trax', 'sqrtD'], { default: 'trax', help: 'q·k/‖k‖, or that by √D' }),
};
type Options = OptionValues<typeof options>;
type ReformerCall = Call<typeof options, 'rotations', never>;

/** Buckets of each of the hashes that are one together. */
const factorsOf = (n: number, { numBuckets, bucketFactors: given, chunkLength }: Options): readonly number[] => {
  if (given.length > 0) return given;
  return bucketFactors(numBuckets > 0 ? numBuckets : 2 * Math.max(1, Math.floor(n / chunkLength)));
};

const chunksOf = (
  n: number,
  lengths: readonly number[],
  { chunkLength, lookBack, wrapAround, sameBucket }: Options,
): Chunks => cut(n, lengths, { size: chunkLength, lookBack, wrap: wrapAround && !sameBucket });

/** Attention among tokens that an angular hash sorts next to each other; queries and keys are one projection. */
export const reformer = defineAttention({
  name: 'reformer',
  family: 'hashing',
  summary:
    'Tokens are sorted by an angular hash, and each attends to its chunk of the sorted order and to the one before.',
  paper: {
    authors: 'Kitaev, Kaiser, Levskaya',
    title: 'Reformer: The Efficient Transformer',
    year: 2020,
    arxiv: '2001.04451',
  },
  formula:
    'out_i = Σ_r exp(z_ir − log Σ_s exp z_is) · softmax_j(q_i·q_j/‖q_j‖) v_j  over j in the chunks of i in round r, sorted by argmax [qΩ_r ; −qΩ_r]',
  complexity: 'R·(n·c·d + n·log n)',
  exactness: 'biased',
  relativeToPaper:
    'k is not read: keys are q divided by its length. As in trax and its descendants, all tokens of a chunk see each other whatever their bucket, and a key seen in several rounds counts several times, unless sameBucket and correctDuplicates say otherwise. The last chunk may be shorter; nothing is padded to a multiple. A sequence that fits one chunk is attended to whole. Under causal no token gets weight from its future, but which past tokens it sees depends on all, as the sort does.',
  options,
  supports: { causal: true, cross: false, padding: true, score: true, groupedHeads: false, decode: false },
  parameters: ({ H, D, L }, own) => ({
    rotations: drawn(
      [own.rounds, H, D, rotationColumns(factorsOf(L, own))],
      own.hashSeed < 0 ? normalOf() : (shape) => publishedRotations(shape, own.hashSeed),
    ),
  }),
  refuse: (_, { numBuckets, bucketFactors: factors }) => [
    ...(numBuckets % 2 === 0 ? [] : [`numBuckets must be even; got ${numBuckets}`]),
    ...(factors.every((factor) => factor % 2 === 0) ? [] : [`bucketFactors must be even; got ${factors.join(', ')}`]),
    ...(numBuckets > 0 && factors.length > 0
      ? ['bucketFactors stand in place of numBuckets; leave one of them out']
      : []),
  ],
  reach: ({ L }, { chunkLength }) => (L <= chunkLength ? undefined : 'data'),
  cost: (shape, own, causal) => {
    const { B, H, L, D } = shape;
    const { rounds, chunkLength } = own;
    if (L <= chunkLength) return costOfPairs(shape, H * headPairs(shape, causal));
    // what causality hides depends on the data and is computed
    const { pairs, multiplyAdds } = costOfPairs(shape, rounds * H * chunkPairs(chunksOf(L, [L], own)));
    const hashing = B * H * rounds * L * D * rotationColumns(factorsOf(L, own));
    return { pairs: pairs!, multiplyAdds: multiplyAdds + hashing };
  },
  choices: (call) => {
    const { q, shape, options: own } = call;
    if (shape.L <= own.chunkLength) return undefined;
    const chunks = { order: argsort(hashRounds(call, q)[0]!), groups: own.chunkLength };
    return { group: 'chunk', queries: chunks, keys: chunks };
  },
  forward: (call) => {
    const { q, v, shape, options: own, scale } = call;
    const [fq, fv] = [cast(q, 'f32'), cast(v, 'f32')];
    const keys = rmsNorm(fq, { epsilon: 1e-6 });
    // the keys have length √D, so that 1/√D of the call is that of the norm
    const factor = own.logits === 'trax' ? scale : scale / Math.sqrt(shape.D);
    const compute = shape.L <= own.chunkLength ? whole : hashed;
    const found = compute(call, fq, keys, fv, factor);
    return { ...found, out: cast(found.out, q.dtype) };
  },
});

/** Rotations `[R, H, D, F]` of a seed, which the published code draws as `[H, D, R, F]`. */
function publishedRotations(shape: readonly number[], seed: number): Float32Array {
  const [R, H, D, F] = shape as [number, number, number, number];
  const drawnAs = torchNormal(seed, R * H * D * F);
  return Float32Array.from(drawnAs, (_, i) => {
    const [r, rest] = [Math.floor(i / (H * D * F)), i % (H * D * F)];
    return drawnAs[(Math.floor(rest / F) * R + r) * F + (rest % F)]!;
  });
}

/** Plain attention with shared queries and keys. */
function whole(call: ReformerCall, q: Tensor, k: Tensor, v: Tensor, scale: number): ForwardResult {
  const { causal, mask, options: own } = call;
  const self = own.selfAlone ? score((at) => select(at.q.eq(at.k), alone, at.score)) : undefined;
  const change = call.score && self ? call.score.andThen(self) : (call.score ?? self);
  const { out, logsumexp } = attend(q, k, v, {
    causal,
    scale,
    ...(mask && { mask }),
    ...(change && { score: change }),
  });
  return { out, logsumexp, notes: ['one chunk: attended to whole, without hashing'] };
}

function hashed(call: ReformerCall, q: Tensor, k: Tensor, v: Tensor, scale: number): ForwardResult {
  const { causal, shape, options: own } = call;
  const { B, L } = shape;
  const lengths = call.lengths ?? new Array<number>(B).fill(L);
  const chunks = chunksOf(L, lengths, own);
  const buckets = decided(() => hashRounds(call, q));
  // sorts of integers: computed again, they come out the same
  const orders = noGradient(() => buckets.map((round) => argsort(round)));
  const tables = noGradient(() => tablesOf(own, chunks, buckets, orders));
  const expression = call.score?.expression(shape);
  const rounds = orders.map((order, r): PartialAttention =>
    scope(() => {
      const before = orders.at(r - 1)!;
      const { out, logsumexp } = attendGathered(q, k, v, {
        queryOrder: order,
        keyOrder: withFront(chunks, before, order),
        mask: chunkMask(chunks),
        scale,
        causal,
        score: (pair) => scoreOf(pair, { own, chunks, tables, round: r, change: expression }),
      });
      return { out, logsumexp };
    }),
  );
  return mergeAttention(...rounds);
}

/** The bucket of each token in each round, i32 `[B,H,n]`. */
function hashRounds({ shape: { L }, options: own, lengths, parameters }: ReformerCall, q: Tensor): Tensor[] {
  const factors = factorsOf(L, own);
  const buckets = factors.reduce((product, factor) => product * factor);
  return Array.from({ length: own.rounds }, (_, r) =>
    scope(() => {
      const hashes = angularHash(q, rotationsOf(parameters.rotations, r), factors);
      return lengths ? withPadding(hashes, buckets, lengths) : hashes;
    }),
  );
}

/** The keys of a round: the last tokens of the round before, then its own. */
function withFront(chunks: Chunks, before: Tensor, order: Tensor): Tensor {
  const [B, H] = order.shape as [number, number];
  const { front } = chunks;
  if (front === 0) return order;
  return scope(() => {
    const rows = frontPlaces(chunks);
    const places = Int32Array.from({ length: B * H * front }, (_, at) => {
      const b = Math.floor(at / (H * front));
      return rows[b * front + (at % front)]!;
    });
    return concat([takeAlong(before, tensor(places, [B, H, front], { device: order.device })), order], { axis: 2 });
  });
}

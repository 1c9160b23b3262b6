import { memoised } from '../../core/memo.js';
import { lengths as padding, mask, within } from '../../masks/index.js';
import { add, attend, matmul } from '../../ops/index.js';
import { defineAttention, type Call } from '../define.js';
import { choice, integer } from '../options.js';
import { constantOf, identity, learned, type ParameterSpec } from '../parameters.js';
import { pool, slotCount, type Pooling } from './pooling.js';
import { keysBetween, sumOverRows } from './rows.js';
import { withoutPadding } from './without-padding.js';
import type { Tensor } from '../../tensor/index.js';

const options = {
  radius: integer({ min: 0, default: 128, help: 'first level: keys on each side besides the query' }),
  poolRadius: integer({ min: 0, default: 512, help: 'second level: how far away the centre of pooled keys may be' }),
  kernelSize: integer({ min: 1, default: 5, help: 'positions that are pooled' }),
  poolStride: integer({ min: 1, default: 4, help: 'positions from one pooled key to the next' }),
  pool: choice(['mean', 'max', 'ldconv'], { default: 'ldconv', help: 'how they are pooled' }),
  levels: integer({ min: 1, max: 2, default: 2, help: '1: the window alone' }),
};

type Names = 'levelQ' | 'levelK' | 'levelV' | 'poolK' | 'poolV';
type Levels = Call<typeof options, Names>;

/** A window, and on its output a second attention to pooled keys of a larger window. */
export const poolingformer = defineAttention({
  name: 'poolingformer',
  family: 'patterns',
  summary: 'A sliding window, then a second attention from its output to pooled keys of a larger window.',
  paper: {
    authors: 'Zhang et al.',
    title: 'Poolingformer: Long Document Modeling with Pooling Attention',
    year: 2021,
    arxiv: '2105.04371',
  },
  formula:
    'y = softmax over |i − j| ≤ radius of (scale · q kᵀ) v;  out = y + softmax over |i − centre_p| ≤ poolRadius of (scale · ỹq pool(ỹk)ᵀ) pool(ỹv)',
  complexity: 'n·(2r + 1 + 2r₂/stride)·d',
  exactness: 'learned',
  relativeToPaper:
    'slots of pooled keys start at multiples of poolStride, the same for all queries, and are seen where their centre is within poolRadius; ' +
    'the projections of the second level work within each head and start as the identity, the weights of ldconv as a mean.',
  options,
  parameters: ({ H, D, E }, { levels, pool: kind, kernelSize }) => {
    const specs: Partial<Record<Names, ParameterSpec>> = {
      ...(levels === 2 && {
        levelQ: learned([H, E, D], identity),
        levelK: learned([H, E, D], identity),
        levelV: learned([H, E, E], identity),
      }),
      ...(levels === 2 &&
        kind === 'ldconv' && {
          poolK: learned([H, D, kernelSize], constantOf(0)),
          poolV: learned([H, E, kernelSize], constantOf(0)),
        }),
    };
    // those that the options leave out are not read
    return specs as Record<Names, ParameterSpec>;
  },
  supports: { causal: false, cross: false, padding: true, score: false, groupedHeads: true, decode: false },
  // the outputs that are pooled have seen their own window
  reach: (_, { radius, poolRadius, kernelSize, levels }) =>
    window(levels === 1 ? radius : radius + poolRadius + Math.floor((kernelSize - 1) / 2)),
  cost: (shape, { radius, poolRadius, kernelSize, poolStride, pool: kind, levels }) => {
    const { B, H, S: n, D, E } = shape;
    const first = H * sumOverRows(shape, (i) => keysBetween(n, i - radius, i + radius));
    if (levels === 1) return { pairs: first, multiplyAdds: B * first * (D + E) };
    const slots = slotCount(n, { stride: poolStride });
    const half = (kernelSize - 1) / 2;
    const seen = (i: number): number =>
      keysBetween(
        slots,
        Math.ceil((i - poolRadius - half) / poolStride),
        Math.floor((i + poolRadius - half) / poolStride),
      );
    const pairs = first + H * sumOverRows(shape, seen);
    const projections = H * n * E * (2 * D + E);
    const taps = H * slots * kernelSize * (D + E);
    const pooling = { max: 0, mean: taps, ldconv: 2 * taps }[kind];
    return { pairs, multiplyAdds: B * (pairs * (D + E) + projections + pooling) };
  },
  forward: (call) => {
    const { q, k, v, scale, lengths, options: own } = call;
    const near = window(own.radius);
    const { out: y } = attend(q, k, v, { scale, mask: lengths ? near.and(padding(lengths)) : near });
    return { out: own.levels === 1 ? y : add(y, secondLevel(call, y)) };
  },
});

const window = memoised((radius: number) => within({ radius }), { most: 64 });

/** `|i − (p·stride + (κ−1)/2)| ≤ radius`, in halves; a row has q = i − (n − slots). */
const pooledWindow = memoised(
  (n: number, slots: number, radius: number, kernelSize: number, stride: number) =>
    mask(({ q, k }) => {
      const query = q.add(n - slots).mul(2);
      const centre = k.mul(2 * stride).add(kernelSize - 1);
      return centre.le(query.add(2 * radius)).and(centre.ge(query.sub(2 * radius)));
    }),
  { most: 64 },
);

/** From the output of the first level, `y` `[B, H, n, E]`, to its pooled keys. */
function secondLevel({ parameters, options: own, shape, scale, lengths }: Levels, y: Tensor): Tensor {
  const { levelQ, levelK, levelV, poolK, poolV } = parameters;
  const { kernelSize, poolStride: stride, poolRadius } = own;
  const pooling: Pooling = { kind: own.pool, kernelSize, stride };
  const real = withoutPadding(y, lengths);
  const keys = pool(matmul(real, levelK), pooling, lengths, poolK); // [B, H, slots, D]
  const values = pool(matmul(real, levelV), pooling, lengths, poolV); // [B, H, slots, E]
  const slots = keys.shape[2]!;
  const near = pooledWindow(shape.S, slots, poolRadius, kernelSize, stride);
  const seen = lengths ? near.and(padding(lengths.map((length) => slotCount(length, pooling)))) : near;
  return attend(matmul(y, levelQ), keys, values, { scale, mask: seen }).out;
}

import { select } from '../../codegen/expression/index.js';
import {
  add,
  concat,
  linearAttend,
  map,
  matmul,
  max,
  mul,
  reshape,
  runningMax,
  slice,
  softmax,
} from '../../ops/index.js';
import { full, tensor, zeros, type Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { Lost } from '../lost.js';
import { integer, type AttentionShape, type OptionValues } from '../options.js';
import { learned, normalOf } from '../parameters.js';
import { bandCost, bandProduct } from './band.js';
import { realKeys } from '../real-keys.js';
import { untracked } from './exponentials.js';
import { repeatHeads } from '../../ops/repeat-heads.js';

const options = {
  radius: integer({
    min: 0,
    default: 11,
    help: 'positions on each side that a position lambda reads; n − 1 or more: all',
  }),
  width: integer({
    min: 0,
    default: 0,
    help: 'width of an image in raster order, in which radius is of rows and columns; 0: a text',
  }),
};
type Options = OptionValues<typeof options>;
type Lambda = Call<typeof options, 'positions'>;
type States = Readonly<Record<string, Tensor>>;

/** A linear map for each position, made of all values and of those near it, that its queries are multiplied with. */
export const lambda = defineAttention({
  name: 'lambda',
  family: 'kernel-methods',
  summary: 'A linear map from the content of all keys, and one from the positions near by, which queries go through.',
  paper: {
    authors: 'Bello',
    title: 'LambdaNetworks: Modeling Long-Range Interactions Without Attention',
    year: 2021,
    arxiv: '2102.08602',
  },
  formula: 'out_i = (λᶜ + λᵖ_i)ᵀ q_i,  λᶜ = softmax_j(k)ᵀ v,  λᵖ_i = Σ_|j−i| ≤ r E_(j−i) v_jᵀ',
  complexity: 'n·(d² + r·d)',
  exactness: 'learned',
  relativeToPaper:
    'scale is not used, as the formula has none. Norms of queries and values are left to their projections. λᵖ is not stored: q_i·E_(j−i) are weights of values within the radius. A key head is one of the intra-depth whose query heads are its own. Causal attention, which the paper has not, takes the softmax over the keys so far and offsets up to 0; features of which all so far are less than 2⁻⁵⁶ of the largest exponential are 0, and a note says how many.',
  options,
  supports: { causal: true, cross: false, padding: true, score: false, groupedHeads: true, decode: 'recurrent' },
  parameters: ({ G, D }, { radius, width }) => ({
    positions: learned([G, (2 * radius + 1) ** (width > 0 ? 2 : 1), D], normalOf(D ** -0.5)),
  }),
  cost: (shape, options, causal) => {
    const { B, H, G, L: n, D, E } = shape;
    const near = bandsOf(n, options, causal).reduce(
      (sum, { count, first }) => sum + n * count * D + bandCost(n, count, first, n) * E,
      0,
    );
    const content = causal ? H * 2 * n * D * E + G * 2 * n * D : (G + H) * n * D * E;
    return { multiplyAdds: B * (content + H * near) };
  },
  forward: (call) => {
    const { causal, shape, lengths } = call;
    const lost = lostFeatures(shape);
    const content = causal ? causalContent(call, lost).out : allContent(call);
    const near = nearSums(call, realKeys(call.v, lengths), bandsOf(shape.S, call.options, causal), 0);
    return { out: near ? add(content, near) : content, notes: lost.notes };
  },
  recurrence: {
    step: (call, state, start) => {
      const { v, shape, options } = call;
      const { B, G, E } = shape;
      const lost = lostFeatures(shape);
      const { out, state: sums } = causalContent(call, lost, state);
      // as many values as a band reaches back, zeros at first
      const reach = options.radius * (options.width + 1);
      const room = [B, G, reach, E];
      const before = reach === 0 ? undefined : (state?.['values'] ?? zeros(room, { device: v.device }));
      const values = before ? concat([before, v], { axis: 2 }) : v;
      const near = nearSums(call, values, bandsOf(Infinity, options, true), reach, start);
      const kept = before && slice(values, { axis: 2, start: -reach });
      return { out: near ? add(out, near) : out, notes: lost.notes, state: { ...sums, ...(kept && { values: kept }) } };
    },
  },
});

/** Offsets in a row: `count` of them from `first`, whose vectors begin at row `at` of the parameter. */
interface Band {
  readonly at: number;
  readonly count: number;
  readonly first: number;
}

/** One for a text, or one for each row of an image; offsets that no two of n positions have are left out. */
function bandsOf(n: number, { radius, width }: Options, causal: boolean): readonly Band[] {
  const side = Math.min(radius, (width > 0 ? width : n) - 1);
  const reach = width > 0 ? Math.min(radius, Math.ceil(n / width) - 1) : 0;
  const rows = Array.from({ length: reach + (causal ? 0 : reach) + 1 }, (_, i) => i - reach);
  return rows.map((row) => ({
    at: (width > 0 ? (row + radius) * (2 * radius + 1) : 0) + radius - side,
    count: causal && row === 0 ? side + 1 : 2 * side + 1,
    first: row * width - side,
  }));
}

/** Σ_j (q_i·E_(j−i)) v_j, where value `reach` is that of query 0, which is at position `start`. */
function nearSums(
  { q, shape, options: { width }, parameters }: Lambda,
  v: Tensor,
  bands: readonly Band[],
  reach: number,
  start = 0,
): Tensor | undefined {
  const { B, H, G, L, D, E } = shape;
  const rows = reshape(q, [B, G, (H / G) * L, D]);
  const values = reshape(v, [B, G, 1, v.shape[2]!, E]);
  const parts = bands.map(({ at, count, first }) => {
    const vectors = slice(parameters.positions, { axis: 1, start: at, end: at + count }); // [G, count, D]
    const weights = reshape(matmul(rows, vectors, { transposeB: true }), [B, G, H / G, L, count]);
    return bandProduct(width > 0 ? mul(weights, inImage(width)) : weights, values, first + reach);

    /** `[L, count]`: 1 where an offset stays in the row of the image. */
    function inImage(columns: number): Tensor {
      // the first offset is that of a row, and as many columns back as the band has
      const back = ((-first % columns) + columns) % columns;
      const stays = (i: number, o: number): boolean => {
        const column = ((start + i) % columns) + o - back;
        return column >= 0 && column < columns;
      };
      return tensor(
        Float32Array.from({ length: L * count }, (_, n) => Number(stays(Math.floor(n / count), n % count))),
        [L, count],
        { device: q.device },
      );
    }
  });
  const found = parts.filter((part) => part !== undefined);
  return found.length === 0
    ? undefined
    : reshape(
        found.reduce((a, b) => add(a, b)),
        [B, H, L, E],
      );
}

/** softmax_j(k)ᵀ v, and queries through it. */
function allContent({ q, k, v, shape, lengths }: Lambda): Tensor {
  const { B, H, G, L, D, E } = shape;
  const shares = softmax(realKeys(k, lengths, -Infinity), { axis: 2 });
  const content = matmul(shares, realKeys(v, lengths), { transposeA: true }); // [B, G, D, E]
  return reshape(matmul(reshape(q, [B, G, (H / G) * L, D]), content), [B, H, L, E]);
}

// a sum of exponentials that is smaller, in units of the largest, has a square that underflows, and so no gradient
const least = 2 ** -56;

/** The same over the keys so far: sums of exponentials in units of the largest so far, as those of a running softmax. */
function causalContent(
  { q, k: given, v, shape, lengths }: Lambda,
  lost: Lost,
  state?: States,
): { readonly out: Tensor; readonly state: States } {
  const { B, H, G, L } = shape;
  const k = realKeys(given, lengths);
  const { top, fall } = untracked(() => runningMax(max(k, { axes: -1 }), state?.['top'] && { initial: state['top'] }));
  const powers = map((x, shift) => x.sub(shift).exp(), k, reshape(top, [B, G, L, 1]));
  const one = full([B, G, L, 1], 1, { device: q.device });
  const how = { causal: true, normalise: false, ...(lengths && { lengths }) };
  const divisors = linearAttend(one, one, powers, {
    ...how,
    decay: fall,
    ...(state?.['divisors'] && { initialState: state['divisors'] }),
  }); // [B, G, L, D]
  countLost(divisors.out, lost);
  const queries = map((x, sum) => select(sum.lt(least), 0, x.div(sum)), q, repeatHeads(divisors.out, H));
  const { out, state: sums } = linearAttend(queries, powers, v, {
    ...how,
    decay: reshape(repeatHeads(reshape(fall, [B, G, L, 1]), H), [B, H, L]),
    ...(state?.['sums'] && { initialState: state['sums'] }),
  });
  return { out, state: { sums, divisors: divisors.state, top: untracked(() => max(top, { axes: -1 })) } };
}

function countLost(divisors: Tensor, lost: Lost): void {
  divisors.device.guard(divisors.buffer, (bytes) => {
    let count = 0;
    for (const sum of new Float32Array(bytes.buffer, bytes.byteOffset, divisors.size)) if (sum < least) count++;
    lost.add(count);
  });
}

const lostFeatures = ({ B, G, L, D }: AttentionShape): Lost =>
  new Lost(
    (count) =>
      `${count} of ${B * G * L * D} features of keys are so far below the largest of their head that float32 has them as 0; ` +
      'make keys shorter, such as by a norm',
  );

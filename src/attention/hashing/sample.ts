import { lookup, select, variable, type F32, type I32 } from '../../codegen/expression/index.js';
import { cumulativeSum, map, reshape, searchSorted, square, sum, takeAlong } from '../../ops/index.js';
import { integerTable, tensorTable } from '../../scores/tensor.js';
import { scope, tensor, type Tensor } from '../../tensor/index.js';
import { rowOf, type Parts } from './parts.js';

/** Keys that were drawn from each part, with replacement: they stand for all of its keys. Tensors `[B,G,count·s]`. */
export interface Sample {
  /** Places in the sorted list of keys, i32. */
  readonly places: Tensor;
  /** −log(s·p) of a key that is drawn with probability p: the weight in which the sum over draws is that over keys, on average. */
  readonly logWeights: Tensor;
  /** Queries whose block it lies in, which see it already: those at the places `from … to − 1`, i32. */
  readonly from: Tensor;
  readonly to: Tensor;
}

const [x0, x1, x2, x3, x4, x5] = [0, 1, 2, 3, 4, 5].map((i) => variable(`x${i}`, 'f32')) as [
  F32,
  F32,
  F32,
  F32,
  F32,
  F32,
];
/** A number of [0, 1) turned by another: still uniform. */
const turned = x0.add(x1).sub(x0.add(x1).floor());
const alike = turned.mul(x2).floor().add(x3).toI32();
/** A square that no key is without, so that where all values are 0 every key is as likely. */
const least = 1e-30;

/**
 * How far each part turns the numbers that all share, so that they do not draw alike: a part that is cut at position c by c/unit golden
 * sections.
 */
const turns = ({ count, cut = 0 }: Parts, unit: number): Float32Array =>
  Float32Array.from({ length: count }, (_, part) => ((((2 * part + 1) * cut) / unit) * 0.6180339887498949) % 1);

export interface DrawOptions {
  /** `[G,s]`, of [0, 1). */
  readonly uniform: Tensor;
  /** The keys in order, i32 `[B,G,m]`. */
  readonly order: Tensor;
  /** Where given, a key is as likely as the square of its value's length (Drineas, Kannan, Mahoney 2006); else all are alike. */
  readonly v: Tensor | undefined;
  /** The distance of two cuts at least. */
  readonly unit: number;
  /** Whether queries see a drawn key of their own block again, unless that is everything: then `to` is `from`. */
  readonly again: boolean;
}

export function draw(parts: Parts, { uniform, order, v, unit, again }: DrawOptions): Sample {
  const { count, samples: s, size, keys } = parts;
  const { device } = uniform;
  const [B, G] = order.shape as [number, number];
  const shape = [B, G, count * s];
  const row = (b: number): Parts['rows'][number] => parts.rows[parts.rows.length === 1 ? 0 : b]!;
  return scope(() => {
    const u = reshape(uniform, [1, G, 1, s]);
    const ofPart = (value: (part: number) => number): Tensor =>
      tensor(
        Float32Array.from({ length: count }, (_, part) => value(part)),
        [1, 1, count, 1],
        { device },
      );
    const ofRow = (value: (b: number) => number, extents: readonly number[] = [1, 1, 1]): Tensor => {
      const each = extents.reduce((a, b) => a * b);
      const data = Float32Array.from({ length: B * each }, (_, i) => value(Math.floor(i / each)));
      return tensor(data, [B, ...extents], { device });
    };
    const golden = turns(parts, unit);
    const [turn, starts, ends] = [
      ofPart((part) => golden[part]!),
      ofPart((part) => part * size),
      ofRow((b) => row(b).keys),
    ];
    const choose = (): readonly [places: Tensor, logWeights: Tensor] => {
      if (v === undefined) {
        const weights = ofRow((b) => Math.log(row(b).keys / s), [G, count, s]);
        return [map(alike, u, turn, ends, starts), weights];
      }
      const squares = takeAlong(map(x0.max(least), sum(square(v), { axes: -1 })), order);
      const sums = cumulativeSum(reshape(squares, [B, G, count, keys / count]));
      const total = takeAlong(
        sums,
        map(
          x0.sub(1).toI32(),
          ofRow((b) => row(b).keys, [G, count, 1]),
        ),
      );
      const below = searchSorted(sums, map(turned.mul(x2), u, turn, total));
      const places = map(x0.min(x1.sub(1)).add(x2).toI32(), below, ends, starts);
      const drawn = reshape(takeAlong(squares, reshape(places, shape)), places.shape);
      return [places, map(x0.div(x1).mul(s).log().neg(), drawn, total)];
    };
    const [places, logWeights] = choose();
    // the last part may have fewer queries, which share its blocks
    const own = [
      places,
      starts,
      ofRow((b) => row(b).block),
      ofRow((b) => row(b).lastRows),
      map(
        x0.eq(x1),
        ofPart((part) => part),
        ofRow((b) => row(b).last),
      ),
      ofRow((b) => Number(!again || row(b).block >= row(b).keys)),
    ];
    const queries = select(x4.eq(0), x2, x3);
    const from = x0.sub(x1).div(x2).floor().mul(queries).add(x1);
    return {
      places: reshape(places, shape),
      logWeights: reshape(logWeights, shape),
      from: reshape(map(from.toI32(), ...own), shape),
      to: reshape(map(from.add(queries.mul(x5)).toI32(), ...own), shape),
    };
  });
}

/** The score of a pair whose key may be one that was drawn: raised by its weight, and hidden from queries that see it already. */
export function sampleScore(
  parts: Parts,
  { logWeights, from, to }: Omit<Sample, 'places'>,
  at: { readonly b: I32; readonly head: I32; readonly q: I32; readonly k: I32; readonly score: F32 },
): F32 {
  const { b, head, k, score } = at;
  const drawn = k.sub(parts.keys).max(0);
  const raised = score.add(lookup(tensorTable('sample', 'log weights', logWeights), b, head, drawn));
  const row = rowOf(parts, at.q);
  const own = row
    .ge(lookup(integerTable('first query', from), b, head, drawn))
    .and(row.lt(lookup(integerTable('end of queries', to), b, head, drawn)));
  return select(k.lt(parts.keys), score, select(own, -Infinity, raised));
}

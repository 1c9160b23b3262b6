import { lookup, select, substitute, variable, wrap, type F32, type I32 } from '../../codegen/expression/index.js';
import { argsort, concat, map, reshape, type GatheredPlace } from '../../ops/index.js';
import { integerTable } from '../../scores/index.js';
import { scope, tensor, type Tensor } from '../../tensor/index.js';
import type { Chunks } from './chunks.js';

/** The score of a token with itself where it has no other: far below all others, yet finite. */
export const alone = -1e5;

/** The options that the score depends on. */
export interface ScoreOptions {
  readonly rounds: number;
  readonly sameBucket: boolean;
  readonly correctDuplicates: boolean;
  readonly selfAlone: boolean;
}

/** What the score of a pair looks up by the tokens' positions, `[B,H,R,n]`; made where an option needs it. */
export interface Tables {
  readonly bucket: Tensor | undefined;
  /** The token's chunk. */
  readonly chunk: Tensor | undefined;
  /** The last chunk of the next round that sees the token in front; below 0: none. */
  readonly reach: Tensor | undefined;
}

const [place, length] = [variable('x0', 'i32'), variable('x1', 'i32')];

export function tablesOf(
  own: ScoreOptions,
  chunks: Chunks,
  buckets: readonly Tensor[],
  orders: readonly Tensor[],
): Tables {
  const { size, front, lengths } = chunks;
  const [B, H, n] = orders[0]!.shape as [number, number, number];
  const byRound = (tables: readonly Tensor[]): Tensor =>
    scope(() =>
      concat(
        tables.map((x) => reshape(x, [B, H, 1, n])),
        { axis: 2 },
      ),
    );
  const bucket = own.sameBucket ? byRound(buckets) : undefined;
  if (!own.correctDuplicates) return { bucket, chunk: undefined, reach: undefined };
  return scope(() => {
    const places = byRound(orders.map((order) => argsort(order)));
    const ends = tensor(Int32Array.from(lengths), [B, 1, 1, 1], { device: places.device });
    const chunk = map(place.floorDiv(size), places);
    const inReach = place.sub(length).add(front).floorDiv(size);
    // neither out of reach nor in the chunks up to the reader's
    const reach = map(inReach.min(place.floorDiv(size).sub(1)), places, ends);
    return { bucket, chunk, reach: front > 0 ? reach : undefined };
  });
}

export interface RoundScore {
  readonly own: ScoreOptions;
  readonly chunks: Chunks;
  readonly tables: Tables;
  readonly round: number;
  readonly change: F32 | undefined;
}

/** The score of a gathered pair: the caller's change, then duplicates, then the token itself, then the bucket. */
export function scoreOf(pair: GatheredPlace, { own, chunks, tables, round, change }: RoundScore): F32 {
  const { b, h, k, score: raw, queryPosition: i, keyPosition: j } = pair;
  const of = (table: Tensor, r: number, position: I32): I32 => lookup(integerTable('hash', table), b, h, r, position);
  let result = change ? (wrap(substitute(change, { score: raw, q: i, k: j })) as F32) : raw;
  if (own.correctDuplicates) result = result.sub(timesSeen(own, chunks, tables, of, i, j).log());
  if (own.selfAlone) {
    // once a round, so that its logsumexp is exact: −1e5 has no room for log 2
    const self = chunks.front > 0 ? select(k.lt(chunks.front), -Infinity, alone) : alone;
    result = select(i.eq(j), self, result);
  }
  if (tables.bucket) {
    result = select(of(tables.bucket, round, i).eq(of(tables.bucket, round, j)), result, -Infinity);
  }
  return result;
}

/** How often, over all rounds, the token at j is among the keys of that at i. */
function timesSeen(
  { rounds }: ScoreOptions,
  { back }: Chunks,
  { bucket, chunk, reach }: Tables,
  of: (table: Tensor, round: number, position: I32) => I32,
  i: I32,
  j: I32,
): F32 {
  const times = Array.from({ length: rounds }, (_, r) => {
    const own = of(chunk!, r, i);
    const distance = own.sub(of(chunk!, r, j));
    const near = distance.ge(0).and(distance.le(back));
    const seen = bucket ? near.and(of(bucket, r, i).eq(of(bucket, r, j))) : near;
    const wrapped = reach && of(reach, (r + rounds - 1) % rounds, j).ge(own);
    return wrapped ? seen.toF32().add(wrapped.toF32()) : seen.toF32();
  });
  // pairs that the mask hides are computed too
  return times.reduce((sum, next) => sum.add(next)).max(1);
}

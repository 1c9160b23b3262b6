import { memoised } from '../../core/memo.js';
import { constant, lookup, tableOf } from '../../codegen/expression/index.js';
import { mask, type Mask } from '../../masks/index.js';

/** Sorted tokens cut into chunks, of which each sees itself and those before it. */
export interface Chunks {
  /** Tokens, padding included; it is sorted to the end. */
  readonly n: number;
  readonly size: number;
  /** Chunks seen before the own. */
  readonly back: number;
  /** Tokens of the round before that stand in front, so that the first chunks have chunks before them too. */
  readonly front: number;
  /** Tokens of each batch row that are no padding. */
  readonly lengths: readonly number[];
}

export interface ChunkOptions {
  readonly size: number;
  readonly lookBack: number;
  /** Whether the first chunks look back on the last of the round before. */
  readonly wrap: boolean;
}

export function cut(n: number, lengths: readonly number[], { size, lookBack, wrap }: ChunkOptions): Chunks {
  const back = Math.min(lookBack, Math.ceil(n / size) - 1);
  return { n, size, back, front: wrap ? back * size : 0, lengths };
}

/**
 * Who sees whom by places: queries are the sorted tokens, keys have `front` tokens of the round before in front of them.
 * The same mask for the same chunks, so that what was planned for it is found again.
 */
export const chunkMask = memoised(buildMask, { by: (chunks) => [JSON.stringify(chunks)], most: 64 });

function buildMask({ n, size, back, front, lengths }: Chunks): Mask {
  const table = tableOf('lengths', Int32Array.from(lengths));
  const alike = lengths.every((length) => length === n);
  return mask(({ b, q, k }) => {
    const length = alike ? constant(n, 'i32') : lookup(table, b);
    // where tokens stand in front, chunk i of the queries is chunk i + back in the numbering of the keys
    const [own, other] = [q.floorDiv(size), k.floorDiv(size)];
    let seen = other.le(own).and(other.ge(own.sub(back)));
    if (!alike) seen = seen.and(k.lt(length.add(front)));
    if (front === 0 || lengths.every((x) => x >= (back + 1) * size)) return seen;
    // a short sequence wraps around to tokens that are in the chunks up to this one already
    const after = k.add(length).ge(
      own
        .sub(back - 1)
        .mul(size)
        .add(front),
    );
    return seen.and(k.ge(front).or(after));
  });
}

/** Places in the round before of the tokens in front; 0 for those that nobody sees. `[B, front]` */
export function frontPlaces({ front, lengths }: Chunks): Int32Array {
  return Int32Array.from({ length: lengths.length * front }, (_, at) =>
    Math.max(0, lengths[Math.floor(at / front)]! - front + (at % front)),
  );
}

/** Pairs of one head and round without padding. */
export function chunkPairs({ n, size, back, front }: Chunks): number {
  let pairs = 0;
  for (let first = 0, own = 0; first < n; first += size, own++) {
    const end = Math.min(n, first + size);
    const before = Math.min(own, back) * size;
    // what is in front is seen from the first that is neither in reach nor in the chunks up to this one
    const wrapped = front > 0 ? Math.max(0, n - Math.max(first + size, n - front + first)) : 0;
    pairs += (end - first) * (end - first + before + wrapped);
  }
  return pairs;
}

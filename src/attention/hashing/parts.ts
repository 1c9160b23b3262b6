import { memoised } from '../../core/memo.js';
import { constant, lookup, select, tableOf, variable, type I32 } from '../../codegen/expression/index.js';
import { mask, type Mask } from '../../masks/index.js';
import { argsort, map, slice } from '../../ops/index.js';
import { scope, tensor, type Tensor } from '../../tensor/index.js';

/**
 * Parts of the score matrix, without a common row or column, in each of which queries and keys are sorted by their buckets: a query sees
 * the keys of one block, and samples of the whole part.
 */
export interface Parts {
  /** Queries and keys that belong to a part. */
  readonly queries: number;
  readonly keys: number;
  readonly count: number;
  /** Keys of a part, and queries of each but the last; with one part, at least as many as there are. */
  readonly size: number;
  /** Samples of a part; in the lists they are keys after all others. */
  readonly samples: number;
  /** Where parts are cut: undefined: one part is everything. Else queries of its odd multiples see keys of the even one before. */
  readonly cut: number | undefined;
  /** What padding leaves of it, for each batch row, or one for all. */
  readonly rows: readonly PartsRow[];
}

export interface PartsRow {
  /** Queries are the first so many places; those after them see nothing. */
  readonly queries: number;
  /** Keys that may be seen are the first so many places. */
  readonly seen: number;
  /** Keys of one part, and of a block. */
  readonly keys: number;
  readonly block: number;
  /** The last part with a query, −1 for none, and how many of its queries see one block; in the others as many as a block has keys. */
  readonly last: number;
  readonly lastRows: number;
}

export interface PartOptions {
  readonly block: number;
  readonly samples: number;
}

/** All queries and all keys. A batch row of fewer tokens than `exactBelow` is one block. */
export function wholeParts(
  { L, S }: { readonly L: number; readonly S: number },
  lengths: readonly number[] | undefined,
  own: PartOptions & { readonly exactBelow: number },
): Parts {
  const rows = (lengths ?? [S]).map((keys): PartsRow => {
    const queries = L === S ? keys : L;
    const block = queries < own.exactBelow ? keys : own.block;
    return { queries, seen: keys, keys, block, last: 0, lastRows: Math.ceil((queries * block) / keys) };
  });
  // where a block is all keys, every sample is in it
  const samples = own.block >= S ? 0 : own.samples;
  return { samples, queries: L, keys: S, count: 1, size: Math.max(L, S), cut: undefined, rows };
}

/** Of n tokens, those from odd multiples of `size` on, as many each, see the `size` keys before their first. */
export function halvedParts(n: number, lengths: readonly number[] | undefined, size: number, own: PartOptions): Parts {
  const queriesOf = (length: number): number =>
    size * Math.floor(length / (2 * size)) + Math.max(0, (length % (2 * size)) - size);
  const rows = (lengths ?? [n]).map((length): PartsRow => {
    const queries = queriesOf(length);
    const last = Math.ceil(queries / size) - 1;
    const lastRows = Math.max(1, Math.ceil(((queries - last * size) * own.block) / size));
    return { queries, seen: (last + 1) * size, keys: size, block: own.block, last, lastRows };
  });
  const queries = queriesOf(n);
  const count = Math.ceil(queries / size);
  const samples = own.block >= size ? 0 : own.samples;
  return { samples, queries, keys: count * size, count, size, cut: size, rows };
}

const [own, bucket] = [variable('x0', 'i32'), variable('x1', 'i32')];

/** The rows of each part in the order of their buckets, which are below `buckets`, part by part, padding last: i32 `[B,H,m]`. */
export function sortedRows(
  parts: Parts,
  of: 'queries' | 'keys',
  hashes: Tensor,
  { buckets, lengths }: { readonly buckets: number; readonly lengths: readonly number[] | undefined },
): Tensor {
  const n = hashes.shape[2]!;
  return scope(() => {
    const inParts = (): Tensor => {
      const ends = lengths ?? [n];
      const part = tensor(partsOfRows(parts.cut, parts.count, of, n, ends), [ends.length, 1, n], {
        device: hashes.device,
      });
      return map(own.mul(buckets).add(bucket), part, hashes);
    };
    const order = argsort(parts.cut === undefined && lengths === undefined ? hashes : inParts());
    return parts[of] === n ? order : slice(order, { axis: 2, end: parts[of] });
  });
}

/** The part of each of the `n` rows of texts that end at `ends`; what belongs to none is in one after the last. */
const partsOfRows = memoised(
  (cut: number | undefined, count: number, of: 'queries' | 'keys', n: number, ends: readonly number[]): Int32Array => {
    const parity = of === 'queries' ? 1 : 0;
    const each = new Int32Array(n);
    const size = cut ?? 2 * n;
    for (let at = 0; at < n; at++) {
      const half = Math.floor(at / size);
      each[at] = half % 2 === parity || cut === undefined ? Math.min(count, Math.floor(half / 2)) : count;
    }
    const table = new Int32Array(ends.length * n).fill(count);
    ends.forEach((end, b) => table.set(each.subarray(0, end), b * n));
    return table;
  },
  { most: 16 },
);

/** A number of each batch row, as an expression of b. */
export function byRow(parts: Parts, name: keyof PartsRow, b: I32): I32 {
  const all = parts.rows.map((row) => row[name]);
  if (all.every((one) => one === all[0])) return constant(all[0]!, 'i32');
  return lookup(tableOf(name, Int32Array.from(all)), b);
}

/** The place of a query among those that are sorted, from its q. */
export const rowOf = ({ queries, keys, count, samples }: Parts, q: I32): I32 => q.sub(keys + count * samples - queries);

/** Who sees whom by places. */
export const partMask = memoised(
  (parts: Parts): Mask =>
    mask(({ b, q, k }) => {
      const { size, samples, queries, keys, count } = parts;
      const row = rowOf(parts, q);
      const part = row.floorDiv(size);
      const [block, last, lastRows] = (['block', 'last', 'lastRows'] as const).map((name) => byRow(parts, name, b)) as [
        I32,
        I32,
        I32,
      ];
      const inPart = count === 1 ? row : row.mod(size);
      const rows = count === 1 ? lastRows : select(part.eq(last), lastRows, block);
      const keyInPart = count === 1 ? k : k.mod(size);
      const near = keyInPart
        .floorDiv(block)
        .eq(inPart.floorDiv(rows))
        .and(k.lt(byRow(parts, 'seen', b)));
      const inBlock = count === 1 ? near : near.and(k.floorDiv(size).eq(part));
      const drawn = k.ge(keys);
      const ofPart = count === 1 ? drawn : drawn.and(k.sub(keys).floorDiv(Math.max(1, samples)).eq(part));
      const all = samples === 0 ? inBlock : k.lt(keys).and(inBlock).or(ofPart);
      return parts.rows.every((one) => one.queries === queries) ? all : all.and(row.lt(byRow(parts, 'queries', b)));
    }),
  { by: (parts) => [JSON.stringify(parts)], most: 64 },
);

/** Pairs of one head of a batch row without padding. */
export function pairsOfParts({ queries, keys, count, size, samples, rows: [row] }: Parts): number {
  let pairs = queries * samples;
  for (let part = 0; part < count; part++) {
    const ofPart = part === count - 1 ? queries - part * size : size;
    const own = Math.min(size, keys);
    const { block, lastRows } = row!;
    const rows = part === count - 1 ? lastRows : block;
    for (let first = 0, start = 0; first < ofPart; first += rows, start += block) {
      pairs += Math.min(rows, ofPart - first) * Math.max(0, Math.min(block, own - start));
    }
  }
  return pairs;
}

import { describe, isList } from '../core/describe.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { checkValue, int32From } from '../core/requirements.js';
import { checkShape, sizeOf } from '../core/shape.js';
import { lookup, tableOf, type I32 } from '../codegen/expression/index.js';
import { Mask } from './mask.js';
import { integers } from './options.js';
import { place, type AttendShape } from './place.js';

const { b, h, q, k } = place;

/** Ids renumbered from 1: queries before the first key (L > S) read 0, and so belong to nothing. */
function renumbered(ids: Int32Array): Int32Array {
  const names = new Map<number, number>();
  let [id, name] = [NaN, 0];
  return ids.map((next) => {
    if (next !== id) {
      id = next;
      name = names.get(next) ?? names.size + 1;
      names.set(next, name);
    }
    return name;
  });
}

/**
 * Packed documents: positions with equal ids see each other, `ids[b, q] = ids[b, k]`.
 *
 * `ids`: `[S]` for every batch alike, or `[B, S]` flat or as rows. Often `causal().and(document(ids))`.
 *
 * @throws OptionError for ids that are no integers; ShapeError when their number is neither S nor B·S.
 */
export function document(ids: ArrayLike<number> | readonly ArrayLike<number>[]): Mask {
  const rows = Array.isArray(ids) && isList(ids[0]) ? (ids as readonly ArrayLike<number>[]) : undefined;
  if (rows?.some((row) => !isList(row) || row.length !== rows[0]!.length))
    throw new ShapeError('document: the rows of ids must be lists of one length.');
  const list = rows === undefined ? (ids as ArrayLike<number>) : rows.flatMap((row) => Array.from(row));
  const flat = renumbered(integers('document', 'ids', list));
  return new Mask('document(ids)', (shape) => {
    const { B, S } = shape;
    if (flat.length !== S && flat.length !== B * S) {
      throw new ShapeError(`document: ids must be [S] or [B,S]; got ${flat.length} ids for B=${B}, S=${S}.`);
    }
    const perBatch = flat.length !== S;
    const table = tableOf('documents', flat, perBatch ? [B, S] : [S]);
    const at = (x: I32): I32 => (perBatch ? lookup(table, b, x) : lookup(table, x));
    return at(q).eq(at(k));
  });
}

/** One number for all batches as a literal, or one per batch as a table read. */
function perBatch(
  who: string,
  what: string,
  value: number | ArrayLike<number>,
  least: number,
): (shape: AttendShape) => I32 | number {
  if (typeof value === 'number') {
    checkValue(who, what, value, int32From(least));
    return () => value;
  }
  const table = tableOf(what, integers(who, what, value, least));
  return ({ B }) => {
    if (table.shape[0] !== B)
      throw new ShapeError(`${who}: ${what} must have one entry per batch; got ${table.shape[0]} for B=${B}.`);
    return lookup(table, b);
  };
}

/**
 * Prefix language model: the first `length` keys are seen by all, later ones causally, `k < length or k ≤ q`. One length, or
 * one per batch. Causality is part of it: do not combine it with `causal()` by `and`. (T5's prefix-LM, 2019.)
 */
export function prefix(length: number | ArrayLike<number>): Mask {
  const limit = perBatch('prefix', 'length', length, 0);
  return new Mask(`prefix(${typeof length === 'number' ? length : 'lengths'})`, (shape) =>
    k.lt(limit(shape)).or(k.le(q)),
  );
}

/**
 * Padding: keys from `lengths[b]` on are seen by nobody, `k < lengths[b]`. The rows of padding queries are computed.
 *
 * @throws OptionError for lengths that are no whole numbers of at least 0; ShapeError for one beyond the keys, or
 * unless there is one a batch row.
 */
export function lengths(perBatchLengths: ArrayLike<number>): Mask {
  const counts = integers('lengths', 'lengths', perBatchLengths, 0);
  const limit = perBatch('lengths', 'lengths', counts, 0);
  return new Mask('lengths(perBatch)', (shape) => {
    const most = counts.findIndex((count) => count > shape.S);
    if (most >= 0)
      throw new ShapeError(
        `lengths: lengths[${most}] is ${counts[most]}, and there are ${shape.S} keys (S=${shape.S}).`,
      );
    return k.lt(limit(shape));
  });
}

/**
 * A mask given pair by pair; non-zero is allowed. `shape`: `[L,S]`, `[H|1,L,S]` or `[B|1,H|1,L,S]`. It is copied; memory
 * grows with L·S, so for rules prefer `mask`.
 *
 * @throws ShapeError when `data` does not fill `shape`, or `shape` does not fit the attention's.
 */
export function dense(data: ArrayLike<number | boolean>, shape: readonly number[]): Mask {
  if (!isList(data)) throw new OptionError(`dense: data must be a list of numbers or booleans; got ${describe(data)}.`);
  checkShape('dense', shape);
  const size = sizeOf(shape);
  if (shape.length < 2 || shape.length > 4 || size !== data.length) {
    throw new ShapeError(
      `dense: shape must be [L,S], [H,L,S] or [B,H,L,S] and hold the data; got [${shape.join(',')}] for ${data.length} entries.`,
    );
  }
  const allowed = Uint8Array.from(data as ArrayLike<unknown>, (value, i) => {
    // a NaN is neither
    if (typeof value !== 'boolean' && !(typeof value === 'number' && value === value))
      throw new OptionError(`dense: data must be numbers or booleans; got ${describe(value)} at index ${i}.`);
    return Number(Boolean(value));
  });
  const full = [...Array<number>(4 - shape.length).fill(1), ...shape];
  return new Mask('dense(data)', ({ B, H, L, S }) => {
    const fits = [B, H, L, S].every((extent, dim) => full[dim] === extent || (dim < 2 && full[dim] === 1));
    if (!fits)
      throw new ShapeError(
        `dense: shape [${full.join(',')}] does not fit [B|1,H|1,L,S] with B=${B}, H=${H}, L=${L}, S=${S}.`,
      );
    const indices = [b, h, q.sub(S - L), k].filter((_, dim) => dim >= 2 || full[dim] !== 1);
    const extents = full.filter((extent, dim) => dim >= 2 || extent !== 1);
    return lookup(tableOf('allowed', allowed, extents), ...indices).ne(0);
  });
}

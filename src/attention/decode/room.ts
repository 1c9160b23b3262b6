import { ShapeError } from '../../core/errors.js';
import { sameShape, show, sizeOf } from '../../core/shape.js';
import type { FloatDtype } from '../../core/dtype.js';
import type { Device } from '../../devices/device.js';
import { launchPutRows } from '../../kernels/put-rows.js';
import { flagCount } from '../../kernels/attend/spec.js';
import { noFlags, raiseNonFinite } from '../../ops/attend/non-finite.js';
import { cast } from '../../ops/cast.js';
import { runCopy } from '../../tensor/copy.js';
import { empty, scope, writable, type Tensor } from '../../tensor/index.js';
import type { AttentionShape } from '../options.js';

/** Keys `[B, G, C, D]` and values `[B, G, C, E]`. */
export interface Rows {
  readonly k: Tensor;
  readonly v: Tensor;
}

/** Copies `count` rows of every head to rows of another tensor of as many heads and columns, those from `to` on, which `starts` moves. */
export function copyRows(
  source: Tensor,
  from: number,
  target: Tensor,
  to: number,
  count: number,
  starts?: Tensor,
): void {
  const [B, G, held, columns] = source.shape as [number, number, number, number];
  launchPutRows(target.device, {
    from: { buffer: source.buffer, dtype: source.dtype as FloatDtype, rows: held, first: from },
    to: { buffer: writable(target), dtype: target.dtype as FloatDtype, rows: target.shape[2]!, first: to },
    count,
    columns,
    batches: B,
    heads: G,
    starts: starts?.buffer,
  });
}

/**
 * Copies of some entries of the first axis: `x [B, …] → [entries.length, …]`; of `[B, G, C, D]` with a `count`, the first `count` rows
 * of every head, `[entries.length, G, count, D]`.
 */
export function takeEntries(x: Tensor, entries: readonly number[], count?: number): Tensor {
  const [, ...rest] = x.shape;
  const each = sizeOf(rest);
  const [G, , columns] = count === undefined ? [1, 1, each] : (rest as [number, number, number]);
  const taken = (count ?? 1) * columns;
  const shape = count === undefined ? rest : [G, count, columns];
  const out = empty([entries.length, ...shape], x.dtype, x.device);
  entries.forEach((entry, i) => {
    const [from, to] = [entry * each, i * G * taken];
    runCopy([G, taken], x, { offset: from, steps: [each / G, 1] }, out, { offset: to, steps: [taken, 1] });
  });
  return out;
}

export const copyOf = (x: Tensor): Tensor =>
  takeEntries(
    x,
    Array.from({ length: x.shape[0] ?? 1 }, (_, entry) => entry),
  );

/** Copies the entries of the first axis of `part` to those of `into`, both `[…, …]` alike but for their number. */
export function putEntries(part: Tensor, into: Tensor, entries: readonly number[]): void {
  const each = part.size / part.shape[0]!;
  entries.forEach((entry, i) => {
    runCopy([each], part, { offset: i * each, steps: [1] }, into, { offset: entry * each, steps: [1] });
  });
}

/** Copies `count` rows of every head that were saved to the first ones of their rooms. @throws ShapeError unless they are that. */
export function putRows(
  saved: Readonly<Record<string, Tensor>>,
  rooms: Readonly<Record<string, Tensor>>,
  count: number,
): void {
  const wrong = Object.entries(rooms).flatMap(([name, { shape }]) => {
    const [B, G, , columns] = shape as [number, number, number, number];
    const [wanted, own] = [[B, G, count, columns], saved[name]?.shape ?? []];
    return sameShape(own, wanted) ? [] : [`${name} must be ${show(wanted)}; got ${show(own)}`];
  });
  if (wrong.length > 0) throw new ShapeError(`decoder: what was saved does not fit its room: ${wrong.join('; ')}.`);
  for (const [name, room] of Object.entries(rooms)) copyRows(saved[name]!, 0, room, 0, count);
}

/** Sizes of the heads of keys and values. */
export type RoomSizes = Pick<AttentionShape, 'B' | 'G' | 'D' | 'E'>;

/** Room for `capacity` rows of every head, `[B, G, capacity, columns]`; belongs to the current scope. */
export const roomFor = (
  device: Device,
  { B, G }: Pick<RoomSizes, 'B' | 'G'>,
  columns: number,
  capacity: number,
  dtype: FloatDtype = 'f32',
): Tensor => empty([B, G, capacity, columns], dtype, device, 'cache');

/** Room for keys and values, taken once. Remembers whether values that came in were NaN or Inf. */
export class Room implements Rows {
  readonly k: Tensor;
  readonly v: Tensor;
  /** As of `nonFinite`, of the values that were looked at. */
  readonly flags: Tensor;
  /** For `capacity` tokens; belongs to the current scope. */
  constructor(
    device: Device,
    sizes: RoomSizes,
    readonly capacity: number,
    dtype: FloatDtype = 'f32',
  ) {
    this.k = roomFor(device, sizes, sizes.D, capacity, dtype);
    this.v = roomFor(device, sizes, sizes.E, capacity, dtype);
    this.flags = empty([flagCount], 'i32', device, 'cache');
    this.clear();
  }

  get tensors(): readonly Tensor[] {
    return [this.k, this.v, this.flags];
  }

  /** Copies `count` tokens from `from` of a step to slot `to`. */
  write({ k, v }: Rows, from: number, to: number, count: number): void {
    copyRows(k, from, this.k, to, count);
    copyRows(v, from, this.v, to, count);
  }

  /** Copies the only token of a step to the slots that a place says, i32 `[B]`. */
  writeAt({ k, v }: Rows, slots: Tensor): void {
    copyRows(k, 0, this.k, 0, 1, slots);
    copyRows(v, 0, this.v, 0, 1, slots);
  }

  /** Is called with all values before attention reads them. */
  look(v: Tensor): void {
    // as they are kept: what overflows there is Inf
    const { dtype } = this.v;
    scope(() => raiseNonFinite(dtype === 'f32' ? v : cast(cast(v, dtype), 'f32'), this.flags));
  }

  /** Copies of the first `count` slots of some rows. */
  save(count: number, rows: readonly number[]): Readonly<Record<'k' | 'v', Tensor>> {
    return { k: takeEntries(this.k, rows, count), v: takeEntries(this.v, rows, count) };
  }

  /** Puts the `count` slots that were saved back, and looks at them. */
  load(saved: Readonly<Record<string, Tensor>>, count: number): void {
    putRows(saved, { k: this.k, v: this.v }, count);
    this.clear();
    this.look(saved['v']!);
  }

  clear(): void {
    noFlags(this.flags);
  }
}

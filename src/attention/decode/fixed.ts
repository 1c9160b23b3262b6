import type { Expression } from '../../codegen/expression/index.js';
import { attendCached } from '../../ops/attend/cached.js';
import { attendNewest } from '../../ops/attend/query.js';
import { withCausal } from '../../masks/bands.js';
import type { FloatDtype } from '../../core/dtype.js';
import type { Device } from '../../devices/device.js';
import { disposeAll, empty, keep, type Tensor } from '../../tensor/index.js';
import type { ForwardResult } from '../definition.js';
import type { Memory, PlainAttention, Step } from './memory.js';
import { atPlace, counted } from './place.js';
import { copyOf, copyRows, putRows, Room, roomFor, takeEntries, type RoomSizes } from './room.js';

/** All tokens in room that is taken once; attention reads them where they lie. */
export class FixedCache implements Memory {
  readonly #room: Room;
  readonly #attention: PlainAttention;
  /** Of steps of one token, which sees all before it, and of more. */
  readonly #masks: { readonly one: Expression | null; readonly many: Expression };

  constructor(attention: PlainAttention, device: Device, dtype?: FloatDtype) {
    const { whole, pattern } = attention;
    this.#attention = attention;
    this.#masks = {
      one: pattern?.expression(whole) ?? null,
      many: withCausal(true, pattern)!.expression(whole),
    };
    this.#room = new Room(device, whole, whole.S, dtype);
  }

  readonly repeats = true;

  step(step: Step): ForwardResult {
    const { q, k, v, start } = step;
    const { whole, scale, score } = this.#attention;
    const tokens = q.shape[2]!;
    const mask = tokens === 1 ? this.#masks.one : this.#masks.many;
    if (mask !== null || score !== undefined) this.#room.look(v);
    const room = { k: this.#room.k, v: this.#room.v, flags: this.#room.flags };
    if (tokens > 1) {
      this.#room.write({ k, v }, 0, start, tokens);
      return attendCached({ ...room, q, length: start + tokens, mask, score, scale, positions: whole });
    }
    return atPlace(step, ({ place, most }) => {
      const slots = place.feed(FixedCache, 'slots', () => counted(place, (at) => at));
      const lengths = place.feed(FixedCache, 'lengths', () => counted(place, (at) => at + 1));
      this.#room.writeAt({ k, v }, slots);
      return attendNewest({ ...room, q, lengths, most, mask, score, scale, positions: whole });
    });
  }

  goesBack(): boolean {
    return true;
  }

  save(length: number, rows: readonly number[]): Readonly<Record<string, Tensor>> {
    return this.#room.save(length, rows);
  }

  load(saved: Readonly<Record<string, Tensor>>, length: number): void {
    this.#room.load(saved, length);
  }

  reset(): void {
    this.#room.clear();
  }

  get tensors(): readonly Tensor[] {
    return this.#room.tensors;
  }
}

/** What a mechanism with a way of its own reads: all keys, values and projections of their rows, and the new queries. */
type SoFar = Omit<Step, 'start'>;

/** All tokens, for mechanisms with a way of their own to read them: they get a copy of those so far at every step. */
export class CopiedCache implements Memory {
  /** Rooms of keys, values, and the projections that go with them. */
  readonly #rooms: Readonly<Record<string, Tensor>>;

  /** `kept` says whose rows each further projection has that is kept; those of queries are of the new tokens alone. */
  constructor(
    readonly run: (rows: SoFar) => ForwardResult,
    readonly kept: Readonly<Record<string, 'k' | 'v'>>,
    device: Device,
    whole: RoomSizes & { readonly S: number },
  ) {
    const columns = (of: 'k' | 'v'): number => (of === 'k' ? whole.D : whole.E);
    const names = Object.entries<'k' | 'v'>({ k: 'k', v: 'v', ...kept });
    this.#rooms = Object.fromEntries(
      names.map(([name, of]) => [name, roomFor(device, whole, columns(of), whole.S)] as const),
    );
  }

  readonly repeats = false;

  step(step: Step): ForwardResult {
    const { q, inputs, start } = step;
    const length = start + q.shape[2]!;
    const soFar = (name: string, x: Tensor): Tensor => {
      const room = this.#rooms[name]!;
      copyRows(x, 0, room, start, q.shape[2]!);
      const [B, G, , columns] = room.shape as [number, number, number, number];
      const copy = empty([B, G, length, columns], 'f32', room.device);
      copyRows(room, 0, copy, 0, length);
      return copy;
    };
    const { k, v, ...further } = mapped(this.#rows(step), soFar);
    return this.run({ q, k: k!, v: v!, inputs: { ...inputs, ...further } });
  }

  goesBack(): boolean {
    return true;
  }

  save(length: number, rows: readonly number[]): Readonly<Record<string, Tensor>> {
    return mapped(this.#rooms, (_, room) => takeEntries(room, rows, length));
  }

  load(saved: Readonly<Record<string, Tensor>>, length: number): void {
    putRows(saved, this.#rooms, length);
  }

  reset(): void {}

  get tensors(): readonly Tensor[] {
    return Object.values(this.#rooms);
  }

  #rows({ k, v, inputs }: SoFar): Readonly<Record<string, Tensor>> {
    return { k, v, ...Object.fromEntries(Object.keys(this.kept).map((name) => [name, inputs[name]!])) };
  }
}

const mapped = (
  tensors: Readonly<Record<string, Tensor>>,
  change: (name: string, x: Tensor) => Tensor,
): Readonly<Record<string, Tensor>> =>
  Object.fromEntries(Object.entries(tensors).map(([name, x]) => [name, change(name, x)]));

/** A state of fixed size: each step returns the next, in as many bytes. */
export class RecurrentState implements Memory {
  #state: Readonly<Record<string, Tensor>> | undefined;

  constructor(
    readonly advance: (
      step: Step,
      state: Readonly<Record<string, Tensor>> | undefined,
    ) => ForwardResult & { readonly state: Readonly<Record<string, Tensor>> },
  ) {}

  readonly repeats = false;

  step(step: Step): ForwardResult {
    const { state, ...result } = this.advance(step, this.#state);
    const next = new Set(Object.values(state));
    // a part of the state may stay as it is
    const gone = this.tensors.filter((tensor) => !next.has(tensor));
    this.#state = keep(state);
    disposeAll(gone);
    return result;
  }

  goesBack(reached: number, to: number): boolean {
    return reached === to;
  }

  save(_: number, rows: readonly number[]): Readonly<Record<string, Tensor>> {
    return mapped(this.#state ?? {}, (_, x) => takeEntries(x, rows));
  }

  load(saved: Readonly<Record<string, Tensor>>): void {
    const state = mapped(saved, (_, x) => copyOf(x));
    this.reset();
    this.#state = keep(state);
  }

  reset(): void {
    disposeAll(this.#state);
    this.#state = undefined;
  }

  get tensors(): readonly Tensor[] {
    return Object.values(this.#state ?? {});
  }
}

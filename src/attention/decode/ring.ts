import { lookup, select, simplify, substitute, variable, wrap, type F32 } from '../../codegen/expression/index.js';
import { CapabilityError } from '../../core/errors.js';
import { memoised } from '../../core/memo.js';
import type { Device } from '../../devices/device.js';
import { causal, countPairs, mask, within, type Mask } from '../../masks/index.js';
import { attendCached } from '../../ops/attend/cached.js';
import { attendNewest } from '../../ops/attend/query.js';
import { integerTable } from '../../scores/index.js';
import { runCopy } from '../../tensor/copy.js';
import { empty, writable, type Tensor } from '../../tensor/index.js';
import type { ForwardResult } from '../definition.js';
import type { Memory, PlainAttention, Step } from './memory.js';
import type { Kept } from './options.js';
import { atPlace, counted } from './place.js';
import { copyRows, Room, type Rows } from './room.js';

type KeptInRing = Exclude<Kept, { readonly cache: 'fixed' }>;

const [q, k] = [variable('q', 'i32'), variable('k', 'i32')];

/** What a query sees of the tokens before it: one mask for the decoders of all layers, so that plans are shared. */
const seen = memoised(
  ({ window, sinks }: Pick<KeptInRing, 'window' | 'sinks'>): Mask => {
    const newest = within({ left: window - 1, right: 0 });
    return sinks === 0 ? newest : newest.or(mask((at) => at.k.lt(sinks))).and(causal());
  },
  { by: ({ window, sinks }) => [window, sinks], most: 64 },
);

/**
 * The first s tokens in slots of their own and the last W in a ring: token p ≥ s lies in slot `s + (p − s) mod W`.
 *
 * Softmax does not mind the order of slots. A score that depends on positions gets true ones: those of the slots follow from
 * the newest token, which the kernel reads from the device, so that expressions, plan and kernel stay the same objects.
 */
export class RingCache implements Memory {
  readonly #attention: PlainAttention;
  readonly #kept: KeptInRing;
  readonly #seen: Mask;
  readonly #room: Room;
  /** The position of the newest token, and what the tokens that are gone shift the others by. */
  readonly #place: Tensor;
  /** Of slots, and of tokens in their order. */
  readonly #scores: { readonly slots: F32; readonly ordered: F32 } | undefined;

  /** @throws CapabilityError where the pattern sees tokens that the ring has forgotten. */
  constructor(attention: PlainAttention, kept: KeptInRing, device: Device) {
    this.#attention = attention;
    this.#kept = kept;
    this.#seen = seen(kept);
    const hides = checkPattern(attention, kept);
    this.#room = new Room(device, attention.whole, kept.sinks + kept.window, kept.cacheDtype);
    this.#place = empty([2], 'i32', device, 'cache');
    const { score, pattern, whole } = attention;
    if (score === undefined && !hides) return;
    const plain = score ?? variable('score', 'f32');
    const change = hides ? select(pattern!.expression(whole), plain, -Infinity) : plain;
    const table = integerTable('place', this.#place);
    const [newest, gone] = [lookup(table, 0), lookup(table, 1)];
    const at = (by: { readonly q: typeof q; readonly k: typeof k }): F32 =>
      wrap(simplify(substitute(change, by))) as F32;
    const { window, sinks } = kept;
    const inRing = newest.sub(newest.sub(k).mod(window));
    this.#scores = {
      slots: at({ q: newest, k: sinks === 0 ? inRing : select(k.lt(sinks), k, inRing) }),
      ordered: at({ q: q.add(gone), k: sinks === 0 ? k.add(gone) : select(k.lt(sinks), k, k.add(gone)) }),
    };
  }

  readonly repeats = true;

  step(step: Step): ForwardResult {
    const { k: keys, v: values, start } = step;
    const tokens = keys.shape[2]!;
    if (this.#scores || tokens > 1) this.#room.look(values);
    if (tokens === 1) return this.#stepOne(step);
    if (start + tokens <= this.#room.capacity) {
      this.#keep(step);
      return this.#attend(step, this.#room, start + tokens);
    }
    // rounded as they are kept, as later tokens will read them
    const asGiven = start === 0 && this.#room.k.dtype === 'f32';
    const all = asGiven ? { k: keys, v: values } : this.#inOrder(step);
    const result = this.#attend(step, all, all.k.shape[2]!);
    this.#keep(step);
    return result;
  }

  /** The newest token sees all slots that are filled. */
  #stepOne(step: Step): ForwardResult {
    const { whole, scale } = this.#attention;
    const { window, sinks } = this.#kept;
    const { capacity, k, v, flags } = this.#room;
    return atPlace(step, ({ place, most }) => {
      const name = `${window} ${sinks}`;
      const slotOf = (at: number): number => (at < sinks ? at : sinks + ((at - sinks) % window));
      const slots = place.feed(RingCache, `slots ${name}`, () => counted(place, slotOf));
      const lengths = place.feed(RingCache, `lengths ${name}`, () =>
        counted(place, (at) => Math.min(at + 1, capacity)),
      );
      if (this.#scores) {
        const newest = place.feed(RingCache, 'newest', () => counted(place, (at) => at));
        runCopy([1], newest, { offset: 0, steps: [1] }, this.#place, { offset: 0, steps: [1] });
      }
      this.#room.writeAt(step, slots);
      return attendNewest({
        q: step.q,
        k,
        v,
        lengths,
        most: Math.min(most, capacity),
        mask: null,
        score: this.#scores?.slots,
        scale,
        positions: { ...whole, L: 1, S: capacity },
        flags,
      });
    });
  }

  /** A token lies where one was that it does not see: one step back nothing is missing. */
  goesBack(reached: number, to: number): boolean {
    return reached <= this.#room.capacity || reached - to <= 1;
  }

  save(length: number, rows: readonly number[]): Readonly<Record<string, Tensor>> {
    return this.#room.save(Math.min(length, this.#room.capacity), rows);
  }

  load(saved: Readonly<Record<string, Tensor>>, length: number): void {
    this.#room.load(saved, Math.min(length, this.#room.capacity));
  }

  reset(): void {
    this.#room.clear();
  }

  get tensors(): readonly Tensor[] {
    return [...this.#room.tensors, this.#place];
  }

  #attend({ q: queries, start }: Step, rows: Rows, length: number): ForwardResult {
    const { whole, scale } = this.#attention;
    const tokens = queries.shape[2]!;
    if (this.#scores) {
      const newest = start + tokens - 1;
      this.#place.device.write(writable(this.#place), Int32Array.of(newest, newest + 1 - length));
    }
    const shape = { ...whole, L: tokens, S: length };
    return attendCached({
      q: queries,
      k: rows.k,
      v: rows.v,
      length,
      mask: this.#seen.expression(shape),
      score: this.#scores?.ordered,
      scale,
      flags: this.#room.flags,
    });
  }

  /** Puts those of the new tokens into their slots that stay. */
  #keep({ k: keys, v: values, start }: Step): void {
    const { window, sinks } = this.#kept;
    const end = start + keys.shape[2]!;
    const write = (from: number, to: number, slot: number): void => {
      if (to > from) this.#room.write({ k: keys, v: values }, from - start, slot, to - from);
    };
    write(start, Math.min(end, sinks), start);
    for (const [from, to, slot] of this.#stretches(Math.max(start, sinks, end - window), end)) write(from, to, slot);
  }

  /** Tokens in the ring, cut where it closes. */
  #stretches(from: number, to: number): readonly (readonly [from: number, to: number, slot: number])[] {
    if (to <= from) return [];
    const { window, sinks } = this.#kept;
    const slot = (from - sinks) % window;
    const middle = Math.min(to, from + window - slot);
    const second = [middle, to, sinks] as const;
    return [[from, middle, sinks + slot], ...(to > middle ? [second] : [])];
  }

  /** The tokens it has, then the new ones. */
  #inOrder({ k: keys, v: values, start }: Step): Rows {
    const { window, sinks } = this.#kept;
    const first = Math.min(start, sinks);
    const inRing = Math.min(start - first, window);
    const parts = [[0, first, 0] as const, ...this.#stretches(start - inRing, start)];
    const tokens = keys.shape[2]!;
    const join = (held: Tensor, fresh: Tensor): Tensor => {
      const [B, G, , columns] = held.shape as [number, number, number, number];
      const out = empty([B, G, first + inRing + tokens, columns], held.dtype, held.device);
      let at = 0;
      for (const [from, to, slot] of parts) {
        if (to > from) copyRows(held, slot, out, at, to - from);
        at += to - from;
      }
      copyRows(fresh, 0, out, at, tokens);
      return out;
    };
    return { k: join(this.#room.k, keys), v: join(this.#room.v, values) };
  }
}

/**
 * Whether the pattern hides some of what the ring keeps; found once for the decoders of all layers.
 *
 * @throws CapabilityError where it sees what the ring has forgotten.
 */
export const checkPattern = memoised(hidesKept, {
  by: ({ whole, pattern }, { window, sinks }) => [pattern, window, sinks, Object.values(whole)],
});

function hidesKept({ name, whole, pattern }: PlainAttention, kept: KeptInRing): boolean {
  if (pattern === undefined) return false;
  const forgotten = (window: number): boolean =>
    countPairs(
      causal()
        .and(pattern)
        .and(seen({ ...kept, window }).not()),
      whole,
    ) > 0;
  if (!forgotten(kept.window)) return countPairs(seen(kept).and(pattern.not()), whole) > 0;
  let [tooSmall, enough] = [kept.window, whole.S];
  while (enough - tooSmall > 1) {
    const middle = Math.floor((tooSmall + enough) / 2);
    if (forgotten(middle)) tooSmall = middle;
    else enough = middle;
  }
  // a ring of most of the sequence is none
  const remedy =
    enough <= whole.S / 2
      ? `a window of at least ${enough}`
      : 'cache: "fixed", or a sink cache where what it looks back to are the first tokens';
  throw new CapabilityError(
    `${name}: its pattern sees tokens that a ${kept.cache} cache with window ${kept.window}` +
      `${kept.sinks > 0 ? ` and sinks ${kept.sinks}` : ''} has forgotten; use ${remedy}.`,
  );
}

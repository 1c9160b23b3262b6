import type { Expression } from '../../codegen/expression/index.js';
import { attendCached } from '../../ops/attend/cached.js';
import { combineMasks } from '../../ops/attend/plan.js';
import { disposeAll, empty, keep, type Tensor } from '../../tensor/index.js';
import type { ForwardResult } from '../definition.js';
import type { Memory, PlainAttention, Step } from './memory.js';
import { copyRows, Room, type Rows } from './room.js';

/** All tokens in room that is taken once; attention reads them where they lie. */
export class FixedCache implements Memory {
  readonly #room: Room;
  readonly #attention: PlainAttention;
  /** Of steps of one token, which sees all before it, and of more. */
  readonly #masks: { readonly one: Expression | null; readonly many: Expression };

  constructor(attention: PlainAttention, rows: Rows) {
    const { whole, pattern } = attention;
    this.#attention = attention;
    this.#masks = {
      one: pattern?.expression(whole) ?? null,
      many: combineMasks(true, pattern)!.expression(whole),
    };
    this.#room = new Room(rows, whole.S);
  }

  step({ q, k, v, start }: Step): ForwardResult {
    const { whole, scale, score } = this.#attention;
    const tokens = q.shape[2]!;
    const mask = tokens === 1 ? this.#masks.one : this.#masks.many;
    this.#room.write({ k, v }, 0, start, tokens);
    if (mask !== null || score !== undefined) this.#room.look(v);
    return attendCached({
      q,
      k: this.#room.k,
      v: this.#room.v,
      length: start + tokens,
      mask,
      score,
      scale,
      positions: whole,
      nonFinite: this.#room,
    });
  }

  reset(): void {
    this.#room.clear();
  }

  get tensors(): readonly Tensor[] {
    return this.#room.tensors;
  }
}

/** All tokens, for mechanisms with a way of their own to read them: they get a copy of those so far at every step. */
export class CopiedCache implements Memory {
  readonly #room: Room;

  constructor(
    readonly run: (rows: Rows & Pick<Step, 'q'>) => ForwardResult,
    rows: Rows,
    capacity: number,
  ) {
    this.#room = new Room(rows, capacity);
  }

  step({ q, k, v, start }: Step): ForwardResult {
    const length = start + q.shape[2]!;
    this.#room.write({ k, v }, 0, start, q.shape[2]!);
    const soFar = (x: Tensor): Tensor => {
      const [B, G, , columns] = x.shape as [number, number, number, number];
      const copy = empty([B, G, length, columns], 'f32', x.device);
      copyRows(x, 0, copy, 0, length);
      return copy;
    };
    return this.run({ q, k: soFar(this.#room.k), v: soFar(this.#room.v) });
  }

  reset(): void {}

  get tensors(): readonly Tensor[] {
    return this.#room.tensors;
  }
}

/** A state of fixed size: each step returns the next, in as many bytes. */
export class RecurrentState implements Memory {
  #state: Readonly<Record<string, Tensor>> | undefined;

  constructor(
    readonly advance: (
      step: Step,
      state: Readonly<Record<string, Tensor>> | undefined,
    ) => ForwardResult & { readonly state: Readonly<Record<string, Tensor>> },
  ) {}

  step(step: Step): ForwardResult {
    const { state, ...result } = this.advance(step, this.#state);
    const before = this.#state;
    this.#state = keep(state);
    disposeAll(before);
    return result;
  }

  reset(): void {
    disposeAll(this.#state);
    this.#state = undefined;
  }

  get tensors(): readonly Tensor[] {
    return Object.values(this.#state ?? {});
  }
}

import { CapabilityError, FormatError, OptionError, ShapeError } from '../core/errors.js';
import { describe, isList } from '../core/describe.js';
import { isFloat } from '../core/dtype.js';
import { anything, checkValues } from '../core/requirements.js';
import { sameShape, show } from '../core/shape.js';
import { cast } from '../ops/cast.js';
import { commonDevice, disposeAll, noGradient, scope, Tensor } from '../tensor/index.js';
import { byName, checkCall } from './call.js';
import { Groups } from './decode/groups.js';
import type { Step } from './decode/memory.js';
import { madeWith, openDecoder, settleDecoder, type HeadSizes, type Opened } from './decode/open.js';
import {
  checkHeader,
  checkParts,
  checkState,
  lengthsBelow,
  isLengths,
  savedGroups,
  saveDecoder,
  type DecoderState,
} from './decode/state.js';
import type { Setting } from './decode/options.js';
import type { Device } from '../devices/device.js';
import type { AttentionResult, ForwardResult } from './definition.js';

export type { CacheKind, DecoderOptions } from './decode/options.js';
export type { DecoderHeader, DecoderState } from './decode/state.js';

export interface StepOptions {
  /** Further projections of the tokens, as of `run`; the same ones in every step. */
  readonly inputs?: Readonly<Record<string, Tensor>>;
  /** Rows of the decoder that the tokens are of, each once; default all, in their order. */
  readonly rows?: readonly number[];
}

/** The next tokens as they are given. */
type Given = Omit<Step, 'start'>;

/**
 * Causal attention with memory: `step` takes the next tokens' q, k and v, one or many (a prefill), and returns what a pass over
 * the whole sequence would give at these tokens; how tokens are cut into steps changes nothing but rounding. No gradients.
 *
 * A decoder holds B sequences, its rows, each with a length of its own: `step(q, k, v, { rows: [1] })` takes row 1 alone on. Rows
 * are not padded: each begins at the start of its own room and has its own positions, so every row gets what it would get alone,
 * whatever the mechanism makes of positions. Rows that have gone in step are computed in one call.
 *
 * Memory for the tokens is taken at the first step and never grows. With `cache: 'ring'` or `'sink'` tokens see the last
 * `window` tokens, their own included, and the first `sinks`: for a mechanism with a pattern these must be all it sees, any
 * other attends to these alone. Scores get true positions, as rotary keys have them.
 *
 * Mechanisms with a way of their own to read keys get a copy of all keys so far at every step: exact attention under a pattern
 * (flash, sliding-window and most patterns) and recurrences do not.
 *
 * Relative to the paper of the sinks: it renumbers positions within the cache; here they stay those of the text.
 *
 * @example
 * const decoder = mechanism('flash').decoder({ maxLength: 100_000, cache: 'sink', sinks: 4, window: 1024, score: alibi() });
 * decoder.step(q, k, v); // the prompt; then token by token
 * decoder.length; // 8
 * decoder.dispose();
 */
export class Decoder {
  readonly #setting: Setting;
  #opened: Opened | undefined;
  #groups: Groups | undefined;
  #rows: number | undefined;
  #disposed = false;

  /** Use `mechanism.decoder(…)`. @internal */
  constructor(setting: Setting) {
    this.#setting = setting;
    this.#rows = setting.rows;
  }

  /** Tokens so far; of the longest row. */
  get length(): number {
    return Math.max(0, ...this.lengths);
  }

  /** Tokens so far of each row; empty before the first step, where `rows` was not said. */
  get lengths(): readonly number[] {
    return Array.from({ length: this.#rows ?? 0 }, (_, row) => this.#groups?.lengthOf(row) ?? 0);
  }

  /**
   * Attention of the next tokens: `q` `[R,H,T,D]`, `k` `[R,G,T,D]`, `v` `[R,G,T,E]`, R being the number of rows that go on. A step
   * that throws leaves the decoder as it was; where that cannot be, since memory ran out in the middle of a ring or a recurrence, it
   * asks for `reset()`.
   *
   * @throws OptionError beyond `maxLength`, or for rows that it does not have; ShapeError unless all but R and T is as in the first
   * step; CapabilityError, at the first step, for a pattern that a ring is too short for; what `run` throws.
   */
  step(q: Tensor, k: Tensor, v: Tensor, options: StepOptions = {}): AttentionResult {
    return this.stepAt(q, k, v, options, {});
  }

  /** The same for one token, in a step that may be run again: see `Step.place`. @internal */
  stepAt(q: Tensor, k: Tensor, v: Tensor, options: StepOptions, at: Pick<Step, 'place' | 'most'>): AttentionResult {
    const { mechanism, maxLength, options: own } = this.#setting;
    const { name } = mechanism;
    this.#refuseGone();
    checkValues(`${name}: step`, options, { inputs: byName, rows: anything });
    const inputs = Object.entries(options.inputs ?? {}).filter(([, x]) => x !== undefined);
    const given = { q, k, v, inputs: Object.fromEntries(inputs), ...at };
    const rows = this.#rowsOf(options.rows, q);
    this.#check(given, rows);
    const tokens = q.shape[2]!;
    const longest = Math.max(...rows.map((row) => this.#groups?.lengthOf(row) ?? 0));
    if (longest + tokens > maxLength) {
      throw new OptionError(
        `${name}: ${longest} tokens and ${tokens} more exceed the decoder's maxLength of ${maxLength}; ` +
          'make one with a larger maxLength, or reset() it.',
      );
    }
    const result = scope(() => noGradient(() => this.#advance(given, rows)));
    return { notes: [], ...result, drawn: [], seed: own.seed ?? 0 };
  }

  /**
   * Another decoder with the same tokens, which goes on without this one: row i of it is row `rows[i]` of this one, by default each
   * once. What both see is copied, so that `fork([0, 0, 0])` goes on in three ways with a prompt that was computed once.
   *
   * @throws OptionError for rows that it does not have.
   */
  fork(rows?: readonly number[]): Decoder {
    this.#refuseGone();
    const { name } = this.#setting.mechanism;
    const count = this.#rows ?? 0;
    const own = rows ?? Array.from({ length: count }, (_, row) => row);
    if (rows !== undefined) this.#checkRows('fork', rows);
    if (own.length === 0)
      throw new OptionError(`${name}: fork: there are no rows yet; step first, or make another one.`);
    const batch = this.#setting.batch ?? { rows: Array.from({ length: count }, (_, row) => row), of: count };
    const other = new Decoder({
      ...this.#setting,
      rows: own.length,
      batch: { ...batch, rows: own.map((row) => batch.rows[row]!) },
    });
    try {
      if (this.#opened !== undefined) {
        const { whole, device, inputs } = this.#opened;
        const { groups } = other.#open({ ...whole, B: own.length }, device, Object.keys(inputs));
        scope(() => groups.fork(this.#groups!, own));
      }
      return other;
    } catch (error) {
      other.dispose();
      throw error;
    }
  }

  /**
   * Forgets the tokens from `length` on, a number for all rows or one for each. A cache of all tokens goes back to any length, a ring
   * as long as it has not forgotten, and by one token then; a recurrence keeps no state but its last, and goes back to 0 alone.
   *
   * @throws OptionError for lengths above what there is; CapabilityError where the memory does not go back that far. Nothing has changed
   * then.
   */
  truncate(length: number | readonly number[]): void {
    this.#refuseGone();
    const { name } = this.#setting.mechanism;
    const to = lengthsBelow(`${name}: truncate`, length, this.lengths);
    this.apart(to);
    this.rewind(to);
  }

  /** Makes ready for `rewind` to these lengths, which then needs no memory. @throws CapabilityError as `truncate`. @internal */
  apart(lengths: readonly number[]): void {
    const stuck = this.#groups?.apart(lengths);
    if (stuck === undefined) return;
    throw new CapabilityError(
      `${this.#setting.mechanism.name}: truncate: of ${stuck.from} tokens its memory does not go back to ${stuck.to}, since it has forgotten what was there; ` +
        'fork() before the tokens that may be taken back, and go on with the fork.',
    );
  }

  /**
   * Copies of all that it has of its tokens, which the caller disposes of, and a header that JSON can hold: what `import` of a decoder
   * made alike takes, on any device.
   */
  export(): DecoderState {
    this.#refuseGone();
    const { name } = this.#setting.mechanism;
    if (this.length === 0) throw new OptionError(`${name}: export: there are no tokens yet.`);
    return scope(() => saveDecoder(madeWith(this.#setting, this.#opened!), this.#groups!, this.#rows!));
  }

  /**
   * Takes in copies of what another decoder exported, in place of the tokens so far; the caller disposes of the tensors.
   *
   * @throws FormatError for the state of a decoder that was made otherwise (another mechanism, option, cache or size of heads; a longer
   * `maxLength` may differ), or of another version; OptionError for another number of rows. Nothing has changed then.
   */
  import(state: DecoderState): void {
    if (this.#disposed) this.#refuseGone();
    const who = `${this.#setting.mechanism.name}: import`;
    checkParts(who, state);
    const header = checkHeader<DecoderState['header']>(who, state.header, { format: 'subquad decoder', version: 1 });
    if (!isLengths(header.lengths)) throw new FormatError(`${who}: the state has no lengths of rows.`);
    if (state.tensors.size === 0) throw new FormatError(`${who}: the state has no tensors.`);
    const rows = header.lengths.length;
    if (this.#rows !== undefined && rows !== this.#rows) {
      throw new OptionError(
        `${who}: the state has ${rows} rows and the decoder ${this.#rows}; make one with rows: ${rows}.`,
      );
    }
    const device = commonDevice(who, [...state.tensors.values(), ...(this.#opened?.read ?? [])]);
    try {
      const { H, G, D, E, inputs } = header.of as unknown as HeadSizes & { readonly inputs: readonly string[] };
      const { groups, opened } = this.#open(this.#opened?.whole ?? { B: rows, H, G, D, E }, device, inputs);
      checkState(who, madeWith(this.#setting, opened), this.#setting.maxLength, { ...state, header });
      scope(() => groups.replace(savedGroups({ ...state, header })));
    } catch (error) {
      if (this.length === 0) this.#close();
      throw error;
    }
  }

  /** What steps of one token of all rows read and write, where these are alike but for their place; undefined where not. @internal */
  get repeated(): object | undefined {
    return this.#groups?.repeats(this.#rows ?? 0) ? this.#groups.memory : undefined;
  }

  /** Such a step was run again by whoever recorded it. @internal */
  ranAgain(): void {
    this.#groups!.ranAgain();
  }

  /** Forgets all tokens and keeps the memory: for the next sequences. */
  reset(): void {
    this.#groups?.reset();
  }

  /** Frees keys, values and state. Idempotent. */
  dispose(): void {
    this.#close();
    this.#disposed = true;
  }

  /** As `step` for heads of these sizes would refuse the first one. @internal */
  expect(heads: HeadSizes): void {
    const { maxLength } = this.#setting;
    settleDecoder(this.#setting, { ...heads, L: maxLength, S: maxLength });
  }

  /** Forgets the tokens of a step that failed elsewhere, or asks for `reset()` where it cannot. @internal */
  rewind(lengths: readonly number[]): void {
    this.#groups?.undo(lengths);
  }

  #refuseGone(): void {
    const { name } = this.#setting.mechanism;
    if (this.#disposed) throw new OptionError(`${name}: the decoder was disposed; make another one.`);
    if (this.#groups?.lost !== true) return;
    throw new OptionError(`${name}: a step failed half way, so what came before is lost; reset() the decoder.`);
  }

  /** What the first step settles, by this one if it is the first. */
  #open(
    sizes: HeadSizes,
    device: Device,
    inputs: readonly string[],
  ): { readonly groups: Groups; readonly opened: Opened } {
    const opened = (this.#opened ??= scope(() => openDecoder(this.#setting, sizes, device, inputs)));
    const groups = (this.#groups ??= new Groups(opened.memoryOf));
    this.#rows = sizes.B;
    return { groups, opened };
  }

  #close(): void {
    this.#groups?.close();
    disposeAll(this.#opened?.drawn);
    this.#groups = undefined;
    this.#opened = undefined;
    this.#rows = this.#setting.rows;
  }

  #rowsOf(given: readonly number[] | undefined, q: Tensor): readonly number[] {
    if (given !== undefined) {
      this.#checkRows('step', given, true);
      return given;
    }
    // what q is will be looked at
    const count = this.#rows ?? (q as Partial<Tensor> | undefined)?.shape?.[0] ?? 1;
    return Array.from({ length: count }, (_, row) => row);
  }

  #checkRows(what: string, rows: readonly number[], once = false): void {
    const count = this.#rows ?? 0;
    const known = isList(rows) && rows.length > 0;
    const fits = known && [...rows].every((row) => Number.isInteger(row) && row >= 0 && row < count);
    if (fits && !(once && new Set(rows).size < rows.length)) return;
    throw new OptionError(
      `${this.#setting.mechanism.name}: ${what}: rows must be numbers of its ${count} rows, from 0 on${once ? ', each once' : ''}; ` +
        `got ${describe(rows)}.${count === 0 ? ' Make the decoder with rows: B.' : ''}`,
    );
  }

  /** What the first step passed is not looked at again. */
  #check({ q, k, v, inputs }: Given, rows: readonly number[]): void {
    const { mechanism, options } = this.#setting;
    const { name, definition } = mechanism;
    const opened = this.#opened;
    if (opened === undefined) {
      checkCall(definition, { q, k, v }, { ...options, inputs });
      if (q.shape[0] === rows.length) return;
      throw new ShapeError(`${name}: a step has tokens of ${rows.length} rows; got q=${show(q.shape)}.`);
    }
    const given = Object.entries<Tensor>({ q, k, v, ...inputs });
    const wrong = given.find(([, x]) => !(x instanceof Tensor && isFloat(x.dtype)));
    if (wrong)
      throw new OptionError(`${name}: ${wrong[0]} must be a tensor of f32, f16 or bf16, as in the first step.`);
    const device = commonDevice(name, [...given.map(([, x]) => x), ...opened.read]);
    if (device !== opened.device) throw new OptionError(`${name}: a step must be on the device of the first one.`);
    const { H, G, D, E } = opened.whole;
    const R = rows.length;
    const shapes = (T: number | 'T') => ({ q: [R, H, T, D], k: [R, G, T, D], v: [R, G, T, E] });
    const of = { q: 'q', k: 'k', v: 'v', ...opened.inputs } as Readonly<Record<string, 'q' | 'k' | 'v'>>;
    const own = shapes(q.shape[2] ?? 0) as Readonly<Record<'q' | 'k' | 'v', readonly number[]>>;
    const fits = given.every(([one, x]) => Object.hasOwn(of, one) && sameShape(x.shape, own[of[one]!]));
    const names = Object.keys(of);
    if (fits && given.length === names.length) return;
    const rule = names.map((one) => `${one}=[${shapes('T')[of[one]!].join()}]`);
    throw new ShapeError(
      `${name}: a step must be ${rule.slice(0, -1).join(', ')} and ${rule.at(-1)}, as the first one; ` +
        `got ${given.map(([one, x]) => `${one}=${show(x.shape)}`).join(', ')}.`,
    );
  }

  #advance(given: Given, rows: readonly number[]): ForwardResult {
    const wide = (x: Tensor): Tensor => (x.dtype === 'f32' ? x : cast(x, 'f32'));
    const inputs = Object.fromEntries(Object.entries(given.inputs).map(([name, x]) => [name, wide(x)]));
    const { q } = given;
    const step = { ...given, q: wide(q), k: wide(given.k), v: wide(given.v), inputs };
    const result = this.#take(step, rows);
    return q.dtype === 'f32' ? result : { ...result, out: cast(result.out, q.dtype) };
  }

  #take(step: Given, rows: readonly number[]): ForwardResult {
    const { q, k, v, inputs } = step;
    const sizes = { B: this.#rows ?? rows.length, H: q.shape[1]!, G: k.shape[1]!, D: q.shape[3]!, E: v.shape[3]! };
    try {
      const { groups } = this.#open(sizes, q.device, Object.keys(inputs));
      return groups.step(step, rows);
    } catch (error) {
      if (this.length === 0) this.#close();
      throw error;
    }
  }
}

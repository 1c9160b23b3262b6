import { checkParts, lengthsBelow, shapeReasons } from '../attention/decode/state.js';
import { CapabilityError, FormatError, OptionError } from '../core/errors.js';
import { checkValues, wholeFrom } from '../core/requirements.js';
import { show } from '../core/shape.js';
import type { Embedding, Module } from '../nn/index.js';
import { concat, reshape, slice } from '../ops/index.js';
import { commonDevice, disposeAll, keep, noGradient, scope, share, type Tensor } from '../tensor/index.js';
import type { ModelState } from './model.js';
import type { ModelConfig } from './model-config.js';
import { inOrder, PREFILL, rowsBy, tokensBetween, tokensOfRows } from './next-tokens.js';
import { checkSession, headerOf, markOf, type SessionState } from './session-state.js';
import type { Stack } from './stack.js';
import { sessionOptions, type SessionOptions, type TextSession } from './text-session.js';

/** What a session asks of its model. */
export interface SegmentModel extends Module {
  readonly config: ModelConfig;
  readonly stack: Stack;
  readonly ends: { readonly embedding: Pick<Embedding, 'weight'> };
  logits(tokens: Tensor, options: { readonly state: ModelState | undefined }): { logits: Tensor; state: ModelState };
}

/** What each row has of its text, `[1, …]` each; undefined at its start. */
type States = readonly (ModelState | undefined)[];

/**
 * Texts that a model with memory goes on with: their memories are the caches, and each step is a segment. Rows whose memories are of
 * one size, as they are once they are full, go through the layers together.
 *
 * @throws CapabilityError where nothing of the text would be left from one step to the next, or for a mechanism that does not decode;
 * OptionError for the options of a cache.
 */
export class SegmentSession implements TextSession {
  readonly #model: SegmentModel;
  readonly #maxLength: number;
  #states: States;
  #lengths: readonly number[];
  #disposed = false;

  constructor(model: SegmentModel, options: SessionOptions) {
    checkValues('session', options, { ...sessionOptions, maxLength: wholeFrom(1) }, ['maxLength']);
    const { maxLength, rows = 1, ...cache } = options;
    const { memory, mechanism, kind } = model.config;
    // window and sinks belong to a cache
    const given = Object.entries({ cache: undefined, ...cache }).find(([, value]) => value !== undefined);
    if (given !== undefined) {
      throw new OptionError(`openSession: the memory of kind ${kind} is its cache; leave ${given[0]} out.`);
    }
    if (memory.length === 0 && memory.compressed === 0) {
      throw new CapabilityError('session: the model was made without memory, so each step forgets those before.');
    }
    if (model.stack.layers.some(({ attention }) => attention?.mechanism.definition.supports.decode === false)) {
      throw new CapabilityError(
        `session: ${mechanism.name} does not decode step by step; run it on the whole sequence.`,
      );
    }
    this.#model = model;
    this.#maxLength = maxLength;
    this.#lengths = new Array<number>(rows).fill(0);
    this.#states = this.#lengths.map(() => undefined);
  }

  get rows(): number {
    return this.#lengths.length;
  }

  get length(): number {
    return Math.max(...this.#lengths);
  }

  get lengths(): readonly number[] {
    return this.#lengths;
  }

  step(tokens: ArrayLike<number> | readonly ArrayLike<number>[]): Tensor {
    this.#refuseGone();
    const { vocabulary } = this.#model.config;
    const rule = { vocabulary, lengths: this.#lengths, maxLength: this.#maxLength };
    const { lists, single } = tokensOfRows(tokens, rule);
    const { logits, states } = scope(() =>
      noGradient(() => {
        const groups = rowsBy(lists.length, (row) => `${lists[row]!.length} ${sizesOf(this.#states[row])}`);
        const parts = groups.map((rows) => ({
          rows,
          ...this.#advance(
            rows,
            rows.map((row) => lists[row]!),
          ),
        }));
        const all = inOrder(parts.map(({ rows, logits: x }) => ({ rows, x })));
        const next = new Array<ModelState>(lists.length);
        for (const { rows, state } of parts) rows.forEach((row, i) => (next[row] = rowOf(state, i, rows.length)));
        return { logits: reshape(all, single ? [vocabulary] : [lists.length, vocabulary]), states: next };
      }),
    );
    this.#become(
      states,
      this.#lengths.map((length, row) => length + lists[row]!.length),
    );
    return logits;
  }

  fork(rows: readonly number[] = this.#lengths.map((_, row) => row)): SegmentSession {
    this.#refuseGone();
    if (!Array.isArray(rows) || rows.length === 0 || !rows.every((row) => row in this.#lengths)) {
      throw new OptionError(`session: fork: rows must be numbers of its ${this.rows} rows, from 0 on.`);
    }
    const other = new SegmentSession(this.#model, { maxLength: this.#maxLength, rows: rows.length });
    // memories are never changed, so both may hold them
    const states = rows.map((row) => this.#states[row] && mapped(this.#states[row], (x) => share(x)));
    other.#become(
      states,
      rows.map((row) => this.#lengths[row]!),
    );
    return other;
  }

  truncate(length: number | readonly number[]): void {
    this.#refuseGone();
    const to = lengthsBelow('session: truncate', length, this.#lengths);
    const row = to.findIndex((one, i) => one !== 0 && one !== this.#lengths[i]);
    if (row >= 0) {
      throw new CapabilityError(
        `session: truncate: a memory of ${this.#lengths[row]} tokens does not go back to ${to[row]}, since it holds the last ones; ` +
          'fork() before the tokens that may be taken back, and go on with the fork.',
      );
    }
    disposeAll(this.#states.filter((_, i) => to[i] === 0));
    this.#states = this.#states.map((state, i) => (to[i] === 0 ? undefined : state));
    this.#lengths = [...to];
  }

  async export(): Promise<SessionState> {
    this.#refuseGone();
    const weights = await markOf(this.#model);
    this.#refuseGone();
    if (this.length === 0) throw new OptionError('session: export: there are no tokens yet.');
    const tensors = this.#states.flatMap((state, row) =>
      Object.entries(state ?? {}).map(([name, x]) => [`${row}.${name}`, share(x)] as const),
    );
    const shapes = Object.fromEntries(tensors.map(([name, { shape }]) => [name, shape]));
    const header = headerOf({ config: this.#model.config, weights }, { lengths: this.#lengths, shapes });
    return { header, tensors: new Map(tensors) };
  }

  async import(state: SessionState): Promise<void> {
    this.#refuseGone();
    checkParts('session: import', state);
    const { header, tensors } = state;
    commonDevice('session: import', [this.#model.ends.embedding.weight.value, ...tensors.values()]);
    const weights = await markOf(this.#model);
    this.#refuseGone();
    const given = checkSession(header, { config: this.#model.config, weights }, this.rows);
    const { lengths, shapes = {} } = given;
    const reasons = shapeReasons({ lengths, shapes }, tensors);
    const { width } = this.#model.config;
    for (const [name, shape] of Object.entries(shapes)) {
      if (shape.length !== 3 || shape[2] !== width)
        reasons.push(`${name} must be [1,rows,${width}]; got ${show(shape)}`);
    }
    if (this.#maxLength < Math.max(...lengths)) {
      reasons.push(`${Math.max(...lengths)} tokens are more than the maxLength of ${this.#maxLength}`);
    }
    if (reasons.length > 0) throw new FormatError(`session: import: the state does not fit: ${reasons.join('; ')}.`);
    const states = lengths.map((length, row) => {
      if (length === 0) return undefined;
      const own = Object.keys(shapes).filter((name) => name.startsWith(`${row}.`));
      return Object.fromEntries(own.map((name) => [name.slice(`${row}.`.length), share(tensors.get(name)!)]));
    });
    this.#become(states, lengths);
  }

  reset(): void {
    this.#become(
      this.#lengths.map(() => undefined),
      this.#lengths.map(() => 0),
    );
  }

  dispose(): void {
    this.reset();
    this.#disposed = true;
  }

  #refuseGone(): void {
    if (this.#disposed) throw new OptionError('session: it was disposed; open another one.');
  }

  #become(states: States, lengths: readonly number[]): void {
    const before = this.#states;
    this.#states = keep(states);
    disposeAll(before);
    this.#lengths = lengths;
  }

  /** Logits after the next tokens of some rows, as many for each, and their state. */
  #advance(
    rows: readonly number[],
    lists: readonly Int32Array[],
  ): { readonly logits: Tensor; readonly state: ModelState } {
    const { device } = this.#model.ends.embedding.weight.value;
    const most = Math.min(PREFILL, this.#model.config.length);
    const before = together(rows.map((row) => this.#states[row]));
    let last: { logits: Tensor; state: ModelState } | undefined;
    for (let start = 0; start < lists[0]!.length; start += most) {
      const next = this.#model.logits(tokensBetween(lists, start, start + most, device), {
        state: last?.state ?? before,
      });
      disposeAll(last);
      last = next;
    }
    return { logits: slice(last!.logits, { axis: 1, start: -1 }), state: last!.state };
  }
}

const sizesOf = (state: ModelState = {}): string =>
  Object.entries(state)
    .map(([name, { shape }]) => `${name} ${show(shape)}`)
    .join();

const mapped = (state: ModelState, change: (x: Tensor, name: string) => Tensor): ModelState =>
  Object.fromEntries(Object.entries(state).map(([name, x]) => [name, change(x, name)]));

/** The states of rows as that of one batch. */
function together(states: States): ModelState | undefined {
  const [first] = states;
  if (states.length === 1 || first === undefined) return first;
  return mapped(first, (_, name) => concat(states.map((state) => state![name]!)));
}

/** What row `i` of a batch has. */
const rowOf = (state: ModelState, i: number, count: number): ModelState =>
  count === 1 ? state : mapped(state, (x) => slice(x, { start: i, end: i + 1 }));

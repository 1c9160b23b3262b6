import { checkParts, lengthsBelow } from '../attention/decode/state.js';
import { FormatError, OptionError } from '../core/errors.js';
import { checkValues, wholeFrom } from '../core/requirements.js';
import type { Embedding, Module } from '../nn/index.js';
import { reshape, slice } from '../ops/index.js';
import { commonDevice, noGradient, scope, tensor, type Tensor } from '../tensor/index.js';
import type { ModelConfig } from './model-config.js';
import { inOrder, rowsBy, tokensBetween, tokensOfRows } from './next-tokens.js';
import { checkSession, headerOf, markOf, type SessionState } from './session-state.js';
import type { Stack } from './stack.js';
import { sessionOptions, type SessionOptions, type TextSession } from './text-session.js';

/** What such a session asks of its model. */
export interface WholeTextModel extends Module {
  readonly config: ModelConfig;
  readonly stack: Stack;
  readonly ends: { readonly embedding: Pick<Embedding, 'weight'> };
  logits(tokens: Tensor): Tensor;
}

/**
 * Texts that a model goes on with by computing all of them again at every step: for layers in which what is known of tokens before changes
 * with each token after, as in Perceiver AR, whose latents are the last rows. What it keeps are the tokens, so it goes back to any length.
 *
 * @throws OptionError for the options of a cache, and a `maxLength` that the positions do not reach.
 */
export class WholeSession implements TextSession {
  readonly #model: WholeTextModel;
  readonly #maxLength: number;
  #texts: readonly Int32Array[];
  #disposed = false;

  constructor(model: WholeTextModel, options: SessionOptions) {
    checkValues('session', options, { ...sessionOptions, maxLength: wholeFrom(1) }, ['maxLength']);
    const { maxLength, rows = 1, ...cache } = options;
    const given = Object.entries({ ...cache }).find(([, value]) => value !== undefined);
    if (given !== undefined) {
      throw new OptionError(
        `openSession: this model computes its texts anew at every step and has no cache; leave ${given[0]} out.`,
      );
    }
    const against = model.stack.positions.against(maxLength);
    if (against !== undefined) throw new OptionError(`session: ${against}; got maxLength ${maxLength}.`);
    this.#model = model;
    this.#maxLength = maxLength;
    this.#texts = Array.from({ length: rows }, () => new Int32Array(0));
  }

  get rows(): number {
    return this.#texts.length;
  }

  get length(): number {
    return Math.max(...this.lengths);
  }

  get lengths(): readonly number[] {
    return this.#texts.map(({ length }) => length);
  }

  step(tokens: ArrayLike<number> | readonly ArrayLike<number>[]): Tensor {
    this.#refuseGone();
    const { vocabulary } = this.#model.config;
    const rule = { vocabulary, lengths: this.lengths, maxLength: this.#maxLength };
    const { lists, single } = tokensOfRows(tokens, rule);
    const texts = this.#texts.map((text, row) => joined(text, lists[row]!));
    const logits = scope(() => {
      const groups = rowsBy(texts.length, (row) => texts[row]!.length);
      const last = groups.map((rows) => ({ rows, x: this.#last(rows.map((row) => texts[row]!)) }));
      return reshape(inOrder(last), single ? [vocabulary] : [texts.length, vocabulary]);
    });
    this.#texts = texts;
    return logits;
  }

  fork(rows: readonly number[] = this.#texts.map((_, row) => row)): WholeSession {
    this.#refuseGone();
    if (!Array.isArray(rows) || rows.length === 0 || !rows.every((row) => row in this.#texts)) {
      throw new OptionError(`session: fork: rows must be numbers of its ${this.rows} rows, from 0 on.`);
    }
    const other = new WholeSession(this.#model, { maxLength: this.#maxLength, rows: rows.length });
    other.#texts = rows.map((row) => this.#texts[row]!);
    return other;
  }

  truncate(length: number | readonly number[]): void {
    this.#refuseGone();
    const to = lengthsBelow('session: truncate', length, this.lengths);
    this.#texts = this.#texts.map((text, row) => text.slice(0, to[row]));
  }

  async export(): Promise<SessionState> {
    this.#refuseGone();
    const weights = await markOf(this.#model);
    this.#refuseGone();
    if (this.length === 0) throw new OptionError('session: export: there are no tokens yet.');
    const { device } = this.#model.ends.embedding.weight.value;
    const all = this.#texts.reduce(joined);
    const header = headerOf({ config: this.#model.config, weights }, { lengths: this.lengths });
    return { header, tensors: new Map([['tokens', tensor(all, [all.length], { device })]]) };
  }

  async import(state: SessionState): Promise<void> {
    this.#refuseGone();
    checkParts('session: import', state);
    const { header, tensors } = state;
    commonDevice('session: import', [this.#model.ends.embedding.weight.value, ...tensors.values()]);
    const weights = await markOf(this.#model);
    const { lengths } = checkSession(header, { config: this.#model.config, weights }, this.rows);
    const total = lengths.reduce((sum, one) => sum + one, 0);
    const given = tensors.get('tokens');
    if (given?.dtype !== 'i32' || given.rank !== 1 || given.size !== total || tensors.size !== 1) {
      throw new FormatError(`session: import: the state must have the ${total} tokens of its rows, and nothing else.`);
    }
    if (Math.max(...lengths) > this.#maxLength) {
      throw new FormatError(
        `session: import: ${Math.max(...lengths)} tokens are more than the maxLength of ${this.#maxLength}.`,
      );
    }
    const all = (await given.data()) as Int32Array;
    this.#refuseGone();
    let start = 0;
    this.#texts = lengths.map((length) => all.slice(start, (start += length)));
  }

  reset(): void {
    this.#texts = this.#texts.map(() => new Int32Array(0));
  }

  dispose(): void {
    this.reset();
    this.#disposed = true;
  }

  #refuseGone(): void {
    if (this.#disposed) throw new OptionError('session: it was disposed; open another one.');
  }

  /** Logits after the last token of texts of one length, `[rows, 1, vocabulary]`. */
  #last(texts: readonly Int32Array[]): Tensor {
    const { device } = this.#model.ends.embedding.weight.value;
    return scope(() => {
      const tokens = tokensBetween(texts, 0, texts[0]!.length, device);
      return slice(
        noGradient(() => this.#model.logits(tokens)),
        { axis: 1, start: -1 },
      );
    });
  }
}

function joined(a: Int32Array, b: Int32Array): Int32Array {
  const all = new Int32Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

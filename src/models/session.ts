import type { Attention } from '../nn/index.js';
import type { CacheKind, Decoder } from '../attention/index.js';
import { CapabilityError, OptionError } from '../core/errors.js';
import { cast, reshape, slice } from '../ops/index.js';
import { noGradient, scope, tensor, type Tensor } from '../tensor/index.js';
import type { Transformer } from './transformer.js';

export interface SessionOptions {
  /** Tokens it will see at most. */
  readonly maxLength: number;
  /** What is kept of the tokens so far; see `DecoderOptions`. Not for mechanisms with a state of fixed size. */
  readonly cache?: CacheKind;
  readonly window?: number;
  readonly sinks?: number;
}

/** A text that a model goes on with. */
export interface TextSession {
  /** Tokens so far. */
  readonly length: number;
  /** Logits of the token after `tokens`, `[vocabulary]`; the caller disposes of them. */
  step(tokens: ArrayLike<number>): Tensor;
  /** Forgets the text. */
  reset(): void;
  /** Frees the caches, not the model. Idempotent. */
  dispose(): void;
}

/** Tokens of a prompt that go through the layers at a time. */
const PREFILL = 512;

/**
 * One text that a decoder goes on with, token by token: a cache for each layer, allocated once. What `step` gives equals `logits` of
 * the whole text at its last token, up to rounding, where the cache keeps all that the mechanism sees.
 *
 * @throws CapabilityError for a mechanism or position that does not decode step by step; OptionError for a `maxLength` beyond learned
 * positions.
 */
export class Session implements TextSession {
  readonly #model: Transformer;
  readonly #options: SessionOptions;
  readonly #decoders: ReadonlyMap<Attention, Decoder>;
  #length = 0;

  constructor(model: Transformer, options: SessionOptions) {
    const { kind, position } = model.config;
    if (kind !== 'decoder' || position.method === 'transformer-xl') {
      throw new CapabilityError(
        `session: kind ${kind} with position ${position.method} does not decode with caches; take a decoder with another position.`,
      );
    }
    if (position.method === 'learned' && options.maxLength > model.length) {
      throw new OptionError(
        `session: the model learned ${model.length} positions, so a text has at most ${model.length} tokens; got maxLength ${options.maxLength}.`,
      );
    }
    this.#model = model;
    this.#options = options;
    this.#decoders = new Map(
      model.stack.layers.map(({ attention }) => [
        attention,
        attention.mechanism.decoder({ ...attention.callOptions(), ...options } as never),
      ]),
    );
  }

  get length(): number {
    return this.#length;
  }

  /** @throws OptionError for no tokens, or more than `maxLength` in all. */
  step(tokens: ArrayLike<number>): Tensor {
    const { maxLength } = this.#options;
    if (tokens.length === 0) throw new OptionError('session: a step takes at least one token.');
    if (this.#length + tokens.length > maxLength) {
      throw new OptionError(
        `session: ${this.#length} tokens and ${tokens.length} more exceed its maxLength of ${maxLength}; make one with more.`,
      );
    }
    const all = Int32Array.from(tokens);
    for (let start = 0; start < all.length - PREFILL; start += PREFILL) {
      this.#advance(all.subarray(start, start + PREFILL)).dispose();
    }
    const rest = all.length % PREFILL || PREFILL;
    const last = this.#advance(all.subarray(all.length - rest));
    return scope(() => {
      const { ends } = this.#model;
      const row = slice(last, { axis: 1, start: -1 });
      last.dispose();
      const logits = noGradient(() => ends.logits(cast(row, 'f32')));
      return reshape(logits, [ends.config.vocabulary]);
    });
  }

  /** Forgets the text and keeps the memory. */
  reset(): void {
    for (const decoder of this.#decoders.values()) decoder.reset();
    this.#length = 0;
  }

  dispose(): void {
    for (const decoder of this.#decoders.values()) decoder.dispose();
  }

  /** What the layers give for the next tokens, normalised, `[1, T, width]`. */
  #advance(tokens: Int32Array): Tensor {
    const { stack, ends } = this.#model;
    const device = ends.embedding.weight.value.device;
    const offset = this.#length;
    const attend = (attention: Attention, rows: Tensor): Tensor => {
      const { q, k, v } = attention.project(rows, { offset });
      return attention.combine(this.#decoders.get(attention)!.step(q, k, v).out);
    };
    const out = scope(() =>
      noGradient(() =>
        stack.forward(this.#model.embed(tensor(tokens, [1, tokens.length], { device }), offset), { attend }),
      ),
    );
    this.#length += tokens.length;
    return out;
  }
}

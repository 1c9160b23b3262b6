import type { Attention } from '../nn/index.js';
import type { CacheKind, Decoder } from '../attention/index.js';
import { CapabilityError, checkOptions, OptionError } from '../core/errors.js';
import { cast, reshape, slice } from '../ops/index.js';
import { noGradient, scope, tensor, type Tensor } from '../tensor/index.js';
import { nextTokens, pieces, PREFILL } from './next-tokens.js';
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
  /**
   * Logits of the token after `tokens`, `[vocabulary]`; the caller disposes of them. A step that throws leaves the text as it was.
   *
   * @throws OptionError for what are no tokens of the vocabulary, and more than `maxLength` in all.
   */
  step(tokens: ArrayLike<number>): Tensor;
  /** Forgets the text. */
  reset(): void;
  /** Frees the caches, not the model. Idempotent. */
  dispose(): void;
}

/**
 * One text that a decoder goes on with, token by token: a cache for each layer, allocated once. What `step` gives equals `logits` of
 * the whole text at its last token, up to rounding, where the cache keeps all that the mechanism sees.
 *
 * @throws CapabilityError for a mechanism or position that does not decode step by step, or not with this cache; OptionError for a
 * `maxLength` that the mechanism or the positions do not reach, or at which those of tokens before would change.
 */
export class Session implements TextSession {
  readonly #model: Transformer;
  readonly #maxLength: number;
  readonly #decoders: ReadonlyMap<Attention, Decoder>;
  #length = 0;
  #disposed = false;

  constructor(model: Transformer, options: SessionOptions) {
    checkOptions('session', options, ['maxLength', 'cache', 'window', 'sinks']);
    const { kind } = model.config;
    const { layers } = model.stack;
    for (const { attention } of layers) {
      const method = attention.positions?.method;
      if (kind !== 'decoder' || method === 'transformer-xl') {
        throw new CapabilityError(
          `session: kind ${kind} with position ${method} does not decode with caches; take a decoder with another position.`,
        );
      }
      const against = attention.positions?.against(options.maxLength);
      if (against !== undefined) throw new OptionError(`session: ${against}; got maxLength ${options.maxLength}.`);
    }
    this.#model = model;
    this.#maxLength = options.maxLength;
    this.#decoders = new Map(
      layers.map(({ attention }) => [
        attention,
        attention.mechanism.decoder({ ...attention.callOptions(), ...options }),
      ]),
    );
    for (const [{ heads, kvHeads, headDim }, decoder] of this.#decoders) {
      decoder.expect({ B: 1, H: heads, G: kvHeads, D: headDim, E: headDim });
    }
  }

  get length(): number {
    return this.#length;
  }

  step(tokens: ArrayLike<number>): Tensor {
    if (this.#disposed) throw new OptionError('session: it was disposed; open another one.');
    const { ends } = this.#model;
    const { vocabulary } = ends.config;
    const before = this.#length;
    const all = nextTokens(tokens, { vocabulary, length: before, maxLength: this.#maxLength });
    try {
      return scope(() => {
        let last: Tensor | undefined;
        for (const piece of pieces(all, PREFILL)) {
          last?.dispose();
          last = this.#advance(piece);
        }
        const row = slice(last!, { axis: 1, start: -1 });
        return reshape(
          noGradient(() => ends.logits(cast(row, 'f32'))),
          [vocabulary],
        );
      });
    } catch (error) {
      for (const decoder of this.#decoders.values()) decoder.rewind([before]);
      this.#length = before;
      throw error;
    }
  }

  /** Forgets the text and keeps the memory. */
  reset(): void {
    for (const decoder of this.#decoders.values()) decoder.reset();
    this.#length = 0;
  }

  dispose(): void {
    for (const decoder of this.#decoders.values()) decoder.dispose();
    this.#disposed = true;
  }

  /** What the layers give for the next tokens, normalised, `[1, T, width]`. */
  #advance(tokens: Int32Array): Tensor {
    const { stack, ends } = this.#model;
    const device = ends.embedding.weight.value.device;
    const offset = this.#length;
    const attend = (attention: Attention, rows: Tensor): Tensor => {
      const { q, k, v, inputs } = attention.project(rows, { offset });
      return attention.combine(this.#decoders.get(attention)!.step(q, k, v, { inputs }).out);
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

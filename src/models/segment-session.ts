import { CapabilityError, checkOptions, OptionError } from '../core/errors.js';
import { reshape, slice } from '../ops/index.js';
import { disposeAll, keep, noGradient, scope, tensor, type Tensor } from '../tensor/index.js';
import type { ModelState } from './model.js';
import { nextTokens, pieces, PREFILL } from './next-tokens.js';
import type { TextSession } from './session.js';
import type { TransformerXl } from './transformer-xl.js';

/**
 * One text that a model with memory goes on with: its memory is the cache, and each step is a segment.
 *
 * @throws CapabilityError where nothing of the text would be left from one step to the next, or for a mechanism that does not decode.
 */
export class SegmentSession implements TextSession {
  readonly #model: TransformerXl;
  readonly #maxLength: number;
  #state: ModelState | undefined;
  #length = 0;
  #disposed = false;

  constructor(model: TransformerXl, options: { readonly maxLength: number }) {
    checkOptions('session', options, ['maxLength']);
    const { maxLength } = options;
    if (!Number.isSafeInteger(maxLength) || maxLength < 1) {
      throw new OptionError(`session: maxLength must be a whole number of at least 1; got ${maxLength}.`);
    }
    const { memory, mechanism } = model.config;
    if (memory.length === 0 && memory.compressed === 0) {
      throw new CapabilityError('session: the model was made without memory, so each step forgets those before.');
    }
    if (model.stack.layers.some(({ attention }) => attention.mechanism.definition.supports.decode === false)) {
      throw new CapabilityError(
        `session: ${mechanism.name} does not decode step by step; run it on the whole sequence.`,
      );
    }
    this.#model = model;
    this.#maxLength = maxLength;
  }

  get length(): number {
    return this.#length;
  }

  step(tokens: ArrayLike<number>): Tensor {
    if (this.#disposed) throw new OptionError('session: it was disposed; open another one.');
    const model = this.#model;
    const { vocabulary } = model;
    const all = nextTokens(tokens, { vocabulary, length: this.#length, maxLength: this.#maxLength });
    const { device } = model.ends.embedding.weight.value;
    const before = this.#state;
    const { logits, state } = scope(() =>
      noGradient(() => {
        let last: ReturnType<TransformerXl['logits']> | undefined;
        for (const piece of pieces(all, Math.min(PREFILL, model.length))) {
          const input = tensor(piece, [1, piece.length], { device });
          const next = model.logits(input, { state: last?.state ?? before });
          disposeAll(last);
          last = next;
        }
        const row = slice(last!.logits, { axis: 1, start: -1 });
        return { logits: reshape(row, [vocabulary]), state: last!.state };
      }),
    );
    this.#state = keep(state);
    disposeAll(before);
    this.#length += all.length;
    return logits;
  }

  reset(): void {
    disposeAll(this.#state);
    this.#state = undefined;
    this.#length = 0;
  }

  dispose(): void {
    this.reset();
    this.#disposed = true;
  }
}

import { OptionError } from '../core/errors.js';
import { reshape, slice } from '../ops/index.js';
import { disposeAll, keep, noGradient, scope, tensor, type Tensor } from '../tensor/index.js';
import type { ModelState } from './model.js';
import type { TextSession } from './session.js';
import type { TransformerXl } from './transformer-xl.js';

/** Tokens of a prompt that go through the layers at a time, where a segment is not shorter. */
const PREFILL = 512;

/** One text that a model with memory goes on with: its memory is the cache. */
export class SegmentSession implements TextSession {
  readonly #model: TransformerXl;
  #state: ModelState | undefined;
  #length = 0;

  constructor(model: TransformerXl) {
    this.#model = model;
  }

  get length(): number {
    return this.#length;
  }

  step(tokens: ArrayLike<number>): Tensor {
    if (tokens.length === 0) throw new OptionError('session: a step takes at least one token.');
    const all = Int32Array.from(tokens);
    const most = Math.min(PREFILL, this.#model.length);
    let last: Tensor | undefined;
    for (let start = 0; start < all.length; start += most) {
      last?.dispose();
      last = this.#advance(all.subarray(start, start + most));
    }
    return last!;
  }

  reset(): void {
    disposeAll(this.#state);
    this.#state = undefined;
    this.#length = 0;
  }

  dispose(): void {
    this.reset();
  }

  #advance(tokens: Int32Array): Tensor {
    const { device } = this.#model.ends.embedding.weight.value;
    const before = this.#state;
    const { logits, state } = scope(() =>
      noGradient(() => {
        const input = tensor(tokens, [1, tokens.length], { device });
        const all = this.#model.logits(input, { state: before });
        const last = slice(all.logits, { axis: 1, start: -1 });
        return { logits: reshape(last, [this.#model.vocabulary]), state: all.state };
      }),
    );
    this.#state = keep(state);
    disposeAll(before);
    this.#length += tokens.length;
    return logits;
  }
}

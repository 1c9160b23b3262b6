import { CapabilityError, OptionError } from '../core/errors.js';
import { concat } from '../ops/shape.js';
import { disposeAll, keep, noGradient, scope, type Tensor } from '../tensor/index.js';
import { checkCall, ownOptions, type CommonOptions } from './call.js';
import type { ForwardResult } from './definition.js';
import type { AnyOptions, AttentionResult, Mechanism } from './mechanism.js';

export interface DecoderOptions {
  /** Tokens it will see at most: defaults and parameters that depend on the length are those of this length. */
  readonly maxLength: number;
}

/**
 * Causal attention with memory: `step` takes the next tokens' q, k and v, one or many (a prefill), and returns what a pass over
 * the whole sequence would give at these tokens. Keeps keys and values so far, or a state of fixed size. No gradients.
 */
export class Decoder {
  readonly #mechanism: Mechanism;
  readonly #options: AnyOptions;
  readonly #maxLength: number;
  #state: Readonly<Record<string, Tensor>> | undefined;
  /** Parameters that the caller did not give. */
  #drawn: Readonly<Record<string, Tensor>> | undefined;
  #length = 0;

  /** Use `mechanism.decoder(…)`. @internal */
  constructor(mechanism: Mechanism, { maxLength, ...options }: DecoderOptions & AnyOptions) {
    if (mechanism.definition.supports.decode === false) {
      throw new CapabilityError(`${mechanism.name}: it does not decode step by step; run it on the whole sequence.`);
    }
    if (!Number.isSafeInteger(maxLength) || maxLength < 1) {
      throw new OptionError(`${mechanism.name}: maxLength must be a whole number of at least 1; got ${maxLength}.`);
    }
    this.#mechanism = mechanism;
    this.#options = { ...options, causal: true };
    this.#maxLength = maxLength;
  }

  /** Tokens so far. */
  get length(): number {
    return this.#length;
  }

  /**
   * Attention of the next tokens: `q` `[B,H,T,D]`, `k` `[B,G,T,D]`, `v` `[B,G,T,E]`.
   *
   * @throws OptionError beyond `maxLength`; what `run` throws.
   */
  step(q: Tensor, k: Tensor, v: Tensor): AttentionResult {
    const { name } = this.#mechanism;
    const tokens = q.shape[2] ?? 0;
    if (this.#length + tokens > this.#maxLength) {
      throw new OptionError(
        `${name}: ${this.#length} tokens and ${tokens} more exceed the decoder's maxLength of ${this.#maxLength}.`,
      );
    }
    const { result, state } = scope(() => noGradient(() => this.#advance(q, k, v)));
    const before = this.#state;
    this.#state = keep(state);
    disposeAll(before);
    this.#length += tokens;
    return { notes: [], ...result, drawn: [], seed: this.#options.seed ?? 0 };
  }

  /** Frees keys, values and state. Idempotent. */
  dispose(): void {
    disposeAll(this.#state);
    this.#state = undefined;
    disposeAll(this.#drawn);
    this.#drawn = undefined;
  }

  #advance(
    q: Tensor,
    k: Tensor,
    v: Tensor,
  ): { readonly result: ForwardResult; readonly state: Readonly<Record<string, Tensor>> } {
    const mechanism = this.#mechanism;
    const { definition } = mechanism;
    const { shape } = checkCall(definition, { q, k, v }, this.#options);
    const whole = { ...shape, L: this.#maxLength, S: this.#maxLength };
    const settings = mechanism.settle(whole, this.#options as never);
    const own = this.#options.parameters ?? {};
    this.#drawn ??= scope(() => {
      const all = Object.entries(mechanism.parameters(whole, { ...this.#options, device: q.device } as never));
      return keep(Object.fromEntries<Tensor>(all.filter(([name]) => own[name] === undefined)));
    });
    const options: CommonOptions = { ...this.#options, parameters: { ...this.#drawn, ...own } };
    if (definition.recurrence !== undefined) {
      const call = mechanism.call(q, k, v, options, { shape, settings });
      const { state, ...result } = definition.recurrence.step(call, this.#state);
      return { result, state };
    }
    const cache = this.#state;
    // a copy, so that the caller may dispose of what it gave
    const all = (name: 'k' | 'v', x: Tensor): Tensor => concat(cache ? [cache[name]!, x] : [x], { axis: 2 });
    const state = { k: all('k', k), v: all('v', v) };
    const values = ownOptions(settings.values);
    const result = mechanism.run(q, state.k, state.v, { ...options, ...values, causal: true } as never);
    return { result, state };
  }
}

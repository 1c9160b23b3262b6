import { OptionError, ShapeError } from '../core/errors.js';
import { sameShape, show } from '../core/shape.js';
import type { Device } from '../devices/device.js';
import { cast } from '../ops/cast.js';
import { commonDevice, disposeAll, keep, noGradient, scope, type Tensor } from '../tensor/index.js';
import { checkCall, ownOptions, type CommonOptions } from './call.js';
import { CopiedCache, FixedCache, RecurrentState } from './decode/fixed.js';
import type { Memory, PlainAttention } from './decode/memory.js';
import { decoderOptions, isPlain, type DecoderOptions, type Kept } from './decode/options.js';
import { RingCache } from './decode/ring.js';
import type { ForwardResult } from './definition.js';
import type { AnyOptions, AttentionResult, Mechanism } from './mechanism.js';
import type { AttentionShape } from './options.js';

export type { CacheKind, DecoderOptions } from './decode/options.js';

/**
 * Causal attention with memory: `step` takes the next tokens' q, k and v, one or many (a prefill), and returns what a pass over
 * the whole sequence would give at these tokens; how tokens are cut into steps changes nothing but rounding. No gradients.
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
  readonly #mechanism: Mechanism;
  readonly #options: AnyOptions;
  readonly #kept: Kept;
  readonly #maxLength: number;
  #opened: Opened | undefined;
  #length = 0;
  #disposed = false;

  /** Use `mechanism.decoder(…)`. @internal */
  constructor(mechanism: Mechanism, given: DecoderOptions & AnyOptions) {
    const { maxLength, kept, options } = decoderOptions(mechanism.definition, given);
    this.#mechanism = mechanism;
    this.#options = options;
    this.#kept = kept;
    this.#maxLength = maxLength;
  }

  /** Tokens so far. */
  get length(): number {
    return this.#length;
  }

  /**
   * Attention of the next tokens: `q` `[B,H,T,D]`, `k` `[B,G,T,D]`, `v` `[B,G,T,E]`.
   *
   * @throws OptionError beyond `maxLength`; ShapeError unless all but T is as in the first step; CapabilityError, at the first
   * step, for a pattern that a ring is too short for; what `run` throws.
   */
  step(q: Tensor, k: Tensor, v: Tensor): AttentionResult {
    const { name } = this.#mechanism;
    if (this.#disposed) throw new OptionError(`${name}: the decoder was disposed; make another one.`);
    this.#check(q, k, v);
    const tokens = q.shape[2]!;
    if (this.#length + tokens > this.#maxLength) {
      throw new OptionError(
        `${name}: ${this.#length} tokens and ${tokens} more exceed the decoder's maxLength of ${this.#maxLength}; ` +
          'make one with a larger maxLength, or reset() it.',
      );
    }
    const result = scope(() => noGradient(() => this.#advance(q, k, v)));
    this.#length += tokens;
    return { notes: [], ...result, drawn: [], seed: this.#options.seed ?? 0 };
  }

  /** Forgets all tokens and keeps the memory: for the next sequence. */
  reset(): void {
    this.#opened?.memory.reset();
    this.#length = 0;
  }

  /** Frees keys, values and state. Idempotent. */
  dispose(): void {
    disposeAll([this.#opened?.memory.tensors, this.#opened?.drawn]);
    this.#opened = undefined;
    this.#disposed = true;
  }

  /** What the first step passed is not looked at again. */
  #check(q: Tensor, k: Tensor, v: Tensor): void {
    const { name } = this.#mechanism;
    if (this.#opened === undefined) {
      checkCall(this.#mechanism.definition, { q, k, v }, this.#options);
      return;
    }
    const device = commonDevice(name, [q, k, v]);
    const { B, H, G, D, E } = this.#opened.whole;
    const T = q.shape[2] ?? 0;
    if (device !== this.#opened.device) {
      throw new OptionError(`${name}: a step must be on the device of the first one.`);
    }
    if (sameShape(q.shape, [B, H, T, D]) && sameShape(k.shape, [B, G, T, D]) && sameShape(v.shape, [B, G, T, E]))
      return;
    throw new ShapeError(
      `${name}: a step must be q=[${B},${H},T,${D}], k=[${B},${G},T,${D}] and v=[${B},${G},T,${E}], as the first one; ` +
        `got q=${show(q.shape)}, k=${show(k.shape)}, v=${show(v.shape)}.`,
    );
  }

  #advance(q: Tensor, k: Tensor, v: Tensor): ForwardResult {
    const wide = (x: Tensor): Tensor => (x.dtype === 'f32' ? x : cast(x, 'f32'));
    const given = { q: wide(q), k: wide(k), v: wide(v) };
    this.#opened ??= this.#open(given);
    const result = this.#opened.memory.step({ ...given, start: this.#length });
    return q.dtype === 'f32' ? result : { ...result, out: cast(result.out, q.dtype) };
  }

  #open({ q, k, v }: { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor }): Opened {
    const mechanism = this.#mechanism;
    const { definition } = mechanism;
    const [B, H, , D] = q.shape as [number, number, number, number];
    const whole: AttentionShape = {
      B,
      H,
      G: k.shape[1]!,
      L: this.#maxLength,
      S: this.#maxLength,
      D,
      E: v.shape[3]!,
    };
    const settings = mechanism.settle(whole, this.#options as never);
    const own = this.#options.parameters ?? {};
    const all = Object.entries(mechanism.parameters(whole, { ...this.#options, device: q.device } as never));
    const drawn = Object.fromEntries<Tensor>(all.filter(([name]) => own[name] === undefined));
    const options: CommonOptions = { ...this.#options, parameters: { ...drawn, ...own } };
    const opened = (memory: Memory): Opened => {
      keep([memory.tensors, drawn]);
      return { memory, drawn, whole, device: q.device };
    };
    const { recurrence } = definition;
    if (recurrence !== undefined) {
      return opened(
        new RecurrentState((step, state) => {
          const tokens = step.q.shape[2]!;
          const shape = { ...whole, L: tokens, S: tokens };
          return recurrence.step(mechanism.call(step.q, step.k, step.v, options, { shape, settings }), state);
        }),
      );
    }
    if (!isPlain(definition)) {
      const values = { ...options, ...ownOptions(settings.values), causal: true };
      return opened(
        new CopiedCache((rows) => mechanism.run(rows.q, rows.k, rows.v, values as never), { k, v }, whole.S),
      );
    }
    const attention: PlainAttention = {
      name: mechanism.name,
      whole,
      scale: options.scale ?? 1 / Math.sqrt(D),
      pattern: mechanism.pattern(whole, this.#options as never),
      score: options.score?.expression(whole),
    };
    const kept = this.#kept;
    return opened(
      kept.cache === 'fixed' ? new FixedCache(attention, { k, v }) : new RingCache(attention, kept, { k, v }),
    );
  }
}

/** What the first step settles for all. */
interface Opened {
  readonly memory: Memory;
  /** Parameters that the caller did not give. */
  readonly drawn: Readonly<Record<string, Tensor>>;
  readonly whole: AttentionShape;
  readonly device: Device;
}

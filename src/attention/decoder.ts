import { checkOptions, OptionError, ShapeError } from '../core/errors.js';
import { isFloat } from '../core/dtype.js';
import { sameShape, show } from '../core/shape.js';
import { cast } from '../ops/cast.js';
import { commonDevice, disposeAll, noGradient, scope, Tensor } from '../tensor/index.js';
import { checkCall } from './call.js';
import type { Step } from './decode/memory.js';
import { openDecoder, settleDecoder, type Opened, type Setting } from './decode/open.js';
import { decoderOptions, type DecoderOptions } from './decode/options.js';
import type { ForwardResult } from './definition.js';
import type { AnyOptions, AttentionResult, Mechanism } from './mechanism.js';
import type { AttentionShape } from './options.js';

export type { CacheKind, DecoderOptions } from './decode/options.js';

export interface StepOptions {
  /** Further projections of the tokens, as of `run`; the same ones in every step. */
  readonly inputs?: Readonly<Record<string, Tensor>>;
}

/** The next tokens as they are given. */
type Given = Omit<Step, 'start'>;

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
  readonly #setting: Setting;
  #opened: Opened | undefined;
  #length = 0;
  /** Whether a step failed after it had changed what cannot be changed back. */
  #lost = false;
  #disposed = false;

  /** Use `mechanism.decoder(…)`. @internal */
  constructor(mechanism: Mechanism, given: DecoderOptions & AnyOptions) {
    this.#setting = { mechanism, ...decoderOptions(mechanism.definition, given) };
  }

  /** Tokens so far. */
  get length(): number {
    return this.#length;
  }

  /**
   * Attention of the next tokens: `q` `[B,H,T,D]`, `k` `[B,G,T,D]`, `v` `[B,G,T,E]`. A step that throws leaves the decoder as it was;
   * where that cannot be, since memory ran out in the middle of a ring or a recurrence, it asks for `reset()`.
   *
   * @throws OptionError beyond `maxLength`; ShapeError unless all but T is as in the first step; CapabilityError, at the first
   * step, for a pattern that a ring is too short for; what `run` throws.
   */
  step(q: Tensor, k: Tensor, v: Tensor, options: StepOptions = {}): AttentionResult {
    const { mechanism, maxLength, options: own } = this.#setting;
    const { name } = mechanism;
    if (this.#disposed) throw new OptionError(`${name}: the decoder was disposed; make another one.`);
    if (this.#lost) {
      throw new OptionError(`${name}: a step failed half way, so what came before is lost; reset() the decoder.`);
    }
    checkOptions(`${name}: step`, options, ['inputs']);
    const inputs = Object.entries(options.inputs ?? {}).filter(([, x]) => x !== undefined);
    const given = { q, k, v, inputs: Object.fromEntries(inputs) };
    this.#check(given);
    const tokens = q.shape[2]!;
    if (this.#length + tokens > maxLength) {
      throw new OptionError(
        `${name}: ${this.#length} tokens and ${tokens} more exceed the decoder's maxLength of ${maxLength}; ` +
          'make one with a larger maxLength, or reset() it.',
      );
    }
    try {
      const result = scope(() => noGradient(() => this.#advance(given)));
      this.#length += tokens;
      return { notes: [], ...result, drawn: [], seed: own.seed ?? 0 };
    } catch (error) {
      if (this.#length === 0) this.#close();
      else this.#lost = !this.#opened!.memory.rewinds;
      throw error;
    }
  }

  /** Forgets all tokens and keeps the memory: for the next sequence. */
  reset(): void {
    this.#opened?.memory.reset();
    this.#length = 0;
    this.#lost = false;
  }

  /** Frees keys, values and state. Idempotent. */
  dispose(): void {
    this.#close();
    this.#disposed = true;
  }

  /** As `step` for heads of these sizes would refuse the first one. @internal */
  expect(heads: Pick<AttentionShape, 'B' | 'H' | 'G' | 'D' | 'E'>): void {
    const { maxLength } = this.#setting;
    settleDecoder(this.#setting, { ...heads, L: maxLength, S: maxLength });
  }

  /** Forgets the tokens from `length` on, or asks for `reset()` where it cannot. @internal */
  rewind(length: number): void {
    if (length === this.#length) return;
    if (length === 0) return this.reset();
    this.#length = length;
    this.#lost = !this.#opened!.memory.rewinds;
  }

  #close(): void {
    disposeAll([this.#opened?.memory.tensors, this.#opened?.drawn]);
    this.#opened = undefined;
  }

  /** What the first step passed is not looked at again. */
  #check({ q, k, v, inputs }: Given): void {
    const { mechanism, options } = this.#setting;
    const { name, definition } = mechanism;
    const opened = this.#opened;
    if (opened === undefined) {
      checkCall(definition, { q, k, v }, { ...options, inputs });
      return;
    }
    const given = Object.entries<Tensor>({ q, k, v, ...inputs });
    const wrong = given.find(([, x]) => !(x instanceof Tensor && isFloat(x.dtype)));
    if (wrong)
      throw new OptionError(`${name}: ${wrong[0]} must be a tensor of f32, f16 or bf16, as in the first step.`);
    const device = commonDevice(name, [...given.map(([, x]) => x), ...opened.read]);
    if (device !== opened.device) throw new OptionError(`${name}: a step must be on the device of the first one.`);
    const { B, H, G, D, E } = opened.whole;
    const shapes = (T: number | 'T') => ({ q: [B, H, T, D], k: [B, G, T, D], v: [B, G, T, E] });
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

  #advance(given: Given): ForwardResult {
    const wide = (x: Tensor): Tensor => (x.dtype === 'f32' ? x : cast(x, 'f32'));
    const inputs = Object.fromEntries(Object.entries(given.inputs).map(([name, x]) => [name, wide(x)]));
    const { q } = given;
    const step = { q: wide(q), k: wide(given.k), v: wide(given.v), inputs, start: this.#length };
    this.#opened ??= openDecoder(this.#setting, step);
    const result = this.#opened.memory.step(step);
    return q.dtype === 'f32' ? result : { ...result, out: cast(result.out, q.dtype) };
  }
}

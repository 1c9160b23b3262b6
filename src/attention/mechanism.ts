import { lengths as lengthsMask, type Mask } from '../masks/index.js';
import type { Device } from '../devices/device.js';
import { cast } from '../ops/index.js';
import { memoised } from '../core/memo.js';
import { checkValues } from '../core/requirements.js';
import { noGradient, scope, someDevice, type Tensor } from '../tensor/index.js';
import { checkCall, settle, type AnyOptions, type CommonOptions, type Settings } from './call.js';
import type { Choices } from './choices.js';
import { decoderOptions } from './decode/options.js';
import { Decoder, type DecoderOptions } from './decoder.js';
import {
  attendWithin,
  type AttentionDefinition,
  type AttentionResult,
  type Call,
  type Cost,
  type Supports,
} from './definition.js';
import type { AttentionShape, OptionSpecs, OptionValues } from './options.js';
import { drawParameter, type ParameterSpecs } from './parameters.js';
import { checkedCost, checkResult, withoutTape } from './returned.js';

export type { AnyOptions, AttentionResult };

/** Options of one call: those of every mechanism and its own; any, where it is not known which mechanism it is. */
export type CallOptions<
  O extends OptionSpecs,
  P extends string = string,
  I extends string = string,
  S extends Supports = Supports,
> = string extends keyof O ? AnyOptions : CommonOptions<P, I, S> & Partial<OptionValues<O>>;

/** An attention mechanism; made by `defineAttention`. */
export class Mechanism<
  O extends OptionSpecs = OptionSpecs,
  P extends string = string,
  I extends string = string,
  S extends Supports = Supports,
> {
  readonly name: string;

  readonly #masks = memoised((_: string, make: () => Mask | undefined) => make(), { by: (key) => [key], most: 64 });

  constructor(readonly definition: AttentionDefinition<O, P, I, S>) {
    this.name = definition.name;
  }

  /**
   * Attention of `q` `[B,H,L,D]` to `k` `[B,G,S,D]` and `v` `[B,G,S,E]`: `out` `[B,H,L,E]`. Beside it come `losses` that were asked
   * for, `state` for the next call of the text, and `updates` of what is not learned, of a mechanism that has them.
   *
   * @throws OptionError, CapabilityError or ShapeError with every reason at once, before anything is allocated; ShapeError for a
   * definition whose `forward` returns what it must not.
   */
  run(q: Tensor, k: Tensor, v: Tensor, options: CallOptions<O, P, I, S> = {}): AttentionResult<P> {
    const { shape, settings } = checkCall(this.#erased(), { q, k, v }, options);
    const specs = this.#specs(shape, settings);
    const missing = Object.keys(specs).filter((name) => !given(options, name));
    const { forward = attendWithin, takesHalves = this.definition.forward === undefined } = this.definition;
    // a scope, so that nothing is left behind on an error
    const result = scope(() => {
      const call = this.call(q, k, v, options, { shape, settings });
      const found = forward(takesHalves ? call : widened(call));
      checkResult(this.name, found, shape, specs);
      const { out } = found;
      return { ...withoutTape(found), out: out.dtype === q.dtype ? out : cast(out, q.dtype) };
    });
    return { notes: [], ...result, drawn: missing, seed: settings.seed };
  }

  /**
   * The groups, orders and samples that the data decides in such a call; undefined for a mechanism that has none, or decides none here.
   * The caller disposes of the tensors. @throws as `run` does.
   */
  choices(q: Tensor, k: Tensor, v: Tensor, options: CallOptions<O, P, I, S> = {}): Choices | undefined {
    const { shape, settings } = checkCall(this.#erased(), { q, k, v }, options);
    const { choices } = this.definition;
    if (choices === undefined) return undefined;
    return scope(() => noGradient(() => choices(widened(this.call(q, k, v, options, { shape, settings })))));
  }

  /** Everything `forward` needs, checked; parameters that are not given are drawn in the current scope. @internal */
  call(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    options: CommonOptions<P, I>,
    { shape, settings }: { readonly shape: AttentionShape; readonly settings: Settings<O> },
  ): Call<O, P, I> {
    const { values, causal, seed } = settings;
    const { scale = 1 / Math.sqrt(shape.D), score, lengths, mask, state = {}, losses = false, training } = options;
    const hidden = [lengths && paddingOf(lengths), mask].filter((one) => one !== undefined);
    const specs = this.#specs(shape, settings);
    const parameters = Object.entries(specs).map(([name, spec]) => [
      name,
      given(options, name) ?? drawParameter(spec, { device: q.device, seed, purpose: `${this.name} ${name}` }),
    ]);
    const plain = { q, k, v };
    const inputs = Object.entries<'q' | 'k' | 'v'>(this.definition.inputs ?? {}).map(([name, of]) => [
      name,
      options.inputs?.[name as I] ?? plain[of],
    ]);
    const masks = [this.#mask(shape, settings), ...hidden].filter((one) => one !== undefined);
    return {
      ...plain,
      shape,
      options: values,
      causal,
      scale,
      score,
      lengths,
      seed,
      mask: masks.length > 0 ? masks.reduce(both) : undefined,
      allowed: hidden.length > 0 ? hidden.reduce(both) : undefined,
      globalTokens: options.globalTokens,
      parameters: Object.fromEntries(parameters) as Record<P, Tensor>,
      inputs: Object.fromEntries(inputs) as Record<I, Tensor>,
      state,
      losses,
      training,
    };
  }

  /** The option values that a call of this shape would compute with. @throws as `run` does. */
  settle(shape: AttentionShape, options: CallOptions<O, P, I, S> = {}): Settings<O> {
    return settle(this.#erased(), shape, options);
  }

  /** The pairs it attends to, without causality and padding; undefined where it has no pattern. @throws as `run` does. */
  pattern(shape: AttentionShape, options?: CallOptions<O, P, I, S>): Mask | undefined {
    return this.#mask(shape, this.settle(shape, options));
  }

  /**
   * The pairs through which a result depends on tokens, without causality; undefined for all of them, `'data'` where the data
   * decides. @throws as `run` does.
   */
  reach(shape: AttentionShape, options?: CallOptions<O, P, I, S>): Mask | 'data' | undefined {
    const { values } = this.settle(shape, options);
    return this.definition.reach?.(shape, values) ?? this.pattern(shape, options);
  }

  /** What the formula costs. @throws as `run` does. */
  cost(shape: AttentionShape, options?: CallOptions<O, P, I, S>): Cost {
    const { values, causal } = this.settle(shape, options);
    return checkedCost(this.name, this.definition.cost(shape, values, causal));
  }

  /**
   * Draws its parameters: learned ones require gradients. The caller disposes of them.
   *
   * @throws as `run` does.
   */
  parameters(
    shape: AttentionShape,
    given: { readonly device: Device } & CallOptions<O, P, I, S>,
  ): Readonly<Record<P, Tensor>> {
    checkValues(this.name, { device: Object(given).device as unknown }, { device: someDevice }, ['device']);
    const { device, ...options } = given;
    const settings = this.settle(shape, options as unknown as CallOptions<O, P, I, S>);
    return scope(
      () =>
        Object.fromEntries(
          Object.entries(this.#specs(shape, settings)).map(([name, spec]) => [
            name,
            drawParameter(spec, { device, seed: settings.seed, purpose: `${this.name} ${name}` }, true),
          ]),
        ) as Record<P, Tensor>,
    );
  }

  /**
   * Causal attention token by token: each step's queries see the keys of all steps so far, or those that its cache keeps.
   *
   * @throws CapabilityError for a mechanism that does not decode, or not with such a cache; OptionError for values out of range.
   */
  decoder(options: DecoderOptions & CallOptions<O, P, I, S>): Decoder {
    return new Decoder({ mechanism: this as Mechanism, ...decoderOptions(this.definition, options) });
  }

  #specs(shape: AttentionShape, { values }: Settings<O>): ParameterSpecs {
    return this.definition.parameters?.(shape, values) ?? {};
  }

  /** The same mask for the same settings, so that what was planned for it is found again. */
  #mask(shape: AttentionShape, { values, causal, seed }: Settings<O>): Mask | undefined {
    const make = () => this.definition.pattern?.(shape, values, { causal, seed });
    return this.#masks(JSON.stringify([shape, values, causal, seed]), make);
  }

  /** The definition as the checks see it: they do not look at the names of parameters. */
  #erased(): AttentionDefinition<O> {
    return this.definition;
  }
}

// the same masks for the same batch, so that all layers share what was planned for it
const paddingOf = memoised((lengths: readonly number[]): Mask => lengthsMask(lengths), { most: 64 });
const both = memoised((a: Mask, b: Mask): Mask => a.and(b), { by: (a, b) => [a, b] });

/** A call of the same numbers in f32. */
function widened<C extends Pick<Call, 'q' | 'k' | 'v' | 'inputs'>>(call: C): C {
  const wide = (x: Tensor): Tensor => (x.dtype === 'f16' || x.dtype === 'bf16' ? cast(x, 'f32') : x);
  const inputs = Object.entries<Tensor>(call.inputs).map(([name, x]) => [name, wide(x)]);
  return { ...call, q: wide(call.q), k: wide(call.k), v: wide(call.v), inputs: Object.fromEntries(inputs) };
}

const given = (options: CommonOptions, name: string): Tensor | undefined => options.parameters?.[name];

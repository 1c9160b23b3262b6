import { CapabilityError, OptionError } from '../core/errors.js';
import { checkValues, listOfNumbers, plainObject } from '../core/requirements.js';
import { Module, type Context, type NamedTensors, type Offset, type Outcome } from '../nn/index.js';
import type { Mask } from '../masks/index.js';
import { checkContext, someLists, someMask } from '../nn/layer.js';
import { besideOf, type Beside } from '../nn/outcome.js';
import { cast } from '../ops/index.js';
import { commonDevice, scope, someTensor, type Tensor } from '../tensor/index.js';
import { decoderOf, encoderOf } from './config-decoder.js';
import type { ModelConfig } from './config.js';
import {
  checkBatch,
  checkLossOptions,
  padded,
  type LanguageModel,
  type Loss,
  type LossOptions,
  type Model,
  type TokenBatch,
} from './model.js';
import { Session } from './session.js';
import { Stack } from './stack.js';
import type { SessionOptions, TextSession } from './text-session.js';
import { Ends } from './ends.js';

export interface SourceOptions {
  /** Real tokens of each source; those beyond are padding. */
  readonly sourceLengths?: readonly number[];
  /** Pairs of the source's tokens that may see each other. */
  readonly sourceMask?: Mask;
  /** Positions of global tokens in each source, for an encoder whose mechanism has such; default those of its options. */
  readonly sourceGlobals?: readonly (readonly number[])[];
  /** Which tokens may see which of the source's. */
  readonly crossMask?: Mask;
}

/** Tokens that follow a source. */
export interface PairBatch extends TokenBatch, SourceOptions {
  /** `[B, S]`, i32. */
  readonly source: Tensor;
}

const ofSource = { sourceLengths: listOfNumbers, sourceMask: someMask, sourceGlobals: someLists, crossMask: someMask };

/**
 * The first Transformer: an encoder whose tokens see each other, and a decoder whose layers read what it gives. Both have the
 * configuration's layers, but for what its section `decoder` says, and one table of embeddings. (Vaswani et al. 2017, arXiv 1706.03762.)
 */
export class EncoderDecoder extends Module implements Model<PairBatch>, LanguageModel {
  readonly ends: Ends;
  readonly encoder: Stack;
  readonly decoder: Stack;

  constructor(readonly config: ModelConfig) {
    super();
    this.ends = this.child('ends', new Ends(config));
    this.encoder = this.child('encoder', new Stack(encoderOf(config), { causal: false, cross: false }));
    this.decoder = this.child('decoder', new Stack(decoderOf(config), { causal: true, cross: true }));
  }

  get vocabulary(): number {
    return this.config.vocabulary;
  }

  get length(): number {
    return this.config.length;
  }

  /** The layers that go on with a text. */
  get stack(): Stack {
    return this.decoder;
  }

  /** Of the tokens that the decoder is given, with positions from `offset` on. */
  embed(tokens: Tensor, offset: Offset): Tensor {
    return this.#embed(this.decoder, tokens, { offset });
  }

  /** `[B, S, width]` of a source `[B, S]`. */
  encode(source: Tensor, context: Context = {}): Tensor {
    commonDevice('model', [source]);
    checkContext('model.encode', source, context);
    return this.#run(this.encoder, source, context).stream;
  }

  /** `[B, L, width]` of tokens `[B, L]` that follow an encoded source. */
  decode(tokens: Tensor, encoded: Tensor, context: Context = {}): Tensor {
    checkContext('model.decode', encoded, context);
    if (context.encoded !== undefined) {
      throw new OptionError('model.decode: takes what is encoded behind the tokens; leave it out of the context.');
    }
    return this.#run(this.decoder, tokens, { ...context, encoded }).stream;
  }

  /** Logits `[B, L, vocabulary]` of the tokens after each of `tokens`. */
  logits(source: Tensor, tokens: Tensor, options: SourceOptions = {}): Tensor {
    checkValues('model.logits', options, ofSource);
    const { sourceLengths, sourceMask, sourceGlobals, crossMask } = options;
    return scope(() => {
      const encoded = this.encode(source, { lengths: sourceLengths, mask: sourceMask, globalTokens: sourceGlobals });
      const context = { encodedLengths: sourceLengths, encodedMask: crossMask };
      return this.ends.logits(cast(this.decode(tokens, encoded, context), 'f32'));
    });
  }

  /** States are those of the encoder's layers, by names such as `encoder.last.0`, and of the decoder's. */
  loss(batch: PairBatch, options: LossOptions = {}): Loss {
    checkBatch(batch, { ...padded, ...ofSource, source: someTensor }, ['source']);
    checkLossOptions('model.loss', options, { state: plainObject });
    const { source, tokens, targets, lengths, mask, sourceLengths, sourceMask, sourceGlobals, crossMask } = batch;
    const { reduction, predictions, precision, state } = options;
    const before = statesOf(state);
    return scope(() => {
      const { stream: encoded, ...ofSource } = this.#run(this.encoder, source, {
        precision,
        lengths: sourceLengths,
        mask: sourceMask,
        globalTokens: sourceGlobals,
        state: before.encoder,
      });
      const context = { precision, lengths, mask, encoded, encodedLengths: sourceLengths, encodedMask: crossMask };
      const { stream, ...ofTokens } = this.#run(this.decoder, tokens, { ...context, state: before.decoder });
      return {
        ...besideOf([named('encoder', ofSource), named('decoder', ofTokens)]),
        ...this.ends.loss(stream, { targets }, { reduction, predictions }),
      };
    });
  }

  #run(stack: Stack, tokens: Tensor, context: Context): Outcome {
    return scope(() => stack.forward(this.#embed(stack, tokens, { offset: 0, types: context.types }), context));
  }

  #embed(
    stack: Stack,
    tokens: Tensor,
    { offset, types }: { readonly offset: Offset; readonly types?: Tensor | undefined },
  ): Tensor {
    commonDevice('model', [tokens]);
    return scope(() => {
      const rows = stack.positions.embedTokens(tokens, offset);
      return this.ends.embed(tokens, rows, types, stack === this.decoder ? 'decoder' : 'encoder');
    });
  }

  /**
   * Texts that follow sources, one for each row.
   *
   * @throws as `Session`; CapabilityError where layers of the decoder share weights.
   */
  session(options: SessionOptions): TextSession {
    const { layers } = this.decoder;
    if (new Set(layers).size === layers.length) return new Session(this, options);
    throw new CapabilityError(
      'session: layers of the decoder share weights, so they have no caches; run it on whole texts.',
    );
  }
}

const parts = ['encoder', 'decoder'] as const;

/** Of the states of both, those of each. @throws OptionError for a name that tells neither. */
function statesOf(state: NamedTensors = {}): Readonly<Record<(typeof parts)[number], NamedTensors>> {
  const [encoder, decoder] = parts.map((part) =>
    Object.fromEntries(
      Object.entries(state).flatMap(([name, x]) =>
        name.startsWith(`${part}.`) ? [[name.slice(part.length + 1), x]] : [],
      ),
    ),
  ) as [NamedTensors, NamedTensors];
  const stray = Object.keys(state).filter((name) => !parts.some((part) => name.startsWith(`${part}.`)));
  if (stray.length === 0) return { encoder, decoder };
  throw new OptionError(`model: a state is named by its part, such as encoder.last.0; got ${stray.join(', ')}.`);
}

/** What a part gave, its states and statistics by names that tell the part. */
const named = (part: (typeof parts)[number], { state, statistics, ...rest }: Beside): Beside => {
  const placed = (all: NamedTensors): NamedTensors =>
    Object.fromEntries(Object.entries(all).map(([name, x]) => [`${part}.${name}`, x]));
  return { ...rest, ...(state && { state: placed(state) }), ...(statistics && { statistics: placed(statistics) }) };
};

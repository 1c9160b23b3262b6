import {
  Attention,
  Module,
  type Context,
  type Embedding,
  type Mixer,
  type Offset,
  type Parameter,
} from '../nn/index.js';
import { someLists } from '../nn/layer.js';
import { isObserved } from '../nn/observe.js';
import type { Decoder } from '../attention/index.js';
import { checkParts, lengthsBelow } from '../attention/decode/state.js';
import { CapabilityError, FormatError, OptionError } from '../core/errors.js';
import { anything, checkValue, checkValues, type Requirement } from '../core/requirements.js';
import { cast, reshape, slice } from '../ops/index.js';
import { commonDevice, noGradient, scope, type Tensor } from '../tensor/index.js';
import { layerOf } from './config-layers.js';
import type { ModelConfig } from './model-config.js';
import { inOrder, PREFILL, rowsBy, tokensBetween, tokensOfRows } from './next-tokens.js';
import { RecordedStep, type StepOfOne } from './recorded-step.js';
import { checkSession, headerOf, markOf, type SessionState } from './session-state.js';
import { Sources, type SourceReader } from './sources.js';
import { Stack } from './stack.js';
import { sessionOptions, type SessionOptions, type TextSession } from './text-session.js';

/** What a session asks of its model. */
export interface DecodingModel extends Module {
  readonly config: ModelConfig;
  readonly stack: Stack;
  readonly ends: { readonly embedding: Pick<Embedding, 'weight'>; logits(rows: Tensor): Tensor };
  embed(tokens: Tensor, offset: Offset): Tensor;
  /** `[B, S, width]` of sources `[B, S]`, of a model whose layers read what an encoder gives. */
  encode?(source: Tensor, context?: Context): Tensor;
}

const aModel: Requirement = {
  must: 'a decoder, such as createModel makes',
  holds: (value) => value instanceof Module && (value as Module & { readonly stack?: unknown }).stack instanceof Stack,
};

type Decoders = ReadonlyMap<Mixer, Decoder>;

/** What a session has of its texts. */
interface State {
  readonly decoders: Decoders;
  readonly lengths: readonly number[];
  readonly sources: Sources | undefined;
}

/**
 * Texts that a decoder goes on with, token by token: caches for each layer, allocated once. What `step` gives equals `logits` of the
 * whole text at its last token, up to rounding, where the cache keeps all that the mechanism sees.
 *
 * Of an encoder–decoder each row follows a source, which is encoded once: what each layer reads of it is kept, once for all rows of that source.
 *
 * Rows are not padded: prompts of different lengths go through the layers apart, tokens of all rows together, and attention runs
 * over each row's own cache.
 *
 * @throws CapabilityError for a mechanism or position that does not decode step by step, or not with this cache; OptionError for a
 * `maxLength` that the mechanism or the positions do not reach, or at which those of tokens before would change.
 */
export class Session implements TextSession {
  readonly #model: DecodingModel;
  readonly #options: SessionOptions;
  #decoders: Decoders;
  /** Absent where the model reads none, or they are yet to be imported. */
  #sources: Sources | undefined;
  #lengths: readonly number[];
  #disposed = false;
  /** Steps of one token so far, and what was recorded of the last kind of them. */
  #ones = 0;
  #recorded: RecordedStep | undefined;
  #parameters: readonly Parameter[] | undefined;

  constructor(model: DecodingModel, options: SessionOptions) {
    checkValue('session', 'model', model, aModel);
    checkValues('session', options, { ...sessionOptions, sources: anything, sourceGlobals: someLists });
    const { rows = 1, maxLength, sources, sourceGlobals, ...rest } = options;
    const { kind } = model.stack.config;
    if (sources !== undefined && model.encode === undefined) {
      throw new OptionError('session: sources are for an encoder–decoder; this model reads none.');
    }
    if (sourceGlobals !== undefined && sourceGlobals.length !== sources?.length) {
      throw new OptionError(
        `session: sourceGlobals must be a list of positions for each source; got ${sourceGlobals.length} for ${sources?.length ?? 0} sources.`,
      );
    }
    for (const mixer of decodedOf(model)) {
      const attention = mixer instanceof Attention ? mixer : undefined;
      const method = attention?.positions?.method;
      if (kind !== 'decoder' || method === 'transformer-xl') {
        throw new CapabilityError(
          `session: kind ${kind} with position ${method} does not decode with caches; take a decoder with another position.`,
        );
      }
      const against = (attention ?? model.stack).positions?.against(maxLength);
      if (against !== undefined) throw new OptionError(`session: ${against}; got maxLength ${maxLength}.`);
    }
    this.#model = model;
    this.#options = { ...rest, maxLength, rows };
    this.#lengths = new Array<number>(rows).fill(0);
    this.#decoders = this.#makeDecoders();
    for (const [mixer, decoder] of this.#decoders) {
      if (!(mixer instanceof Attention)) continue;
      const { heads, kvHeads, headDim } = mixer;
      decoder.expect({ B: rows, H: heads, G: kvHeads, D: headDim, E: headDim });
    }
    if (sources !== undefined)
      this.#sources = Sources.read(model as SourceReader, crossOf(model), { sources, rows, globals: sourceGlobals });
  }

  get rows(): number {
    return this.#lengths.length;
  }

  get length(): number {
    return Math.max(...this.#lengths);
  }

  get lengths(): readonly number[] {
    return this.#lengths;
  }

  step(tokens: ArrayLike<number> | readonly ArrayLike<number>[]): Tensor {
    this.#refuseGone();
    const { config, encode } = this.#model;
    if (encode && this.#sources === undefined) {
      throw new OptionError(
        'session: this model follows a source; open the session with sources, a list of tokens for each row.',
      );
    }
    const { vocabulary } = config;
    const before = this.#lengths;
    const { maxLength } = this.#options;
    const { lists, single } = tokensOfRows(tokens, { vocabulary, lengths: before, maxLength });
    try {
      return scope(() => {
        const next = this.#one(lists);
        if (next) return reshape(next, single ? [vocabulary] : [lists.length, vocabulary]);
        const groups = rowsBy(lists.length, (row) => lists[row]!.length);
        const last = inOrder(
          groups.map((rows) => ({
            rows,
            x: this.#advance(
              rows,
              rows.map((row) => lists[row]!),
            ),
          })),
        );
        return reshape(this.#logits(last), single ? [vocabulary] : [lists.length, vocabulary]);
      });
    } catch (error) {
      for (const decoder of this.#decoders.values()) decoder.rewind(before);
      this.#lengths = before;
      throw error;
    }
  }

  fork(rows: readonly number[] = this.#lengths.map((_, row) => row)): Session {
    this.#refuseGone();
    const forked = new Map<Mixer, Decoder>();
    try {
      for (const [mixer, decoder] of this.#decoders) forked.set(mixer, decoder.fork(rows));
      const other = new Session(this.#model, { ...this.#options, rows: rows.length });
      const lengths = rows.map((row) => this.#lengths[row]!);
      other.#become({ decoders: forked, lengths, sources: this.#sources?.fork(rows) });
      return other;
    } catch (error) {
      for (const decoder of forked.values()) decoder.dispose();
      throw error;
    }
  }

  truncate(length: number | readonly number[]): void {
    this.#refuseGone();
    const to = lengthsBelow('session: truncate', length, this.#lengths);
    for (const decoder of this.#decoders.values()) decoder.apart(to);
    for (const decoder of this.#decoders.values()) decoder.rewind(to);
    this.#lengths = [...to];
  }

  async export(): Promise<SessionState> {
    this.#refuseGone();
    const weights = await markOf(this.#model);
    this.#refuseGone();
    if (this.length === 0) throw new OptionError('session: export: there are no tokens yet.');
    return scope(() => {
      const layers = [...this.#decoders.values()].map((decoder) => decoder.export());
      const tensors = layers.flatMap((layer, i) =>
        [...layer.tensors].map(([name, x]) => [`layers.${i}.${name}`, x] as const),
      );
      const sources = this.#sources?.export();
      const rest = {
        lengths: this.#lengths,
        layers: layers.map(({ header }) => header),
        ...(sources && { sources: sources.header }),
      };
      return {
        header: headerOf({ config: this.#model.config, weights }, rest),
        tensors: new Map([...tensors, ...(sources?.tensors ?? [])]),
      };
    });
  }

  async import(state: SessionState): Promise<void> {
    this.#refuseGone();
    checkParts('session: import', state);
    const { header, tensors } = state;
    commonDevice('session: import', [this.#model.ends.embedding.weight.value, ...tensors.values()]);
    const weights = await markOf(this.#model);
    this.#refuseGone();
    const saved = checkSession(header, { config: this.#model.config, weights }, this.rows);
    const { layers = [], lengths } = saved;
    const decoders = this.#makeDecoders();
    let sources: Sources | undefined;
    if (layers.length !== decoders.size) {
      throw new FormatError(`session: import: the state has ${layers.length} layers and the model ${decoders.size}.`);
    }
    try {
      [...decoders.values()].forEach((decoder, i) => {
        const prefix = `layers.${i}.`;
        const own = [...tensors].filter(([name]) => name.startsWith(prefix));
        decoder.import({
          header: layers[i]!,
          tensors: new Map(own.map(([name, x]) => [name.slice(prefix.length), x])),
        });
      });
      if (this.#model.encode) {
        sources = Sources.import(crossOf(this.#model), this.rows, { header: saved.sources, tensors });
      }
    } catch (error) {
      for (const decoder of decoders.values()) decoder.dispose();
      throw error;
    }
    this.#become({ decoders, lengths, sources });
  }

  /** Forgets the texts and keeps the memory. */
  reset(): void {
    for (const decoder of this.#decoders.values()) decoder.reset();
    this.#lengths = this.#lengths.map(() => 0);
  }

  dispose(): void {
    this.#forgetStep();
    for (const decoder of this.#decoders.values()) decoder.dispose();
    this.#sources?.dispose();
    this.#disposed = true;
  }

  #refuseGone(): void {
    if (this.#disposed) throw new OptionError('session: it was disposed; open another one.');
  }

  #makeDecoders(): Decoders {
    return new Map(
      decodedOf(this.#model).map((mixer) => [
        mixer,
        mixer instanceof Attention
          ? mixer.mechanism.decoder({ ...mixer.callOptions(), ...this.#options })
          : mixer.decoder!(this.#options),
      ]),
    );
  }

  #become({ decoders, lengths, sources }: State): void {
    this.#forgetStep();
    for (const decoder of this.#decoders.values()) decoder.dispose();
    this.#sources?.dispose();
    this.#decoders = decoders;
    this.#lengths = lengths;
    this.#sources = sources;
  }

  /** Logits `[rows, 1, vocabulary]` of one token more of each row, where such steps are alike: recorded once and run again. */
  #one(lists: readonly Int32Array[]): Tensor | undefined {
    const { device } = this.#model.ends.embedding.weight.value;
    const starts = this.#lengths;
    const alike = lists.every(({ length }) => length === 1) && starts.every((start) => start === starts[0]);
    if (!alike || starts[0] === 0 || device.record === undefined || isObserved() || this.#model.training)
      return undefined;
    const decoders = [...this.#decoders.values()];
    const rooms = decoders.map(({ repeated }) => repeated);
    // the first one may be the only one
    if (rooms.includes(undefined) || ++this.#ones < 2) return undefined;
    this.#parameters ??= [...this.#model.namedParameters().values()];
    const reads = [...rooms, this.#sources, ...this.#parameters.map(({ value }) => value)];
    const tokens = lists.map(([token]) => token!);
    if (this.#recorded?.fits(starts, reads) !== true) {
      this.#forgetStep();
      const all = starts.map((_, row) => row);
      const step: StepOfOne = (x, at) => this.#logits(this.#through(all, x, at));
      this.#recorded = new RecordedStep(device, step, { starts, maxLength: this.#options.maxLength, reads });
    }
    const { logits, again } = this.#recorded.run(starts, tokens);
    if (again) {
      for (const decoder of decoders) decoder.ranAgain();
      this.#lengths = starts.map((start) => start + 1);
    }
    return logits;
  }

  #forgetStep(): void {
    this.#recorded?.dispose();
    this.#recorded = undefined;
  }

  #logits(rows: Tensor): Tensor {
    return noGradient(() => this.#model.ends.logits(cast(rows, 'f32')));
  }

  /** What the layers give for the last of the next tokens of some rows, as many for each, `[rows, 1, width]`. */
  #advance(rows: readonly number[], lists: readonly Int32Array[]): Tensor {
    const { device } = this.#model.ends.embedding.weight.value;
    let last: Tensor | undefined;
    for (let start = 0; start < lists[0]!.length; start += PREFILL) {
      last?.dispose();
      last = scope(() => this.#through(rows, tokensBetween(lists, start, start + PREFILL, device)));
    }
    return slice(last!, { axis: 1, start: -1 });
  }

  /** The same for all of a piece, normalised. */
  #through(rows: readonly number[], tokens: Tensor, at: Parameters<StepOfOne>[1] | Record<string, never> = {}): Tensor {
    const { stack } = this.#model;
    const count = tokens.shape[1]!;
    const offsets = rows.map((row) => this.#lengths[row]!);
    const offset = at.place ?? (offsets.every((one) => one === offsets[0]) ? offsets[0]! : offsets);
    const attend = (mixer: Mixer, stream: Tensor): Tensor => {
      const decoder = this.#decoders.get(mixer);
      if (decoder === undefined) return this.#sources!.attend(mixer as Attention, stream, rows);
      if (!(mixer instanceof Attention)) {
        const [B, T, W] = stream.shape as [number, number, number];
        const head = reshape(stream, [B, 1, T, W]);
        return reshape(decoder.stepAt(head, head, head, { rows }, at).out, [B, T, W]);
      }
      const { q, k, v, inputs, gate } = mixer.project(stream, { offset });
      const { out, logsumexp } = decoder.stepAt(q, k, v, { inputs, rows }, at);
      return mixer.combine(out, logsumexp, gate);
    };
    const out = noGradient(() => stack.forward(this.#model.embed(tokens, offset), { attend }).stream);
    this.#lengths = this.#lengths.map((length, row) => (rows.includes(row) ? length + count : length));
    return out;
  }
}

/** What reads an encoder, of all layers. */
const crossOf = ({ stack }: DecodingModel): Attention[] =>
  stack.layers.map(({ cross }) => cross).filter((cross) => cross !== undefined);

/** The mixers of all layers. @throws CapabilityError for one that is no attention and keeps no state. */
const decodedOf = ({ stack }: DecodingModel): Mixer[] =>
  stack.layers.map(({ attention, mixer }, layer) => {
    if (attention?.convolves) {
      throw new CapabilityError(
        `session: projection factored of layer ${layer} does not decode step by step: its queries and keys are of rows before, which no cache keeps. ` +
          'Take kernel 1, or run it on the whole sequence.',
      );
    }
    if (attention ?? mixer.decoder) return mixer;
    const name = layerOf(stack.config, layer).mixer?.name ?? mixer.path;
    throw new CapabilityError(
      `session: mixer ${name} of layer ${layer} does not decode step by step; run it on the whole sequence.`,
    );
  });

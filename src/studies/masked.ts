import type { FloatDtype } from '../core/dtype.js';
import { NumericsError, OptionError } from '../core/errors.js';
import { checkValue, wholeFrom } from '../core/requirements.js';
import { NOTHING_ASKED, type TokenSource } from '../data/index.js';
import { maskedBatch, placePurpose, type MaskedBatch } from '../data/masked-batches.js';
import type { Device } from '../devices/device.js';
import type { LanguageModel } from '../models/model.js';
import { detach } from '../ops/index.js';
import { disposeAll, keep, noGradient, scope, tensor } from '../tensor/index.js';
import { LossMeter, type MeanLoss } from './loss-meter.js';
import type { MaskingOf } from './objective.js';
import { type Window, windowsOf } from './windows.js';

export interface MaskedOptions {
  readonly device: Device;
  /** An encoder that was trained on masked tokens: its mask token is `model.outputs`, or what `masking` says. */
  readonly model: LanguageModel;
  readonly source: TokenSource;
  /** Tokens that the model sees at a time, L. Windows lie side by side. */
  readonly length: number;
  /** Tokens of the text that are read at most; fewer windows then lie evenly over it. Default all. */
  readonly maxTokens?: number | undefined;
  /** Special tokens that each window begins and ends with, counted among its tokens and never hidden; default none. */
  readonly around?: { readonly start: Int32Array; readonly end: Int32Array } | undefined;
  /** What is hidden of a window; default as in training. */
  readonly masking?: Partial<MaskingOf> | undefined;
  /** What is hidden follows from it and the place of the window alone; default 0. */
  readonly seed?: number | undefined;
  /** Default `'f32'`. */
  readonly precision?: FloatDtype | undefined;
  /** Told after each batch, in windows. */
  readonly onProgress?: ((windows: number, of: number) => void) | undefined;
  /** Told of each window the losses of its masked tokens, in nats, and how many of them are the likeliest, in the order of the text. */
  readonly onWindow?: ((window: { readonly losses: ArrayLike<number>; readonly hits: number }) => void) | undefined;
}

/** Means over the masked tokens: `bitsPerByte` is of a masked byte. */
export interface MaskedScores extends MeanLoss {
  readonly length: number;
  /** Share of the masked tokens that are the likeliest. */
  readonly accuracy: number;
}

/** Tokens of a batch; longer windows go one by one. */
const BATCH_TOKENS = 4096;

/**
 * How well an encoder fills in what a text hides, at any length: the mean of `−ln p(token | the window without what is masked)` and the
 * share of masked tokens that are the likeliest. Spans, or whole words, are replaced by the mask token, all of them; which ones follows from
 * the seed and the place of the window, so that models, mechanisms and lengths of the same windows are compared on the same bytes.
 *
 * @throws OptionError for options that are not defined, a text shorter than a window, a model without a mask token; NumericsError for a
 * loss that is not finite; what the model throws for lengths that it does not take.
 */
export async function maskedScores(options: MaskedOptions): Promise<MaskedScores> {
  const { model, source, length, maxTokens, seed = 0, onProgress } = options;
  checkValue('maskedScores', 'seed', seed, wholeFrom(0));
  const { vocabulary, outputs = vocabulary } = model;
  const mask = options.masking?.maskToken ?? outputs;
  if (mask >= vocabulary || source.vocabulary > outputs) {
    throw new OptionError(
      `maskedScores: takes an encoder that predicts the ${source.vocabulary} tokens of the text and knows one more, which masks; ` +
        `the model predicts ${outputs} and knows ${vocabulary}. Train one with objective masked.`,
    );
  }
  const { list } = windowsOf(source, { length: roomOf(options), mode: 'separate', maxTokens });
  const rows = Math.max(1, Math.floor(BATCH_TOKENS / length));
  const meter = new LossMeter();
  let hits = 0;
  const begin = performance.now();
  model.eval();
  for (let at = 0; at < list.length; at += rows) {
    onProgress?.(at, list.length);
    hits += await scored(options, mask, list.slice(at, at + rows), meter);
  }
  onProgress?.(list.length, list.length);
  if (meter.tokens === 0) {
    throw new OptionError(
      'maskedScores: nothing of this text can be masked: it has no words. Mask spans, or take another text.',
    );
  }
  const seconds = (performance.now() - begin) / 1000;
  return { length, accuracy: hits / meter.tokens, ...meter.result(source.bytesPerToken, seconds) };
}

/** Tokens of the text in a window. @throws OptionError where special tokens leave no room. */
function roomOf({ length, around }: MaskedOptions): number {
  const special = around ? around.start.length + around.end.length : 0;
  if (special < length) return length - special;
  throw new OptionError(
    `maskedScores: of a length of ${length} the ${special} special tokens around each window leave nothing; take at least ${special + 1}.`,
  );
}

/** Windows between special tokens. */
function within(
  { tokens, places, targets }: MaskedBatch['inputs'],
  { start, end }: NonNullable<MaskedOptions['around']>,
): MaskedBatch['inputs'] {
  const [rows, inner] = tokens.shape as [number, number];
  const length = start.length + inner + end.length;
  const data = new Int32Array(rows * length);
  for (let row = 0; row < rows; row++) {
    const own = tokens.data.subarray(row * inner, (row + 1) * inner);
    data.set([...start, ...own, ...end], row * length);
  }
  const moved = places.data.map((place) => place + start.length);
  return { tokens: { data, shape: [rows, length] }, places: { ...places, data: moved }, targets };
}

/** Adds the losses of some windows, each a row of one batch, and returns how many targets are the likeliest. */
async function scored(
  options: MaskedOptions,
  outputs: number,
  windows: readonly Window[],
  meter: LossMeter,
): Promise<number> {
  const { device, model, source, length, masking, around, seed = 0, precision = 'f32', onWindow } = options;
  const rows = windows.map(({ start }) => {
    const window = new Int32Array(roomOf(options));
    source.read(start, window);
    return { window, purpose: placePurpose(start) };
  });
  const { maskToken: _, ...hidden } = masking ?? {};
  const { inputs: own } = maskedBatch(rows, { ...hidden, random: 0, kept: 0, outputs, seed });
  const inputs = around ? within(own, around) : own;
  const found = keep(
    scope(() =>
      noGradient(() => {
        const batch = mapped(inputs, ({ data, shape }) => tensor(data, shape, { device }));
        const { loss, predictions } = model.loss(batch, { reduction: 'none', predictions: true, precision });
        return { loss: detach(loss), predictions: predictions! };
      }),
    ),
  );
  try {
    const [losses, predictions] = [await found.loss.data(), await found.predictions.data()];
    const { data: targets, shape } = inputs.targets;
    const columns = shape[1]!;
    return windows.reduce((total, { start }, row) => {
      const from = row * columns;
      // where less is masked than the share allows, the end is empty
      const wanted = targets.subarray(from, from + columns).filter((target) => target !== NOTHING_ASKED);
      const own = losses.subarray(from, from + wanted.length);
      const wrong = own.find((one) => !Number.isFinite(one));
      if (wrong !== undefined) throw notFinite(wrong, start, length, precision);
      const hits = wanted.reduce((sum, target, i) => sum + Number(predictions[from + i] === target), 0);
      meter.add(own);
      onWindow?.({ losses: own, hits });
      return total + hits;
    }, 0);
  } finally {
    disposeAll(found);
  }
}

const mapped = <N extends string, A, B>(of: Readonly<Record<N, A>>, to: (one: A) => B): Record<N, B> =>
  Object.fromEntries(Object.entries<A>(of).map(([name, one]) => [name, to(one)])) as Record<N, B>;

function notFinite(loss: number, start: number, length: number, precision: FloatDtype): NumericsError {
  const remedy = precision === 'f16' ? 'take precision f32' : 'take other weights, or another length or mechanism';
  return new NumericsError(
    `maskedScores: a loss of the window of ${length} from token ${start} on is ${loss}, so the text has no mean; ${remedy}.`,
  );
}

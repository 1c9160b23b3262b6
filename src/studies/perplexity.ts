import type { FloatDtype } from '../core/dtype.js';
import { NumericsError, OptionError } from '../core/errors.js';
import type { TokenSource } from '../data/tokens.js';
import type { Device } from '../devices/device.js';
import type { LanguageModel, ModelState } from '../models/model.js';
import { detach } from '../ops/index.js';
import { disposeAll, keep, noGradient, scope, tensor, type Tensor } from '../tensor/index.js';
import { LossMeter, type MeanLoss } from './loss-meter.js';
import { type Window, windowsOf, type WindowOptions } from './windows.js';

export interface PerplexityOptions extends WindowOptions {
  readonly device: Device;
  readonly model: LanguageModel;
  readonly source: TokenSource;
  /** Default `'f32'`. */
  readonly precision?: FloatDtype | undefined;
  /** Told after each batch. */
  readonly onProgress?: ((tokens: number, of: number) => void) | undefined;
  /** Told the losses of each window, in nats, in the order of the text. */
  readonly onWindow?: ((losses: ArrayLike<number>) => void) | undefined;
}

export interface Perplexity extends MeanLoss {
  readonly length: number;
  readonly mode: 'separate' | 'sliding';
  /** Tokens from one window to the next. */
  readonly stride: number;
  /** Whether the model carried a memory from window to window. */
  readonly memory: boolean;
}

/** Tokens of a batch; longer windows go one by one. */
const BATCH_TOKENS = 4096;

/**
 * How well a model predicts a text, at any length: the mean of `−ln p(token | those before it in its window)`. In windows
 * that do not overlap (`separate`), the first tokens of each have little context; with `sliding` windows every token but those
 * of the first is scored with at least `length − stride` before it. (Press et al. 2022, arXiv 2108.12409, appendix B.)
 * Dropout is off, equal weights give equal bits. Of a model that predicts what follows the last tokens alone, those of each window are scored.
 *
 * A model with memory reads the windows in the order of the text, and carries what it remembers from one to the next.
 *
 * @throws OptionError for options that are not defined, a text shorter than a window, sliding windows with a model that has
 * memory; NumericsError for a loss that is not finite; what the model throws for lengths that it does not take.
 */
export async function perplexity(options: PerplexityOptions): Promise<Perplexity> {
  const { model, source, mode, length } = options;
  if (source.vocabulary > model.vocabulary) {
    throw new OptionError(
      `perplexity: the text has ${source.vocabulary} different tokens, the model knows ${model.vocabulary}; ` +
        'take the tokenizer of the model.',
    );
  }
  // of a model that predicts few, the last of each window
  const most = model.predicts?.(length) ?? length;
  const nearest = mode === 'separate' ? undefined : Math.min(most, Math.ceil(length / 2));
  const all = windowsOf(source, { ...options, stride: options.stride ?? nearest });
  const list = all.list.map(({ start, scores }) => ({ start, scores: Math.min(scores, most) }));
  const windows = { ...all, list, tokens: list.reduce((sum, { scores }) => sum + scores, 0) };
  const meter = new LossMeter();
  const begin = performance.now();
  model.eval();
  // whether there is a memory, the first window tells
  const first = await scored(options, windows.list.slice(0, 1), undefined, meter);
  const rest = { meter, of: windows.tokens };
  if (first === undefined) await evenly(options, windows.list.slice(1), rest);
  else await inOrder(options, windows, first, rest);
  const seconds = (performance.now() - begin) / 1000;
  const { stride } = windows;
  return { length, mode, stride, memory: first !== undefined, ...meter.result(source.bytesPerToken, seconds) };
}

interface Rest {
  readonly meter: LossMeter;
  readonly of: number;
}

async function evenly(options: PerplexityOptions, windows: readonly Window[], { meter, of }: Rest): Promise<void> {
  options.onProgress?.(meter.tokens, of);
  const rows = Math.max(1, Math.floor(BATCH_TOKENS / options.length));
  for (let at = 0; at < windows.length; at += rows) {
    disposeAll(await scored(options, windows.slice(at, at + rows), undefined, meter));
    options.onProgress?.(meter.tokens, of);
  }
}

/** As many windows from the start of the text as were wanted: a memory is of what comes right before. */
async function inOrder(
  options: PerplexityOptions,
  { list }: { readonly list: readonly Window[] },
  first: ModelState,
  { meter, of }: Rest,
): Promise<void> {
  let memory: ModelState | undefined = first;
  try {
    if (options.mode === 'sliding') {
      throw new OptionError(
        'perplexity: a model with memory reads windows that follow each other; take mode separate, its memory is its context.',
      );
    }
    for (let i = 1; i < list.length; i++) {
      options.onProgress?.(meter.tokens, of);
      const next = await scored(options, [{ start: i * options.length, scores: options.length }], memory, meter);
      release(memory, next);
      memory = next;
    }
    options.onProgress?.(meter.tokens, of);
  } finally {
    release(memory, undefined);
  }
}

/** A state may hold tensors of the one before. */
function release(before: ModelState | undefined, after: ModelState | undefined): void {
  const held = new Set(Object.values(after ?? {}));
  for (const one of Object.values(before ?? {})) if (!held.has(one)) one.dispose();
}

/** Adds the losses of some windows, each a row of one batch. */
async function scored(
  { device, model, source, length, precision = 'f32', onWindow }: PerplexityOptions,
  windows: readonly Window[],
  memory: ModelState | undefined,
  meter: LossMeter,
): Promise<ModelState | undefined> {
  const rows = windows.length;
  const shifted = (by: number): Tensor => {
    const data = new Int32Array(rows * length);
    windows.forEach(({ start }, i) => source.read(start + by, data.subarray(i * length, (i + 1) * length)));
    return tensor(data, [rows, length], { device });
  };
  const { loss, state } = keep(
    scope(() =>
      noGradient(() => {
        const batch = { tokens: shifted(0), targets: shifted(1) };
        const result = model.loss(batch, { reduction: 'none', precision, state: memory });
        return { loss: detach(result.loss), state: result.state };
      }),
    ),
  );
  try {
    const data = await loss.data();
    windows.forEach(({ start, scores }, i) => {
      const losses = data.subarray((i + 1) * length - scores, (i + 1) * length);
      const wrong = losses.find((one) => !Number.isFinite(one));
      if (wrong !== undefined) throw notFinite(wrong, start, length, precision);
      meter.add(losses);
      onWindow?.(losses);
    });
    return state;
  } catch (error) {
    disposeAll(state);
    throw error;
  } finally {
    loss.dispose();
  }
}

function notFinite(loss: number, start: number, length: number, precision: FloatDtype): NumericsError {
  const remedy =
    precision === 'f16'
      ? 'numbers within may be beyond f16: take precision f32'
      : 'take other weights, or another length or mechanism';
  return new NumericsError(
    `perplexity: a loss of the window of ${length} from token ${start} on is ${loss}, so the text has no mean; ${remedy}.`,
  );
}

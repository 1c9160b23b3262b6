import type { Mechanism } from '../attention/index.js';
import type { FloatDtype } from '../core/dtype.js';
import { OptionError } from '../core/errors.js';
import { type Corpus, Ngram, type TokenSource } from '../data/index.js';
import type { Device } from '../devices/index.js';
import type { ModelConfig } from '../models/config.js';
import { checkNextToken } from '../models/create.js';
import type { LanguageModel } from '../models/model.js';
import { type EvaluationFacts, factsOf } from './evaluation-facts.js';
import { type Perplexity, perplexity } from './perplexity.js';
import { swapMechanism } from './swap.js';
import { type Window, windowsOf, type WindowOptions } from './windows.js';

/** Bytes. The 5-grams of a longer text are counted when they are asked for only: that takes minutes and gigabytes. */
export const MOST_COUNTED = 2e7;

export interface EvaluateOptions {
  /** The model's own is the trained one. */
  readonly lengths: readonly number[];
  readonly modes: readonly ('separate' | 'sliding')[];
  readonly stride?: number | undefined;
  /** Bytes that are scored at most, evenly over the text. */
  readonly maxBytes?: number | undefined;
  readonly precision: FloatDtype;
  /** In place of the model's own. */
  readonly mechanism?:
    { readonly mechanism: Mechanism; readonly settings: Readonly<Record<string, unknown>> } | undefined;
  readonly seed: number;
  /** What a 5-gram is counted on, to be scored on the same bytes. */
  readonly baseline?: Corpus | undefined;
  readonly onProgress?: ((what: string) => void) | undefined;
}

export interface EvaluationRow extends Perplexity {
  /** Bits per byte of the 5-gram on the bytes of this row; on the whole text where tokens are no bytes. */
  readonly baseline: number | null;
}

export interface Evaluation extends EvaluationFacts {
  readonly rows: readonly EvaluationRow[];
}

/**
 * Perplexity and bits per byte of a trained model at any lengths, in windows that lie side by side or slide, beside those of
 * a 5-gram.
 *
 * @throws OptionError with every reason at once, before anything is computed.
 */
export async function evaluateModel(
  device: Device,
  trained: { readonly model: LanguageModel; readonly config: ModelConfig },
  text: { readonly source: TokenSource; readonly bytes: Corpus },
  options: EvaluateOptions,
): Promise<Evaluation> {
  const { lengths, modes, stride, maxBytes, precision, mechanism: other, seed, baseline, onProgress } = options;
  const { source } = text;
  const maxTokens = maxBytes === undefined ? undefined : Math.max(1, Math.floor(maxBytes / source.bytesPerToken));
  const wanted = [...new Set(lengths)].flatMap((length) =>
    modes.map((mode): WindowOptions => ({ length, mode, stride: mode === 'sliding' ? stride : undefined, maxTokens })),
  );
  refuse(trained.config, source, wanted);
  const swapped = other && swapMechanism(trained.model, trained.config, { device, seed, ...other });
  try {
    const { model } = swapped ?? trained;
    const fiveGram = counted(baseline, onProgress);
    const rows: EvaluationRow[] = [];
    for (const window of wanted) {
      const say = (share: number): void =>
        onProgress?.(`length ${window.length}, ${window.mode}: ${Math.floor(100 * share)} %`);
      const found = await perplexity({
        device,
        model,
        source,
        precision,
        ...window,
        onProgress: (tokens, of) => say(tokens / of),
      });
      rows.push({ ...found, baseline: fiveGram?.(source, text.bytes, window) ?? null });
    }
    return {
      ...factsOf(device, trained, swapped, source, precision),
      rows,
    };
  } finally {
    swapped?.model.dispose();
  }
}

function refuse(config: ModelConfig, source: TokenSource, wanted: readonly WindowOptions[]): void {
  checkNextToken(config);
  const reasons = wanted.flatMap((window) => {
    try {
      windowsOf(source, window);
      return [];
    } catch (error) {
      if (!(error instanceof OptionError)) throw error;
      return [error.message.replace(/^perplexity: /, '').replace(/\.$/, '')];
    }
  });
  const beyond = wanted.filter(({ length }) => length > config.length).map(({ length }) => length);
  if (config.position.method === 'learned' && beyond.length > 0) {
    reasons.push(
      `the model learned ${config.length} positions and has none for a length of ${Math.min(...beyond)}; ` +
        `take at most ${config.length}`,
    );
  }
  if (config.memory.length > 0 && wanted.some(({ mode }) => mode === 'sliding')) {
    reasons.push('the model has a memory, so its windows follow each other; take mode separate');
  }
  if (reasons.length > 0) throw new OptionError(`evaluate: ${[...new Set(reasons)].join('; ')}.`);
}

type Baseline = (source: TokenSource, bytes: Corpus, window: WindowOptions) => number;

/** Scores the bytes of a row with a 5-gram of the text. */
function counted(corpus: Corpus | undefined, onProgress: EvaluateOptions['onProgress']): Baseline | undefined {
  if (corpus === undefined) return undefined;
  onProgress?.('counting 5-grams');
  const model = new Ngram(corpus);
  let whole: number | undefined;
  return (source, bytes, window) => {
    if (source.unit === 'token') return (whole ??= model.score(bytes).bitsPerByte);
    onProgress?.('scoring 5-grams');
    return bitsOfWindows(model, source, windowsOf(source, window).list, window.length);
  };
}

function bitsOfWindows(model: Ngram, source: TokenSource, windows: readonly Window[], length: number): number {
  const context = model.order - 1;
  let [bits, scored] = [0, 0];
  for (const { start, scores } of windows) {
    const first = start + 1 + length - scores;
    const from = Math.max(0, first - context);
    const bytes = new Int32Array(first + scores - from);
    source.read(from, bytes);
    for (let at = first - from; at < bytes.length; at++) {
      bits -= Math.log2(model.probability(bytes.subarray(Math.max(0, at - context), at), bytes[at]!));
    }
    scored += scores;
  }
  return bits / scored;
}

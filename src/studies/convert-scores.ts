import type { TokenSource } from '../data/tokens.js';
import type { Device } from '../devices/device.js';
import type { ModelConfig } from '../models/config.js';
import type { LanguageModel } from '../models/model.js';
import { adapt } from './adapt.js';
import type { Converted } from './convert.js';
import { batchesOf, score, type Score, type Scoring } from './swap-score.js';

/** How well a model predicts a text in windows of a length. */
export interface ConversionRow extends Pick<Score, 'bitsPerByte' | 'accuracy' | 'tokensPerSecond' | 'targets'> {
  readonly model: 'trained' | 'converted' | 'trained on';
  readonly length: number;
  readonly windows: number;
}

export interface Continued {
  /** Steps of training of all weights. */
  readonly steps: number;
  /** Lengths that share them, one after the other. */
  readonly stages: readonly number[];
  readonly source: TokenSource;
  readonly rate?: number;
}

export interface ScoreConversionOptions {
  readonly device: Device;
  readonly source: TokenSource;
  readonly seed: number;
  /** Bytes of the text that are scored at most. */
  readonly maxBytes: number;
  readonly masking?: Scoring['masking'];
  /** Training of the converted model, in place. */
  readonly continued?: Continued | undefined;
  readonly onProgress?: (what: string) => void;
}

/**
 * What a conversion keeps: scores of both models at the trained length, and of the converted one at its own, on the same bytes; and again
 * after its training is continued. A text in windows of the trained length is what is left to a model that cannot read more.
 *
 * @throws as `score`, for a text that is shorter than a window; NumericsError where training has no finite loss.
 */
export async function scoreConversion(
  trained: { readonly model: LanguageModel; readonly config: ModelConfig },
  converted: Pick<Converted, 'model' | 'config'>,
  { device, source, seed, maxBytes, masking, continued, onProgress = () => undefined }: ScoreConversionOptions,
): Promise<readonly ConversionRow[]> {
  const rows: ConversionRow[] = [];
  const [short, long] = [trained.config.length, converted.config.length];
  const maxTokens = Math.max(long, Math.floor(maxBytes / source.bytesPerToken));
  const scored = async (name: ConversionRow['model'], which: typeof trained, length: number): Promise<void> => {
    onProgress(`${name} model in windows of ${length}`);
    const scoring = { device, config: which.config, source, seed, masking };
    const found = await score(which.model, scoring, { length, mode: 'separate', maxTokens });
    const { bitsPerByte, accuracy, tokensPerSecond, targets, windows } = found;
    rows.push({ model: name, length, bitsPerByte, accuracy, tokensPerSecond, targets, windows: windows.length });
  };
  const lengths = short === long ? [long] : [short, long];
  await scored('trained', trained, short);
  for (const length of lengths) await scored('converted', converted, length);
  if (continued === undefined) return rows;
  await continueTraining(converted, { device, seed, masking, ...continued, onProgress });
  for (const length of lengths) await scored('trained on', converted, length);
  return rows;
}

/** Lengths from a trained one to another, each twice the one before. (Beltagy et al. 2020, section 4.1.) */
export function stagesOf(trained: number, length: number): number[] {
  const stages = [length];
  while (stages[0]! / 2 > trained) stages.unshift(Math.ceil(stages[0]! / 2));
  return stages;
}

/** Tokens of a step. */
const STEP_TOKENS = 8192;

async function continueTraining(
  { model, config }: Pick<Converted, 'model' | 'config'>,
  {
    stages,
    steps,
    source,
    rate = 2e-4,
    onProgress,
    ...scoring
  }: Continued & Omit<Scoring, 'config'> & { readonly onProgress: (what: string) => void },
): Promise<void> {
  for (const [i, length] of stages.entries()) {
    const share = Math.floor((steps * (i + 1)) / stages.length) - Math.floor((steps * i) / stages.length);
    if (share === 0) continue;
    await adapt(model, {
      device: scoring.device,
      batches: batchesOf(
        { ...scoring, source, config: { ...config, length } },
        Math.max(1, Math.floor(STEP_TOKENS / length)),
      ),
      steps: share,
      seed: scoring.seed + i,
      all: true,
      // half of it at each longer stage, as there
      rate: rate / 2 ** i,
      onStep: (step) => onProgress(`training at ${length}, step ${step} of ${share}`),
    });
  }
}

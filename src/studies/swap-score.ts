import { Batches, maskedBatches } from '../data/index.js';
import type { TokenSource } from '../data/tokens.js';
import type { Device } from '../devices/device.js';
import { seesBothSides } from '../models/create.js';
import type { LanguageModel, ModelConfig } from '../models/index.js';
import type { BatchSource } from '../train/micro-batch.js';
import { type MaskedOptions, maskedScores } from './masked.js';
import { perplexity } from './perplexity.js';
import type { WindowOptions } from './windows.js';

/** How well a model predicts the windows of a text. */
export interface Score {
  readonly bitsPerByte: number;
  /** Share of the targets that are the likeliest token; null where it is not counted. */
  readonly accuracy: number | null;
  readonly tokensPerSecond: number;
  readonly targets: number;
  readonly bytesPerToken: number;
  readonly windows: readonly Window[];
}

/** The sum of the losses of a window, in nats, and how many they are. */
interface Window {
  readonly nats: number;
  readonly targets: number;
}

/** What a score needs to know. */
export interface Scoring {
  readonly device: Device;
  readonly config: ModelConfig;
  readonly source: TokenSource;
  /** Of what is hidden. */
  readonly seed: number;
  /** What is hidden of a window, as the encoder was trained; default as `maskedScores`. */
  readonly masking?: MaskedOptions['masking'];
}

/** How well a model predicts the windows: each next token, or, of an encoder, those that are masked. */
export async function score(model: LanguageModel, scoring: Scoring, window: WindowOptions): Promise<Score> {
  const how = seesBothSides(scoring.config) ? maskedScore : nextScore;
  // kernels are compiled before they are timed
  await how(model, scoring, { ...window, maxTokens: window.length });
  return how(model, scoring, window);
}

async function nextScore(model: LanguageModel, { device, source }: Scoring, window: WindowOptions): Promise<Score> {
  const windows: Window[] = [];
  const onWindow = (losses: ArrayLike<number>): void => void windows.push(windowOf(losses));
  const { bitsPerByte, tokens, seconds } = await perplexity({ device, source, model, ...window, onWindow });
  return {
    bitsPerByte,
    accuracy: null,
    tokensPerSecond: tokens / seconds,
    targets: tokens,
    bytesPerToken: source.bytesPerToken,
    windows,
  };
}

async function maskedScore(
  model: LanguageModel,
  { device, source, seed, masking }: Scoring,
  { length, maxTokens }: WindowOptions,
): Promise<Score> {
  const windows: Window[] = [];
  const { bitsPerByte, accuracy, tokens, seconds } = await maskedScores({
    device,
    source,
    model,
    length,
    maxTokens,
    seed,
    masking,
    onWindow: ({ losses }) => void windows.push(windowOf(losses)),
  });
  const { bytesPerToken } = source;
  return {
    bitsPerByte,
    accuracy,
    tokensPerSecond: (windows.length * length) / seconds,
    targets: tokens,
    bytesPerToken,
    windows,
  };
}

function windowOf(losses: ArrayLike<number>): Window {
  let nats = 0;
  for (let i = 0; i < losses.length; i++) nats += losses[i]!;
  return { nats, targets: losses.length };
}

/** Windows to train on, as the model was trained. */
export function batchesOf({ config, source, seed, masking }: Omit<Scoring, 'device'>, batchSize: number): BatchSource {
  const batches = new Batches(source, { batchSize, length: config.length, seed });
  return seesBothSides(config)
    ? maskedBatches(batches, { ...masking, outputs: config.outputs ?? config.vocabulary, seed })
    : batches;
}

/** Bits per byte that a score has more than another of the same windows, and the standard error of that over the windows, taken for independent. */
export function changeOf(one: Score, base: Score): { readonly change: number; readonly changeError: number | null } {
  const bits = 1 / Math.LN2 / one.bytesPerToken;
  const count = one.windows.length;
  const nats = one.windows.reduce((sum, own, i) => sum + own.nats - base.windows[i]!.nats, 0) / one.targets;
  // of a ratio of sums, to first order: windows may have unequally many targets
  const squares = one.windows.reduce(
    (sum, own, i) => sum + (own.nats - base.windows[i]!.nats - own.targets * nats) ** 2,
    0,
  );
  return {
    change: nats * bits,
    changeError: count > 1 ? (bits * Math.sqrt((squares * count) / (count - 1))) / one.targets : null,
  };
}

import { Batches } from '../data/index.js';
import type { TokenSource } from '../data/tokens.js';
import type { Device } from '../devices/device.js';
import type { LanguageModel, ModelConfig } from '../models/index.js';
import type { BatchSource } from '../train/micro-batch.js';
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
  /** Of each window. */
  readonly windows: readonly { readonly nats: number; readonly targets: number }[];
}

/** What a score needs to know. */
export interface Scoring {
  readonly device: Device;
  readonly config: ModelConfig;
  readonly source: TokenSource;
  /** Of what is hidden. */
  readonly seed: number;
}

/** Next tokens of a causal model. */
export async function score(model: LanguageModel, { device, source }: Scoring, window: WindowOptions): Promise<Score> {
  const windows: Score['windows'][number][] = [];
  const onWindow = (losses: ArrayLike<number>): void => {
    let nats = 0;
    for (let i = 0; i < losses.length; i++) nats += losses[i]!;
    windows.push({ nats, targets: losses.length });
  };
  const common = { device, source, model };
  // kernels are compiled before they are timed
  await perplexity({ ...common, ...window, maxTokens: window.length });
  const { bitsPerByte, tokens, seconds } = await perplexity({ ...common, ...window, onWindow });
  return {
    bitsPerByte,
    accuracy: null,
    tokensPerSecond: tokens / seconds,
    targets: tokens,
    bytesPerToken: source.bytesPerToken,
    windows,
  };
}

/** Windows to train on, as the model was trained. */
export const batchesOf = ({ config, source, seed }: Omit<Scoring, 'device'>, batchSize: number): BatchSource =>
  new Batches(source, { batchSize, length: config.length, seed });

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

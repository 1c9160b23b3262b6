import { OptionError } from '../core/errors.js';
import { Batches, type TokenSource } from '../data/index.js';
import { spanBatches, spanPlan, type Corruption } from '../data/span-corruption.js';
import type { Device } from '../devices/index.js';
import type { ModelConfig } from '../models/config.js';
import type { LanguageModel } from '../models/model.js';
import { evaluate } from '../train/evaluate.js';
import type { Evaluation, EvaluateOptions } from './evaluate.js';
import { machine } from './machine.js';

export interface SpanEvaluation extends Pick<Evaluation, 'config' | 'parameters' | 'precision' | 'machine' | 'unit'> {
  /** Tokens of a window. */
  readonly window: number;
  readonly windows: number;
  /** What was asked for, sentinels among it. */
  readonly targets: number;
  readonly accuracy: number;
  readonly bitsPerTarget: number;
  readonly seconds: number;
}

export interface EvaluateSpansOptions extends Pick<EvaluateOptions, 'precision' | 'maxBytes' | 'seed' | 'onProgress'> {
  readonly objective: Corruption;
}

/**
 * How well an encoder–decoder tells the spans that windows of a text lack: which ones follows from the seed and the place of the window.
 *
 * @throws OptionError for a text shorter than a window.
 */
export async function evaluateSpans(
  device: Device,
  { model, config }: { readonly model: LanguageModel; readonly config: ModelConfig },
  source: TokenSource,
  { objective, precision, maxBytes, seed, onProgress }: EvaluateSpansOptions,
): Promise<SpanEvaluation> {
  const { share, span } = objective;
  const { window, sentinels } = spanPlan(config.length, { share, span });
  const count = Math.floor((source.size - 1) / window);
  if (count < 1) {
    throw new OptionError(
      `evaluate: a window takes ${window + 1} ${source.unit}s, the text has ${source.size}: give more text.`,
    );
  }
  const windows = new Batches(source, { batchSize: 1, length: window, order: 'sequential' });
  const batches = spanBatches(windows, { share, span, sentinel: config.vocabulary - sentinels, seed, fixed: true });
  const most = maxBytes === undefined ? count : Math.max(1, Math.floor(maxBytes / source.bytesPerToken / window));
  let [hits, done] = [0, 0];
  const begin = performance.now();
  const found = await evaluate({
    device,
    model,
    batches,
    windows: most,
    precision,
    onPredictions(predictions, targets) {
      for (let i = 0; i < targets.length; i++) hits += Number(predictions[i] === targets[i]);
      onProgress?.(`${Math.floor((100 * ++done) / Math.min(most, count))} %`);
    },
  });
  return {
    config,
    parameters: [...model.stateDict().values()].reduce((sum, { size }) => sum + size, 0),
    precision,
    machine: machine(device),
    unit: source.unit,
    window,
    windows: found.windows,
    targets: found.tokens,
    accuracy: hits / found.tokens,
    bitsPerTarget: found.loss / Math.LN2,
    seconds: (performance.now() - begin) / 1000,
  };
}

import type { Device } from '../devices/index.js';
import type { ModelConfig } from '../models/config.js';
import type { LanguageModel } from '../models/model.js';
import type { TokenSource } from '../data/index.js';
import { OptionError } from '../core/errors.js';
import type { EvaluateOptions } from './evaluate.js';
import { type EvaluationFacts, factsOf } from './evaluation-facts.js';
import { maskedScores, type MaskedOptions, type MaskedScores } from './masked.js';
import type { Objective } from './objective.js';
import { swapMechanism } from './swap.js';

export interface MaskedEvaluation extends EvaluationFacts {
  readonly objective: Objective & { readonly name: 'masked' };
  readonly rows: readonly MaskedScores[];
}

export interface EvaluateMaskedOptions extends Pick<
  EvaluateOptions,
  'lengths' | 'maxBytes' | 'precision' | 'mechanism' | 'seed' | 'onProgress'
> {
  readonly objective: MaskedEvaluation['objective'];
  /** Of a published model, whose mask token is among those that it predicts. */
  readonly maskToken?: number | undefined;
  /** Of a published model: what its tokenizer puts around a text. */
  readonly around?: MaskedOptions['around'];
}

/**
 * How well an encoder fills in what a text hides, at any lengths, by its own or another mechanism: `maskedScores` of each.
 *
 * @throws OptionError for lengths that the model or the text does not have; as `maskedScores` and `swapMechanism`.
 */
export async function evaluateMasked(
  device: Device,
  trained: { readonly model: LanguageModel; readonly config: ModelConfig },
  source: TokenSource,
  options: EvaluateMaskedOptions,
): Promise<MaskedEvaluation> {
  const { lengths, maxBytes, precision, mechanism: other, seed, onProgress, objective, maskToken, around } = options;
  const beyond = lengths.filter((length) => length > trained.config.length);
  if (trained.config.position.method === 'learned' && beyond.length > 0) {
    const { length } = trained.config;
    throw new OptionError(
      `evaluate: the model learned ${length} positions and has none for a length of ${Math.min(...beyond)}; take at most ${length}.`,
    );
  }
  const maxTokens = maxBytes === undefined ? undefined : Math.max(1, Math.floor(maxBytes / source.bytesPerToken));
  const swapped = other && swapMechanism(trained.model, trained.config, { device, seed, ...other });
  const { share, span, words } = objective;
  try {
    const { model } = swapped ?? trained;
    const rows: MaskedScores[] = [];
    for (const length of new Set(lengths)) {
      const onWindows = (done: number, of: number): void =>
        onProgress?.(`length ${length}: ${Math.floor((100 * done) / of)} %`);
      const asked = { device, model, source, length, maxTokens, seed, precision, around };
      rows.push(
        await maskedScores({
          ...asked,
          masking: { share, span, words, ...(maskToken !== undefined && { maskToken }) },
          onProgress: onWindows,
        }),
      );
    }
    return {
      objective,
      ...factsOf(device, trained, swapped, source, precision),
      rows,
    };
  } finally {
    swapped?.model.dispose();
  }
}

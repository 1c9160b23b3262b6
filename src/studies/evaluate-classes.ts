import { LabelledBatches } from '../data/labelled/buckets.js';
import { OptionError } from '../core/errors.js';
import type { Device } from '../devices/index.js';
import { mechanismNames } from '../models/config-layers.js';
import type { ModelConfig } from '../models/config.js';
import type { LanguageModel } from '../models/model.js';
import { evaluate } from '../train/evaluate.js';
import type { Classification } from './classification.js';
import { Confusion, type ClassScores } from './confusion.js';
import type { Evaluation, EvaluateOptions } from './evaluate.js';
import { cutTo, openLabelled, tooLong } from './labelled-parts.js';
import { readLabelled } from './labelled.js';
import { machine } from './machine.js';
import { paddingOf } from './padding.js';
import { swapMechanism } from './swap.js';

export interface ClassEvaluation extends Pick<
  Evaluation,
  'config' | 'parameters' | 'swapped' | 'precision' | 'machine'
> {
  readonly classes: readonly string[];
  readonly examples: number;
  readonly scores: ClassScores;
  /** Mean over the examples, in nats. */
  readonly loss: number;
  readonly seconds: number;
  /** Whether the examples were kept apart when the model was trained. */
  readonly heldOut: boolean;
  /** Examples that were cut to what the model takes. */
  readonly cut: number;
}

export interface EvaluateClassesOptions extends Pick<
  EvaluateOptions,
  'precision' | 'mechanism' | 'seed' | 'onProgress'
> {
  readonly objective: Classification;
  /** Of the run's section `data`. */
  readonly data: { readonly texts: readonly string[]; readonly tokeniser: string | null; readonly validation: number };
  /** What to evaluate on in place of what was kept apart. */
  readonly on: {
    readonly texts: readonly string[];
    readonly images: readonly string[];
    readonly labels: readonly string[];
  };
  readonly batchSize?: number;
}

/**
 * How well a model tells classes: accuracy, macro F1 and which class is taken for which, of named examples, or those that training kept
 * apart.
 *
 * @throws as `readLabelled` and `swapMechanism`; OptionError where training kept nothing, or examples are longer than the model takes.
 */
export async function evaluateClasses(
  device: Device,
  trained: { readonly model: LanguageModel; readonly config: ModelConfig },
  options: EvaluateClassesOptions,
): Promise<ClassEvaluation> {
  const { objective, data, on, precision, mechanism: other, seed, onProgress, batchSize = 32 } = options;
  const { classes } = objective;
  const { length } = trained.config;
  const named = on.texts.length + on.images.length > 0;
  onProgress?.('reading the examples');
  const parts = named ? undefined : await openLabelled(objective, { ...data, length });
  const own = parts ?? (await readLabelled(objective, { ...on, tokeniser: data.tokeniser, classes }));
  const all = 'examples' in own ? own.examples : own.held;
  if (all === undefined) throw new OptionError('evaluate: training kept no examples apart; name a file of examples.');
  const cut = parts ? parts.cut : tooLong([all], length, objective.truncate);
  const examples = cutTo(all, length);
  const swapped = other && swapMechanism(trained.model, trained.config, { device, seed, ...other });
  try {
    const { model, config } = swapped ?? trained;
    const { lengths } = paddingOf(config, [examples], device.info);
    const batches = new LabelledBatches(examples, { batchSize, lengths });
    const confusion = new Confusion(classes.length);
    const begin = performance.now();
    let done = 0;
    const { loss } = await evaluate({
      device,
      model,
      batches,
      precision,
      onPredictions(predictions, targets) {
        confusion.add(predictions, targets);
        onProgress?.(`${Math.floor((100 * (done += targets.length)) / examples.labels.length)} %`);
      },
    });
    return {
      classes,
      examples: examples.labels.length,
      scores: confusion.scores(),
      loss,
      seconds: (performance.now() - begin) / 1000,
      heldOut: !named,
      cut,
      config,
      parameters: [...model.stateDict().values()].reduce((sum, { size }) => sum + size, 0),
      swapped: swapped ? { from: mechanismNames(trained.config), drawn: swapped.drawn, unused: swapped.unused } : null,
      precision,
      machine: machine(device),
    };
  } finally {
    swapped?.model.dispose();
  }
}

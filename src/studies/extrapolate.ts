import { join } from 'node:path';
import { OptionError } from '../core/errors.js';
import { positive, reasonsAgainst, wholeFrom } from '../core/requirements.js';
import type { Corpus } from '../data/corpus.js';
import type { CpuDevice } from '../devices/index.js';
import { readConfig, type ModelConfig } from '../models/config.js';
import { createModel } from '../models/create.js';
import type { LanguageModel } from '../models/model.js';
import { extendPositions } from '../positions/index.js';
import { keep, type Tensor } from '../tensor/index.js';
import { chooseMethods, type ExtrapolationMethod } from './extrapolate-methods.js';
import { trainSmall, type Recipe } from './extrapolate-train.js';
import { type Machine, machine } from './machine.js';
import { perplexity } from './perplexity.js';

export interface ExtrapolateOptions extends Omit<Recipe, 'seed'> {
  readonly methods: readonly string[];
  /** L: tokens of a training window. */
  readonly length: number;
  /** Evaluated lengths, as multiples of L. */
  readonly times: readonly number[];
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** Seeds `seed … seed + seeds − 1`: of the weights at first, and of the order of the text. */
  readonly seeds: number;
  readonly seed: number;
  /** Bytes of the validation text that are scored at most. */
  readonly maxTokens: number;
  /** Keeps the finished models; a later study of the same options takes them from there. */
  readonly folder?: string | undefined;
  readonly onProgress?: ((progress: ExtrapolationProgress) => void) | undefined;
  /** Told of each model's rows. */
  readonly onRows?: ((rows: readonly ExtrapolationRow[]) => void) | undefined;
  /** Asked often; where true, the study ends with what is done. */
  readonly stopping?: (() => boolean) | undefined;
}

export interface ExtrapolationProgress {
  readonly what: string;
  /** Share of all work that is done, 0 … 1. */
  readonly share: number;
}

/** One model at one length. */
export interface ExtrapolationRow {
  readonly method: string;
  readonly seed: number;
  readonly times: number;
  readonly length: number;
  readonly mode: 'separate' | 'sliding';
  /** Null where the method is not defined at that length. */
  readonly bitsPerByte: number | null;
  readonly perplexityPerByte: number | null;
  readonly tokens: number;
}

export interface Extrapolation {
  readonly methods: readonly Pick<ExtrapolationMethod, 'name' | 'label' | 'trained'>[];
  readonly length: number;
  readonly times: readonly number[];
  readonly model: ModelConfig;
  readonly parameters: number;
  readonly recipe: Omit<Recipe, 'seed'>;
  readonly seeds: readonly number[];
  readonly trainBytes: number;
  readonly scoredBytes: number;
  readonly machine: Machine;
  readonly rows: readonly ExtrapolationRow[];
  /** Whether it was stopped before its end. */
  readonly stopped: boolean;
}

/** Evaluation reads tokens forward only, which takes about a third of a training step. */
const FORWARD = 1 / 3;

/**
 * Trains one small model for each way to know positions, on windows of L tokens, and measures how well each predicts a text
 * that it has not seen in windows of L and of multiples of it, side by side and sliding: what figure 1 of Press et al. 2022
 * (arXiv 2108.12409) shows. All score the same bytes.
 *
 * @throws OptionError with every reason at once.
 */
export async function extrapolate(
  device: CpuDevice,
  text: { readonly train: Corpus; readonly validation: Corpus },
  options: ExtrapolateOptions,
): Promise<Extrapolation> {
  const methods = chooseMethods(options.methods);
  const times = [...new Set(options.times)].sort((a, b) => a - b);
  const scored = scoredPart(text.validation, times, options);
  const trained = [...new Set(methods.map((method) => method.trained))];
  const { length, seeds, seed: first, steps, batchSize, rate } = options;
  const all = Array.from({ length: seeds }, (_, i) => first + i);
  const meter = new Work(trained.length * seeds, methods.length * seeds, times, scored.size - 1, options);
  const rows: ExtrapolationRow[] = [];
  let parameters = 0;
  let stopped = false;
  // seed by seed, so that what is stopped has all methods of some seeds
  for (const seed of all) {
    for (const position of trained) {
      if ((stopped ||= options.stopping?.() === true)) continue;
      const config = configOf(options, position);
      const folder = options.folder === undefined ? undefined : join(options.folder, `${position}-${seed}`);
      const name = `${position}${seeds > 1 ? `, seed ${seed}` : ''}`;
      const model = await trainSmall({
        device,
        corpus: text.train,
        config,
        steps,
        batchSize,
        rate,
        seed,
        folder,
        onStep: (step) =>
          options.onProgress?.({ what: `training ${name}: step ${step} of ${steps}`, share: meter.training(step) }),
        stopping: options.stopping,
      });
      if (model === undefined) {
        stopped = true;
        continue;
      }
      meter.trained();
      parameters = [...model.namedParameters().values()].reduce((sum, { value }) => sum + value.size, 0);
      try {
        for (const method of methods.filter((one) => one.trained === position)) {
          options.onProgress?.({ what: `evaluating ${method.label}`, share: meter.share });
          const own: ExtrapolationRow[] = [];
          for (const factor of times) {
            for (const mode of ['separate', 'sliding'] as const) {
              own.push(await evaluated({ device, model, method, factor, mode, config, seed, source: scored }));
            }
          }
          meter.evaluated();
          rows.push(...own);
          options.onRows?.(own);
        }
      } finally {
        model.dispose();
      }
    }
  }
  return {
    methods: methods.map(({ name, label, trained: position }) => ({ name, label, trained: position })),
    length,
    times,
    model: configOf(options, 'none'),
    parameters,
    recipe: { steps, batchSize, rate },
    seeds: all,
    trainBytes: text.train.size,
    scoredBytes: scored.size - 1,
    machine: machine(device),
    rows,
    stopped,
  };
}

/** The start of the validation text, whole windows of the longest length: at every length the same bytes are scored. */
function scoredPart(validation: Corpus, times: readonly number[], options: ExtrapolateOptions): Corpus {
  const whole = wholeFrom(1);
  const { length, steps, batchSize, layers, width, heads, seeds, maxTokens, rate, seed } = options;
  const rules = { length: whole, steps: wholeFrom(2), batchSize: whole, layers: whole, width: whole, heads: whole };
  const own = { length, steps, batchSize, layers, width, heads };
  const reasons = [
    ...reasonsAgainst(own, rules),
    ...reasonsAgainst(
      { seeds, maxTokens, rate, seed },
      { seeds: whole, maxTokens: whole, rate: positive, seed: wholeFrom(0) },
    ),
  ];
  if (times.length === 0 || !times.every((factor) => Number.isSafeInteger(factor) && factor >= 1)) {
    reasons.push(`times must be whole numbers of at least 1; got ${times.join(', ') || 'none'}`);
  }
  const longest = length * (times.at(-1) ?? 1);
  const windows = Math.floor((Math.min(validation.size, maxTokens + 1) - 1) / longest);
  if (reasons.length === 0 && windows === 0) {
    const has =
      maxTokens < validation.size ? `${maxTokens} are to be scored` : `the validation text has ${validation.size}`;
    reasons.push(
      `a window of ${longest} takes ${longest + 1} bytes, ${has}: give more text, a smaller length, or smaller multiples`,
    );
  }
  if (reasons.length > 0) throw new OptionError(`extrapolate: ${reasons.join('; ')}.`);
  return validation.slice(0, windows * longest + 1);
}

function configOf({ length, layers, width, heads }: ExtrapolateOptions, position: string): ModelConfig {
  return readConfig({ length, layers, width, heads, position });
}

interface Evaluated {
  readonly device: CpuDevice;
  readonly model: LanguageModel;
  readonly method: ExtrapolationMethod;
  readonly factor: number;
  readonly mode: 'separate' | 'sliding';
  readonly config: ModelConfig;
  readonly seed: number;
  readonly source: Corpus;
}

async function evaluated(call: Evaluated): Promise<ExtrapolationRow> {
  const { device, method, factor, mode, config, seed, source } = call;
  const length = factor * config.length;
  const row = { method: method.name, seed, times: factor, length, mode };
  const position = method.evaluated(factor, config.length);
  if (position === null) return { ...row, bitsPerByte: null, perplexityPerByte: null, tokens: 0 };
  const longer = withPosition(call, readConfig({ ...config, position, length: method.tiled ? length : config.length }));
  try {
    const found = await perplexity({ device, model: longer, source, length, mode });
    return { ...row, bitsPerByte: found.bitsPerByte, perplexityPerByte: found.perplexityPerByte, tokens: found.tokens };
  } finally {
    longer.dispose();
  }
}

/** The trained weights in a model of another position: only a learned table may have to grow. */
function withPosition({ model }: Evaluated, config: ModelConfig): LanguageModel {
  const longer = createModel(config);
  const made: Tensor[] = [];
  try {
    const specs = longer.namedParameters();
    const state = new Map(
      [...model.stateDict()].map(([name, value]) => {
        const rows = specs.get(name)?.spec.shape[0] ?? 0;
        if (!name.endsWith('positions.table') || rows <= value.shape[0]!) return [name, value];
        made.push(keep(extendPositions(value, rows)));
        return [name, made.at(-1)!];
      }),
    );
    return longer.load(state);
  } catch (error) {
    longer.dispose();
    throw error;
  } finally {
    for (const one of made) one.dispose();
  }
}

/** How much of the work is done, counted in tokens of training. */
class Work {
  readonly #ofModel: number;
  readonly #ofMethod: number;
  readonly #all: number;
  readonly #steps: number;
  #done = 0;

  constructor(
    models: number,
    methods: number,
    times: readonly number[],
    scored: number,
    { steps, batchSize, length }: ExtrapolateOptions,
  ) {
    this.#steps = steps;
    this.#ofModel = steps * batchSize * length;
    // sliding windows read each token twice, those side by side once
    this.#ofMethod = 3 * FORWARD * scored * times.length;
    this.#all = models * this.#ofModel + methods * this.#ofMethod;
  }

  get share(): number {
    return this.#done / this.#all;
  }

  training(step: number): number {
    return (this.#done + (this.#ofModel * step) / this.#steps) / this.#all;
  }

  trained(): void {
    this.#done += this.#ofModel;
  }

  evaluated(): void {
    this.#done += this.#ofMethod;
  }
}

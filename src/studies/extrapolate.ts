import { join } from 'node:path';
import { OptionError } from '../core/errors.js';
import { positive, reasonsAgainst, wholeFrom } from '../core/requirements.js';
import type { Corpus } from '../data/corpus.js';
import type { Device } from '../devices/index.js';
import { readConfig, type ModelConfig } from '../models/config.js';
import { evaluated, type ExtrapolationRow } from './extrapolate-evaluate.js';
import { chooseMethods, type ExtrapolationMethod } from './extrapolate-methods.js';
import { trainSmall, type Recipe } from './extrapolate-train.js';
import { Work } from './extrapolate-work.js';
import { type Machine, machine } from './machine.js';

export interface ExtrapolateOptions extends Omit<Recipe, 'seed'> {
  readonly methods: readonly string[];
  /** L: tokens of a training window. */
  readonly length: number;
  /** Evaluated lengths, as multiples of L. */
  readonly times: readonly number[];
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** What all of them attend by; default flash. */
  readonly mechanism?: ModelConfig['mechanism'] | undefined;
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

export interface Extrapolation {
  readonly methods: readonly Pick<ExtrapolationMethod, 'name' | 'label' | 'trained'>[];
  readonly length: number;
  readonly times: readonly number[];
  /** Of the first method; the others differ in their position alone. */
  readonly model: ModelConfig;
  /** Of the largest model: a learned table counts. */
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

/**
 * Trains one small model for each way to know positions, on windows of L tokens, and measures how well each predicts a text
 * that it has not seen in windows of L and of multiples of it, side by side and sliding: what figure 1 of Press et al. 2022
 * (arXiv 2108.12409) shows. All score the same bytes.
 *
 * @throws OptionError with every reason at once.
 */
export async function extrapolate(
  device: Device,
  text: { readonly train: Corpus; readonly validation: Corpus },
  options: ExtrapolateOptions,
): Promise<Extrapolation> {
  const methods = chooseMethods(options.methods);
  const times = [...new Set(options.times)].sort((a, b) => a - b);
  const scored = scoredPart(text.validation, times, options);
  const trained = [...new Set(methods.map((method) => method.trained))];
  const configs = trained.map((position) => configOf(options, position));
  const { length, seeds, seed: first, steps, batchSize, rate } = options;
  const all = Array.from({ length: seeds }, (_, i) => first + i);
  const work = new Work(trained.length * seeds, methods.length * seeds, times, scored.size - 1, options);
  const rows: ExtrapolationRow[] = [];
  let parameters = 0;
  let stopped = false;
  // seed by seed, so that what is stopped has all methods of some seeds
  for (const [seed, config] of all.flatMap((one) => configs.map((config) => [one, config] as const))) {
    const own = methods.filter((method) => method.trained === config.position.method);
    const done = await ofOneModel({
      device,
      text: text.train,
      scored,
      options,
      config,
      methods: own,
      times,
      seed,
      work,
    });
    rows.push(...done.rows);
    parameters = Math.max(parameters, done.parameters);
    stopped = done.stopped;
    if (stopped) break;
  }
  return {
    methods: methods.map(({ name, label, trained: position }) => ({ name, label, trained: position })),
    length,
    times,
    model: configs[0]!,
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

interface OneModel {
  readonly device: Device;
  readonly text: Corpus;
  readonly scored: Corpus;
  readonly options: ExtrapolateOptions;
  readonly config: ModelConfig;
  /** Those that this model is evaluated with. */
  readonly methods: readonly ExtrapolationMethod[];
  readonly times: readonly number[];
  readonly seed: number;
  readonly work: Work;
}

interface Done {
  readonly rows: readonly ExtrapolationRow[];
  readonly parameters: number;
  readonly stopped: boolean;
}

/** Trains a model, or takes the one that was kept, and evaluates it; what is stopped leaves the rows of whole methods. */
async function ofOneModel({
  device,
  text,
  scored,
  options,
  config,
  methods,
  times,
  seed,
  work,
}: OneModel): Promise<Done> {
  const { seeds, steps, batchSize, rate, stopping, onProgress, onRows } = options;
  const position = config.position.method;
  const name = `${position}${seeds > 1 ? `, seed ${seed}` : ''}`;
  const folder = options.folder === undefined ? undefined : join(options.folder, `${position}-${seed}`);
  const onStep = (step: number): void =>
    onProgress?.({ what: `training ${name}: step ${step} of ${steps}`, share: work.training(step) });
  const rows: ExtrapolationRow[] = [];
  const recipe = { steps, batchSize, rate, seed };
  const model = await trainSmall({ device, corpus: text, config, ...recipe, folder, onStep, stopping });
  if (model === undefined) return { rows, parameters: 0, stopped: true };
  try {
    const parameters = [...model.stateDict().values()].reduce((sum, { size }) => sum + size, 0);
    work.trained();
    for (const method of methods) {
      onProgress?.({ what: `evaluating ${method.label}${seeds > 1 ? `, seed ${seed}` : ''}`, share: work.share });
      const own: ExtrapolationRow[] = [];
      for (const factor of times) {
        for (const mode of ['separate', 'sliding'] as const) {
          if (stopping?.() === true) return { rows, parameters, stopped: true };
          own.push(await evaluated({ device, model, method, factor, mode, config, seed, source: scored }));
        }
      }
      work.evaluated();
      rows.push(...own);
      onRows?.(own);
    }
    return { rows, parameters, stopped: false };
  } finally {
    model.dispose();
  }
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

function configOf(options: ExtrapolateOptions, position: string): ModelConfig {
  const { length, layers, width, heads, mechanism } = options;
  return readConfig({ length, layers, width, heads, mechanism, position });
}

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError, OptionError } from '../core/errors.js';
import { Ngram } from '../data/index.js';
import type { Device } from '../devices/index.js';
import { type CarriedOver, carryOver } from '../models/carry-over.js';
import { createModel, type LanguageModel } from '../models/index.js';
import { evaluate, type EvaluateOptions } from '../train/evaluate.js';
import { lossScaler } from '../train/loss-scale.js';
import type { Metric } from '../train/metrics.js';
import { openModel } from '../pretrained/open.js';
import { readJson, writeJson } from '../train/model-file.js';
import { type Fitted, fitToMemory } from '../train/fit.js';
import { rehearseTraining } from '../train/rehearse.js';
import { runTraining, type RunResult, tracesOf } from '../train/run.js';
import type { Evaluated, Limits, Timed } from '../train/run-options.js';
import { Trainer } from '../train/trainer.js';
import { MOST_COUNTED } from './evaluate.js';
import { Confusion } from './confusion.js';
import { checkObjective, type Objective, rehearsalBatch } from './objective.js';
import { checkResumed, PROBE, readTrainConfig, settingsOf, type TrainConfig } from './train-config.js';
import { openData, openExamples, TOKENS, type TrainData } from './train-data.js';
import { optimiserOf, scheduleOf } from './train-optimiser.js';

/** What is known before the first step. */
export interface TrainStart {
  readonly config: TrainConfig;
  readonly parameters: number;
  readonly tokensPerStep: number;
  /** Most bytes that a step will hold. */
  readonly predictedBytes: number;
  readonly data: Pick<TrainData, 'bytes' | 'files' | 'notes'>;
  /** What was taken of the model that the run begins from. */
  readonly from: CarriedOver | undefined;
}

export interface TrainOptions {
  /** Of the run. */
  readonly folder: string;
  /** Whether the folder holds a run that goes on. */
  readonly resume: boolean;
  /** Bytes that a step may take; undefined: no limit. */
  readonly memoryLimit?: number | undefined;
  readonly onStart?: (start: TrainStart) => void;
  readonly onProgress?: (what: string) => void;
  readonly onMetric?: (metric: Metric, limits: Limits | undefined) => void;
  readonly onTrouble?: (message: string) => void;
  readonly stopping?: () => boolean;
}

export interface TrainResult extends RunResult {
  /** With the number of steps, and all that was left to be found. */
  readonly config: TrainConfig;
  /** Of the best evaluation. */
  readonly bestBitsPerByte: number | null;
  /** Bits per byte of a 5-gram of the same training text on all of the validation part; null where a run goes on later. */
  readonly fiveGram: number | null;
  /** What is to be known of the data and of rows that layers pool. */
  readonly notes: readonly string[];
}

export const CONFIG = 'config.json';

/** The configuration of the run in a folder. @throws FormatError when there is none. */
export function configOf(folder: string): TrainConfig {
  if (existsSync(join(folder, CONFIG))) return readTrainConfig(readJson(join(folder, CONFIG)));
  throw new FormatError(`training: "${folder}" holds no run (no ${CONFIG}); name the folder that training wrote to.`);
}

/**
 * Trains a model on texts, and leaves a folder with its configuration, metrics, last and best weights; nothing where it could not begin.
 *
 * @throws OptionError for a text or settings that do not fit, or another run's folder; what a run throws.
 */
export async function train(device: Device, given: TrainConfig, options: TrainOptions): Promise<TrainResult> {
  const { folder, resume, onStart } = options;
  const before = existsSync(folder) ? new Set(readdirSync(folder)) : undefined;
  let begun = resume;
  const started = (start: TrainStart): void => {
    begun = true;
    onStart?.(start);
  };
  try {
    return await trained(device, given, { ...options, onStart: started });
  } catch (error) {
    if (!begun) forget(folder, before);
    throw error;
  }
}

/** Takes away what a run that did not begin left in its folder, where these files were before; none: nor was the folder. */
function forget(folder: string, before: ReadonlySet<string> | undefined): void {
  if (before === undefined) rmSync(folder, { recursive: true, force: true });
  else for (const name of TOKENS) if (!before.has(name)) rmSync(join(folder, name), { force: true });
}

async function trained(device: Device, given: TrainConfig, options: TrainOptions): Promise<TrainResult> {
  const { folder, resume, memoryLimit, onStart, onProgress, ...hooks } = options;
  checkObjective(given.objective, given.model, given.data.tokeniser);
  // what is predicted of examples decides the sizes of the model
  if (isOfClasses(given)) onProgress?.('reading the examples');
  const found = isOfClasses(given) ? await openExamples(given, device.info) : undefined;
  const asked = found?.config ?? given;
  if (resume) checkResumed(folder, configOf(folder), asked);
  else {
    const traces = existsSync(join(folder, CONFIG)) ? 'a run' : tracesOf(folder);
    if (traces !== undefined) {
      throw new OptionError(`training: "${folder}" holds ${traces} already; resume it, or name another folder.`);
    }
  }
  onProgress?.('rehearsing a step');
  const { config: fitted, cost } = await rehearsed(asked, memoryLimit, device);
  const compiled = device.compileAll(cost.kernels);
  // what goes wrong is thrown where it is awaited
  compiled.catch(() => undefined);
  let config: TrainConfig = { ...asked, model: fitted };
  if (found === undefined) onProgress?.('reading the text');
  const data = found?.data ?? (await openData(config, folder, onProgress));
  onProgress?.('drawing the weights and compiling kernels');
  const model = createModel(config.model).initialise({ device, seed: config.train.seed });
  try {
    const { from: origin } = config.train;
    const from = origin === null || resume ? undefined : await weightsFrom(origin, model, device);
    const { precision, seed, accumulate, clip, patience, saveEvery } = config.train;
    const trainer = new Trainer({
      device,
      model,
      optimiser: optimiserOf(config.train.optimiser),
      schedule: scheduleOf(config.train, config.train.steps),
      batches: data.batches,
      accumulate,
      precision,
      seed,
      clip: clip === 0 ? Infinity : clip,
      ...(precision === 'f16' ? { lossScale: lossScaler() } : {}),
    });
    try {
      let begun = false;
      const parameters = [...model.stateDict().values()].reduce((total, { size }) => total + size, 0);
      const { tokensPerStep } = trainer;
      const start = { config, parameters, tokensPerStep, predictedBytes: cost.peakBytes, data, from };
      const settle = (steps: number): Limits => {
        const evaluateEvery = config.train.evaluateEvery ?? Math.max(1, Math.round(steps / 20));
        config = { ...config, train: { ...config.train, steps, minutes: null, evaluateEvery } };
        trainer.schedule = scheduleOf(config.train, steps);
        if (begun) writeJson(join(folder, CONFIG), config);
        return { steps, evaluateEvery };
      };
      const { steps } = config.train;
      const batches = data.validation;
      const { evaluateWindows } = config.train;
      // the last batches of a length are smaller: where all are evaluated, so are these
      const windows = (data.held ?? Infinity) <= evaluateWindows ? batches!.windows : evaluateWindows;
      const bitsPerByte = (loss: number): number => loss / Math.LN2 / data.bytesPerToken;
      await compiled;
      const result = await runTraining({
        ...hooks,
        folder,
        resume,
        trainer,
        limits: steps === null ? timed(config, settle) : settle(steps),
        evaluate: batches && (() => evaluated({ device, model, batches, windows, precision }, config.objective)),
        bitsPerByte,
        saveEvery: saveEvery ?? undefined,
        patience,
        data: data.fingerprint,
        settings: settingsOf(config),
        onBegin() {
          begun = true;
          writeJson(join(folder, CONFIG), config);
          onStart?.(start);
        },
        session: { device: device.info.kind, threads: device.info.threads, parameters },
      });
      const ended = result.reason === 'finished' || result.reason === 'no improvement';
      if (ended && config.objective.name === 'next') onProgress?.('counting 5-grams');
      return {
        ...result,
        config,
        bestBitsPerByte: result.best && bitsPerByte(result.best.loss),
        fiveGram: ended && config.objective.name === 'next' ? fiveGramOf(data) : null,
        notes: data.notes ?? [],
      };
    } finally {
      trainer.dispose();
    }
  } finally {
    model.dispose();
  }
}

const isOfClasses = (
  config: TrainConfig,
): config is TrainConfig & { readonly objective: { readonly name: 'classify' } } =>
  config.objective.name === 'classify';

/** More classes than that make a table that nobody reads. */
const MOST_CLASSES = 100;

/** The loss of the validation part, and what of its targets was predicted, where that is counted. */
async function evaluated(options: EvaluateOptions, objective: Objective): Promise<Evaluated> {
  if (objective.name === 'next') return evaluate(options);
  if (objective.name === 'masked' || objective.name === 'spans') {
    let hits = 0;
    const onPredictions = (predictions: ArrayLike<number>, targets: ArrayLike<number>): void => {
      for (let i = 0; i < targets.length; i++) hits += Number(predictions[i] === targets[i]);
    };
    const found = await evaluate({ ...options, onPredictions });
    return { ...found, more: { accuracy: hits / found.tokens } };
  }
  const { classes, best } = objective;
  const confusion = new Confusion(classes.length);
  const found = await evaluate({
    ...options,
    onPredictions: (predictions, targets) => confusion.add(predictions, targets),
  });
  const { matrix, ...scores } = confusion.scores();
  return {
    ...found,
    windows: found.tokens,
    ...(best === 'accuracy' && { score: -scores.accuracy }),
    more: { ...scores, ...(classes.length <= MOST_CLASSES && { confusion: matrix }) },
  };
}

function fiveGramOf({ corpora }: TrainData): number | null {
  if (corpora === undefined) return null;
  const { train, validation } = corpora;
  if (validation === undefined || train.size > MOST_COUNTED) return null;
  return new Ngram(train).score(validation).bitsPerByte;
}

/** The model with what it leaves to the memory limit, and what a step of it takes. */
async function rehearsed(
  { model, objective, train: settings }: TrainConfig,
  limit: number | undefined,
  device: Device,
): Promise<Fitted> {
  const { batch: batchSize, accumulate, precision } = settings;
  const optimiser = optimiserOf(settings.optimiser);
  const batch = rehearsalBatch(objective, model, batchSize);
  const options = { batchSize, accumulate, precision, optimiser, like: device.info, ...(batch && { batch }) };
  if (limit !== undefined) return fitToMemory(model, options, limit);
  return { config: model, cost: await rehearseTraining(model, options) };
}

/** Passes of an evaluation cost a third of those of training. */
const FORWARD = 1 / 3;
const EVALUATIONS = 20;

/** As many steps as the minutes allow, from the time of the first ones, evaluations counted. */
function timed({ train, model }: TrainConfig, settle: (steps: number) => Limits): Timed {
  const { minutes, warmUp, schedule, batch, accumulate, evaluateWindows, evaluateEvery } = train;
  const probe = schedule === 'cosine' ? Math.min(PROBE, warmUp) : PROBE;
  return {
    probe,
    limits: (secondsPerStep, elapsed) => {
      const left = Math.max(0, 60 * minutes! - elapsed);
      const evaluation =
        (evaluateWindows * model.length * secondsPerStep * FORWARD) / (batch * accumulate * model.length);
      const steps =
        evaluateEvery === null
          ? (left - EVALUATIONS * evaluation) / secondsPerStep
          : left / (secondsPerStep + evaluation / evaluateEvery);
      return settle(Math.max(probe, schedule === 'cosine' ? warmUp + 1 : 1, probe + Math.floor(steps)));
    },
  };
}

/** @throws OptionError for a model of which nothing fits. */
async function weightsFrom(path: string, model: LanguageModel, device: Device): Promise<CarriedOver> {
  const other = await openModel(path, { device });
  try {
    const found = carryOver(model, other.model.stateDict());
    // what is frozen and was only drawn would never become anything
    const parameters = model.namedParameters();
    const strange = found.drawn.filter((name) => parameters.get(name)!.frozen);
    if (strange.length > 0) {
      throw new OptionError(
        `training: adapters are beside the weights of "${path}", and ${strange.length} of this model are not among those, such as ${strange[0]}; ` +
          'take its sizes, as its JSON has them.',
      );
    }
    if (found.taken.length + found.partly.length > 0) return found;
    throw new OptionError(
      `training: nothing of the ${found.unused.length} tensors of "${path}" fits this model; take its sizes, as its JSON has them, or leave out from.`,
    );
  } finally {
    other.model.dispose();
  }
}

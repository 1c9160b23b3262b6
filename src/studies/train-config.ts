import { isPlainObject as isObject } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { unknown } from '../core/names.js';
import {
  between,
  fraction,
  listOfTexts,
  notNegative,
  notOptions,
  oneOf,
  plainObject,
  positive,
  reasonsAgainst,
  text,
  wholeFrom,
  type Requirements,
} from '../core/requirements.js';
import type { FloatDtype } from '../core/dtype.js';
import { RehearsalDevice } from '../devices/index.js';
import { readConfig, type ModelConfig } from '../models/index.js';
import { scope, zeros } from '../tensor/index.js';
import type { Json } from '../train/checkpoint/index.js';
import { differences } from '../train/differences.js';
import { modelFor, type Objective, readObjective } from './objective.js';
import {
  optimiserOf,
  optimiserNames,
  type OptimiserName,
  schedules,
  type OptimiserSettings,
  type ScheduleSettings,
} from './train-optimiser.js';

export const precisions = ['f32', 'bf16', 'f16'] as const satisfies readonly FloatDtype[];

/** A training run, complete: what `config.json` of its folder holds. */
export interface TrainConfig {
  readonly model: ModelConfig;
  readonly data: DataSettings;
  /** What is predicted. */
  readonly objective: Objective;
  readonly train: TrainSettings;
}

export interface DataSettings {
  /** Files and folders; none: the bundled novel. */
  readonly texts: readonly string[];
  /** A Hugging Face `tokenizer.json`; null: a token is a byte. */
  readonly tokeniser: string | null;
  /** The share of the text, at its end, that is kept for validation; 0: none. */
  readonly validation: number;
  /** Whether windows run over the ends of files. */
  readonly documents: 'joined' | 'separate';
}

export interface TrainSettings extends ScheduleSettings {
  /** Windows of a pass, and passes of a step. */
  readonly batch: number;
  readonly accumulate: number;
  /** Null until the first steps were timed, where `minutes` are given. */
  readonly steps: number | null;
  readonly minutes: number | null;
  readonly optimiser: OptimiserSettings;
  /** The largest norm of a step's gradients; 0: none. */
  readonly clip: number;
  readonly precision: FloatDtype;
  readonly seed: number;
  /** Steps from one evaluation to the next; null: a twentieth of the steps. */
  readonly evaluateEvery: number | null;
  readonly evaluateWindows: number;
  /** Steps from one save to the next; null: about a minute. */
  readonly saveEvery: number | null;
  /** Evaluations without improvement that end the run; 0: none do. */
  readonly patience: number;
  /** A model whose weights are taken where they fit, in place of drawn ones: the folder of a run, or a .safetensors file. */
  readonly from: string | null;
}

type Given = Readonly<Record<string, unknown>>;
/** What the file and the flags say, section by section. */
export interface GivenConfig {
  readonly model?: unknown;
  readonly data?: unknown;
  /** Or its name. */
  readonly objective?: unknown;
  readonly train?: unknown;
}

const data: Requirements = {
  texts: { ...listOfTexts, must: 'a list of paths' },
  tokeniser: { ...text, must: 'the path of a tokenizer.json' },
  validation: fraction,
  documents: oneOf(['joined', 'separate']),
};
const train: Requirements = {
  batch: wholeFrom(1),
  accumulate: wholeFrom(1),
  steps: wholeFrom(1),
  minutes: positive,
  optimiser: { must: 'a name, or { "name": …, "options": … }', holds: (x) => typeof x === 'string' || isObject(x) },
  rate: positive,
  warmUp: wholeFrom(0),
  schedule: oneOf(schedules),
  floor: between(0, 1),
  clip: notNegative,
  precision: oneOf(precisions),
  seed: wholeFrom(0),
  evaluateEvery: wholeFrom(1),
  evaluateWindows: wholeFrom(1),
  saveEvery: wholeFrom(1),
  patience: wholeFrom(0),
  from: { ...text, must: 'the path of a model' },
};
const optimiser: Requirements = { name: oneOf(optimiserNames), options: plainObject };

/** Highest rates that suit small models. */
const RATES: Readonly<Record<OptimiserName, number>> = { adamW: 2e-3, adafactor: 1e-2, lion: 3e-4, sgd: 0.1 };
/** For bytes of one book, on which the averages of the defaults are too slow. */
const ADAM = { beta2: 0.99, weightDecay: 0.1 };
export const DEFAULT_MINUTES = 10;
/** Steps that are timed, where minutes are given. */
export const PROBE = 10;

/**
 * A complete configuration: what is left out gets its default, and null counts as left out.
 *
 * @throws OptionError with every reason at once: sections or keys that are unknown, values out of range, contradictions.
 */
export function readTrainConfig(given: GivenConfig): TrainConfig {
  const reasons: string[] = [];
  const names = ['model', 'data', 'objective', 'train'];
  const strange = Object.keys(given).filter((name) => !names.includes(name));
  if (strange.length > 0) reasons.push(unknown('section', strange, names));
  const section = (name: Exclude<keyof GivenConfig, 'objective'>, known: Requirements | undefined): Given => {
    const value = given[name] ?? {};
    if (!isObject(value)) {
      reasons.push(notOptions(value, Object.keys(known ?? {}), name));
      return {};
    }
    const own = Object.fromEntries(Object.entries(value).filter(([, one]) => one !== null && one !== undefined));
    if (known) reasons.push(...reasonsAgainst(own, known, [], name));
    return own;
  };
  const [ofModel, ofData, ofTrain] = [section('model', undefined), section('data', data), section('train', train)];
  const objective = readObjective(given.objective, reasons);
  const model = tried(reasons, () => readConfig(modelFor(objective, ofModel)));
  if (reasons.length > 0) throw refusal(reasons);
  const settings = completeTrain(ofTrain, objective, reasons);
  reasons.push(...contradictionsOf(settings, ofTrain));
  if (reasons.length > 0) throw refusal(reasons);
  const texts = { texts: [], tokeniser: null, validation: 0.1, documents: 'joined', ...ofData } as DataSettings;
  return { model: model!, data: texts, objective, train: settings };
}

const refusal = (reasons: readonly string[]): OptionError => new OptionError(`training: ${reasons.join('; ')}.`);

/** What `body` gives, or its refusal among the reasons. */
function tried<T>(reasons: string[], body: () => T): T | undefined {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    reasons.push(error.message.replace(/^model configuration: /, 'model: ').replace(/\.$/, ''));
    return undefined;
  }
}

function completeTrain(given: Given, { name: predicted }: Objective, reasons: string[]): TrainSettings {
  const optimiser = readOptimiser(given['optimiser'] ?? 'adamW', reasons);
  const steps = (given['steps'] ?? null) as number | null;
  const minutes = steps === null ? DEFAULT_MINUTES : null;
  return {
    batch: 8,
    accumulate: 1,
    steps,
    minutes,
    rate: RATES[optimiser.name],
    warmUp: steps === null ? 50 : Math.min(50, Math.floor(steps / 10)),
    schedule: 'cosine',
    floor: 0.1,
    clip: 1,
    precision: 'f32',
    seed: 0,
    evaluateEvery: null,
    // a class is one target, a window many
    evaluateWindows: predicted === 'classify' ? 2048 : 64,
    saveEvery: null,
    patience: 0,
    from: null,
    ...given,
    optimiser,
  };
}

function readOptimiser(given: unknown, reasons: string[]): TrainSettings['optimiser'] {
  const { name = 'adamW', ...rest } = isObject(given) ? given : { name: given };
  const wrong = reasonsAgainst({ name, ...rest }, optimiser, [], 'train.optimiser');
  if (wrong.length > 0) {
    reasons.push(...wrong);
    return { name: 'adamW', options: {} };
  }
  const known = name as OptimiserName;
  const complete = (rest['options'] ?? (known === 'adamW' ? ADAM : {})) as Given;
  // on a device that only counts: its own checks say what is wrong
  tried(reasons, () =>
    scope(() => {
      const device = new RehearsalDevice({ like: { width: 4, threads: 1 } });
      optimiserOf({ name: known, options: complete })([['x', zeros([2, 2], { device })]]).dispose();
    }),
  );
  return { name: known, options: complete };
}

function contradictionsOf({ steps, warmUp, schedule }: TrainSettings, given: Given): string[] {
  const timed = schedule === 'cosine' && steps === null;
  return [
    given['steps'] !== undefined && given['minutes'] !== undefined && 'give train.steps or train.minutes, not both',
    steps !== null && warmUp >= steps && `train.warmUp must be below train.steps; got ${warmUp} of ${steps}`,
    timed &&
      warmUp < 3 &&
      `with train.minutes, steps are timed in the warm-up: train.warmUp must be 3 at least; got ${warmUp}`,
    schedule !== 'cosine' && given['floor'] !== undefined && 'train.floor is for schedule "cosine"',
  ].filter((reason) => reason !== false);
}

/** What may be different when a run is resumed. */
const FREE: ReadonlySet<string> = new Set([
  'train.steps',
  'train.minutes',
  'train.evaluateEvery',
  'train.saveEvery',
  'train.patience',
  // where a run goes on, its own weights count
  'train.from',
  // the text itself is compared, wherever it lies
  'data.texts',
  'objective.images',
  'objective.labels',
  'objective.held',
  'objective.heldImages',
  'objective.heldLabels',
  // where a mechanism of your own lies; what it is, is its file's own business
  'model.mechanism.plugin',
]);

/** What must stay as it is while a run goes on. */
export const settingsOf = (config: TrainConfig): Json => fixed(JSON.parse(JSON.stringify(config)) as Json);

function fixed(value: Json, path = ''): Json {
  if (!isObject(value)) return value;
  const placeOf = (name: string): string => (path === '' ? name : `${path}.${name}`);
  const kept = Object.entries(value as Readonly<Record<string, Json>>).filter(([name]) => !FREE.has(placeOf(name)));
  return Object.fromEntries(kept.map(([name, member]) => [name, fixed(member, placeOf(name))]));
}

/** @throws OptionError naming everything that would make a resumed run another one. */
export function checkResumed(folder: string, before: TrainConfig, now: TrainConfig): void {
  const changes = differences(settingsOf(before), settingsOf(now));
  if (changes.length === 0) return;
  throw new OptionError(
    `training: "${folder}" was begun with other settings: ${changes.join('; ')}. Resume without them, or train anew in another folder.`,
  );
}

import { anything, callable, checkValues, flag, made, plainObject, text, wholeFrom } from '../core/requirements.js';
import { someFiles } from './checkpoint/files.js';
import type { Files, Json } from './checkpoint/index.js';
import type { Evaluation } from './evaluate.js';
import type { EvaluationMetric, Metric, SessionMetric } from './metrics.js';
import { Trainer } from './trainer.js';

/** How long a run is, and how often it looks up. */
export interface Limits {
  readonly steps: number;
  /** Steps from one evaluation to the next; there is one at the end too. */
  readonly evaluateEvery: number;
}

/** Limits that are set once the first steps were timed. */
export interface Timed {
  /** How many are timed. */
  readonly probe: number;
  /** Of the seconds that a step takes, and those that have passed. */
  readonly limits: (secondsPerStep: number, elapsed: number) => Limits;
}

/** What an evaluation found. */
export interface Evaluated extends Pick<Evaluation, 'loss' | 'windows'> {
  /** What is least in the best evaluation; default the loss. */
  readonly score?: number;
  /** What else is written to its record. */
  readonly more?: Pick<EvaluationMetric, 'accuracy' | 'macroF1' | 'confusion'>;
}

export interface RunOptions {
  /** Holds `metrics.jsonl`, `checkpoint/` and `best/`. */
  readonly folder: string;
  readonly trainer: Trainer;
  readonly limits: Limits | Timed;
  /** Undefined: nothing is evaluated. */
  readonly evaluate: (() => Promise<Evaluated>) | undefined;
  /** Of a loss in nats a token. */
  readonly bitsPerByte: (loss: number) => number;
  /** Steps from one save to the next; undefined: whenever a minute has passed. Evaluations are followed by a save. */
  readonly saveEvery?: number | undefined;
  /** Evaluations without improvement that end the run; default: none do. */
  readonly patience?: number;
  /** What the text is, as far as it can be compared: a checkpoint of another text is refused. */
  readonly data: Json;
  /** What must stay as it is while a run goes on, kept in its checkpoints: one of other settings is refused. */
  readonly settings?: Json;
  readonly session: Pick<SessionMetric, 'device' | 'threads' | 'parameters'>;
  /** Whether to go on from the folder's checkpoint. A run that ended before it began has none, and is begun. */
  readonly resume?: boolean;
  /** Called when all is loaded and compared, and nothing is written yet. */
  readonly onBegin?: () => void;
  readonly onMetric?: (metric: Metric, limits: Limits | undefined) => void;
  /** Told of a disk that refuses, another device or length than before, a lock left behind; training goes on. */
  readonly onTrouble?: (message: string) => void;
  /** Asked after each step; where true, the run is saved and ends. */
  readonly stopping?: () => boolean;
  readonly files?: Files;
}

const requirements = {
  folder: text,
  trainer: made('a Trainer', Trainer),
  limits: plainObject,
  evaluate: callable,
  bitsPerByte: callable,
  saveEvery: wholeFrom(1),
  patience: wholeFrom(0),
  // what a checkpoint cannot hold is refused when it is saved
  data: anything,
  settings: anything,
  session: plainObject,
  resume: flag,
  onBegin: callable,
  onMetric: callable,
  onTrouble: callable,
  stopping: callable,
  files: someFiles,
};
const ofSession = { device: text, threads: wholeFrom(1), parameters: wholeFrom(0) };
const limited = { steps: wholeFrom(0), evaluateEvery: wholeFrom(1) };
const timed = { probe: wholeFrom(0), limits: callable };

/** @throws OptionError for what is not a run. */
export function checkRun(options: RunOptions): void {
  checkValues('train', options, requirements, ['folder', 'trainer', 'limits', 'bitsPerByte', 'session']);
  const limits = 'limits' in options.limits ? timed : limited;
  checkValues('train: limits', options.limits, limits, Object.keys(limits));
  checkValues('train: session', options.session, ofSession, Object.keys(ofSession));
}

import { FormatError, NumericsError, OptionError } from '../core/errors.js';
import { makeFolders } from '../core/folders.js';
import { requireNode } from '../core/node.js';
import { reasonOf } from '../core/system-errors.js';
import { type Files, type Json, loadCheckpoint, nodeFiles, saveCheckpoint } from './checkpoint/index.js';
import { changesOf, differences } from './differences.js';
import { lockFolder } from './lock.js';
import { finite, type Metric, MetricsFile, type SessionMetric, type StepMetric, type StopReason } from './metrics.js';
import { checkRun, type Limits, type RunOptions } from './run-options.js';
import { PREFIX } from './trainer.js';

const { existsSync } = requireNode('node:fs');
const { join } = requireNode('node:path');

export interface RunResult {
  readonly reason: StopReason;
  readonly step: number;
  /** Seconds of all sessions. */
  readonly elapsed: number;
  readonly best: Best | null;
}

type Best = {
  readonly step: number;
  readonly loss: number;
  /** Where evaluations are compared by something else. */
  readonly score?: number;
};

/** What a checkpoint keeps of a run beside the trainer. */
type RunState = {
  best: Best | null;
  /** Evaluations since the best. */
  since: number;
  /** The step of the last evaluation. */
  evaluated: number;
  elapsed: number;
  /** How long the run was to be, once that was known. */
  steps?: number;
};

const SAVE_SECONDS = 60;

/**
 * Trains to the end, and keeps a folder with which training can go on from where it was, whatever ends the process. The first
 * save is before the first step, so a folder that has metrics and no checkpoint has lost one. A disk that refuses a save in
 * the middle is reported, and the next save tries again; at the beginning and at the end it is an error.
 *
 * @throws NumericsError when a step or the last evaluation is not finite; the last checkpoint stays. FormatError for a folder that another process
 * trains in, a checkpoint that is lost or does not fit, or a first or last save that fails. OptionError for fewer steps than are done.
 */
export async function runTraining(options: RunOptions): Promise<RunResult> {
  checkRun(options);
  const { folder, onTrouble } = options;
  makeFolder(folder);
  const lock = lockFolder(folder, onTrouble);
  try {
    return await new Run(options).go();
  } finally {
    lock.release();
  }
}

function makeFolder(folder: string): void {
  try {
    makeFolders(folder);
  } catch (error) {
    throw new FormatError(`train: "${folder}" cannot be made (${reasonOf(error)}); name another folder.`);
  }
}

/** What a run left in a folder beside its checkpoint, in words; undefined where there is nothing. */
export function tracesOf(folder: string): string | undefined {
  const last = lastStep(new MetricsFile(join(folder, 'metrics.jsonl')).read());
  if (last !== undefined) return `metrics of ${last.step} steps`;
  return existsSync(join(folder, 'best')) ? 'best weights' : undefined;
}

class Run {
  readonly #options: RunOptions;
  readonly #files: Files;
  readonly #metrics: MetricsFile;
  readonly #seconds: number[] = [];
  #limits: Limits | undefined;
  #state: RunState = { best: null, since: 0, evaluated: 0, elapsed: 0 };
  /** When this session began, and the last save, in milliseconds. */
  #began = performance.now();
  #savedAt = performance.now();
  #savedStep = 0;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#files = options.files ?? nodeFiles;
    this.#metrics = new MetricsFile(join(options.folder, 'metrics.jsonl'));
    this.#limits = 'steps' in options.limits ? options.limits : undefined;
  }

  async go(): Promise<RunResult> {
    await this.#begin();
    let reason = await this.#due();
    while (reason === undefined) {
      await this.#step();
      reason = await this.#due();
    }
    if (this.#savedStep < this.#options.trainer.steps) await this.#save();
    const { best } = this.#state;
    this.#stop(reason);
    return { reason, step: this.#options.trainer.steps, elapsed: this.#elapsed(), best };
  }

  async #begin(): Promise<void> {
    const { folder, trainer, session, resume = false, onBegin } = this.#options;
    const resumed = resume && existsSync(join(folder, 'checkpoint', 'checkpoint.json'));
    if (resumed) await this.#load();
    else this.#refuseTraces();
    onBegin?.();
    const kept = resumed ? this.#metrics.cutBack(trainer.steps) : [];
    if (resumed) this.#savedStep = trainer.steps;
    else await this.#save();
    const before = [...kept].reverse().find(isSession);
    if (before !== undefined && before.device !== session.device) {
      const change = `the run was on ${before.device} and goes on on ${session.device}`;
      this.#options.onTrouble?.(`train: ${change}: it will not have the bits of a run on one of them.`);
    }
    this.#sayJump(kept);
    const { tokensPerStep, steps: step } = trainer;
    if (!resumed) this.#metrics.cutBack(-1);
    this.#note({ kind: resumed ? 'resume' : 'start', step, time: now(), ...session, tokensPerStep });
  }

  /** What is there without a checkpoint would be lost by beginning anew. */
  #refuseTraces(): void {
    const { folder } = this.#options;
    const traces = tracesOf(folder);
    if (traces === undefined) return;
    throw new FormatError(
      `train: "${folder}" holds ${traces}, but no checkpoint to go on from (checkpoint/checkpoint.json): restore that from a copy, ` +
        'or train anew in another folder.',
    );
  }

  /** A schedule belongs to a length: with another one the rate goes on elsewhere. */
  #sayJump(metrics: readonly Metric[]): void {
    const { trainer, onTrouble } = this.#options;
    const [before, after] = [this.#state.steps, this.#limits?.steps];
    const last = lastStep(metrics);
    if (before === undefined || after === undefined || before === after || last === undefined) return;
    if (trainer.steps >= after) return;
    const [was, is] = [last.learningRate, trainer.schedule(trainer.steps + 1)].map((rate) => rate.toExponential(2));
    onTrouble?.(
      `train: the run was to have ${before} steps and now has ${after}; the schedule is that of ${after}, so the rate goes from ${was} ` +
        `in step ${last.step} to ${is} in the next.`,
    );
  }

  async #load(): Promise<void> {
    const { folder, trainer, data, settings } = this.#options;
    const saved = await loadCheckpoint(join(folder, 'checkpoint'), this.#files);
    try {
      const {
        trainer: state,
        run,
        data: before,
        settings: own,
      } = saved.state as { trainer: Json; run: RunState; data: Json; settings?: Json };
      const changes = differences(before, data, 'data');
      if (changes.length > 0) {
        throw new FormatError(
          `train: "${folder}" was trained on another text: ${changes.join('; ')}. Resume with the text it began with, or train anew.`,
        );
      }
      const others = changesOf(own, settings);
      if (others.length > 0) {
        throw new FormatError(
          `train: the checkpoint of "${folder}" was made with other settings: ${others.join('; ')}. Put back the config.json and the ` +
            'checkpoint that belong together, or train anew.',
        );
      }
      await trainer.load({ tensors: saved.tensors, state });
      this.#state = { ...run };
    } finally {
      await saved.tensors.close();
    }
    if (this.#limits !== undefined && this.#limits.steps < trainer.steps) {
      throw new OptionError(
        `train: "${folder}" has ${trainer.steps} steps done, so it cannot have ${this.#limits.steps} in all; ask for ${trainer.steps} or more.`,
      );
    }
    // a kill between the checkpoint and the best weights left the older ones
    if (this.#state.best?.step === trainer.steps) await this.#saveBest();
  }

  /** Evaluates and saves where that is due, and says why the run ends, if it does. */
  async #due(): Promise<StopReason | undefined> {
    const { trainer, patience = 0, saveEvery, stopping } = this.#options;
    const { steps } = trainer;
    this.#setLimits();
    const last = steps === this.#limits?.steps;
    const evaluates = this.#limits !== undefined && steps > 0 && (last || steps % this.#limits.evaluateEvery === 0);
    if (evaluates && this.#state.evaluated < steps) {
      await this.#noteLayers();
      await this.#evaluate();
    }
    const idle = (performance.now() - this.#savedAt) / 1000 >= SAVE_SECONDS;
    if (this.#savedStep < steps && (saveEvery === undefined ? idle : steps % saveEvery === 0)) await this.#trySave();
    if (patience > 0 && this.#state.since >= patience) return 'no improvement';
    if (steps >= (this.#limits?.steps ?? Infinity)) return 'finished';
    return stopping?.() === true ? 'interrupted' : undefined;
  }

  #setLimits(): void {
    const { limits, trainer } = this.#options;
    if (this.#limits !== undefined || 'steps' in limits || trainer.steps < limits.probe) return;
    if (this.#seconds.length === 0) return;
    // the first of a process compiles its kernels
    const times = this.#seconds.slice(this.#seconds.length > 1 ? 1 : 0).sort((a, b) => a - b);
    this.#limits = limits.limits(times[Math.floor(times.length / 2)]!, this.#elapsed());
  }

  async #step(): Promise<void> {
    const { trainer, bitsPerByte } = this.#options;
    try {
      const { loss, gradientNorm, skipped, seconds, tokens, ...rest } = await trainer.step();
      this.#seconds.push(seconds);
      this.#note({
        kind: 'step',
        ...rest,
        loss: finite(loss),
        bitsPerByte: finite(bitsPerByte(loss)),
        gradientNorm: finite(gradientNorm),
        tokens,
        tokensPerSecond: tokens / seconds,
        seconds,
        elapsed: this.#elapsed(),
        ...(skipped ? { skipped } : {}),
      });
    } catch (error) {
      throw error instanceof NumericsError ? this.#notFinite(error.message) : error;
    }
  }

  /** Ends the run with what is saved. */
  #notFinite(message: string): NumericsError {
    this.#stop('not finite');
    return new NumericsError(`${message} The checkpoint of step ${this.#savedStep} is kept.`);
  }

  /** What layers said of themselves since they were asked. */
  async #noteLayers(): Promise<void> {
    const { trainer } = this.#options;
    const found = await trainer.statistics();
    if (found === undefined) return;
    const values = Object.entries(found.values).map(([name, list]) => [name, list.map(finite)] as const);
    this.#note({ kind: 'layers', step: trainer.steps, steps: found.steps, values: Object.fromEntries(values) });
  }

  async #evaluate(): Promise<void> {
    const { evaluate, trainer, bitsPerByte } = this.#options;
    this.#state.evaluated = trainer.steps;
    if (evaluate === undefined) return;
    const begin = performance.now();
    const { loss, windows, score, more } = await evaluate();
    const before = this.#state.best;
    const best = (score ?? loss) < (before?.score ?? before?.loss ?? Infinity);
    this.#state.since = best ? 0 : this.#state.since + 1;
    if (best) this.#state.best = { step: trainer.steps, loss, ...(score !== undefined && { score }) };
    this.#note({
      kind: 'evaluation',
      step: trainer.steps,
      loss: finite(loss),
      bitsPerByte: finite(bitsPerByte(loss)),
      windows,
      ...more,
      seconds: (performance.now() - begin) / 1000,
      elapsed: this.#elapsed(),
      ...(best ? { best } : {}),
    });
    // before the end the next step says which layer it is
    if (!Number.isFinite(loss) && trainer.steps === this.#limits?.steps) {
      throw this.#notFinite(
        `train: the validation loss after step ${trainer.steps} is ${loss}. Lower the rate, clip gradients, or lengthen the warm-up.`,
      );
    }
    // in this order: the best weights can be saved again from a checkpoint of their step
    await this.#trySave();
    if (best) await this.#saveBest().catch((error: unknown) => this.#trouble(error));
  }

  async #trySave(): Promise<void> {
    await this.#save().catch((error: unknown) => this.#trouble(error));
  }

  async #save(): Promise<void> {
    const { folder, trainer, data } = this.#options;
    const { tensors, state } = trainer.content();
    const limit = this.#limits === undefined ? {} : { steps: this.#limits.steps };
    const run = { ...this.#state, elapsed: this.#elapsed(), ...limit };
    const whole = { trainer: state, run, data, ...this.#settings() };
    await saveCheckpoint(join(folder, 'checkpoint'), { tensors, state: whole }, this.#files);
    this.#savedAt = performance.now();
    this.#savedStep = trainer.steps;
  }

  async #saveBest(): Promise<void> {
    const { folder, trainer } = this.#options;
    const { tensors } = trainer.content();
    const weights = Object.fromEntries(Object.entries(tensors).filter(([name]) => name.startsWith(PREFIX.model)));
    const state = { ...this.#state.best!, ...this.#settings() };
    await saveCheckpoint(join(folder, 'best'), { tensors: weights, state }, this.#files);
  }

  #settings(): { readonly settings?: Json } {
    const { settings } = this.#options;
    return settings === undefined ? {} : { settings };
  }

  /** @throws whatever is no matter of the disk. */
  #trouble(error: unknown): void {
    if (!(error instanceof FormatError)) throw error;
    this.#options.onTrouble?.(`${error.message} Training goes on; the next save tries again.`);
    // not at every step
    this.#savedAt = performance.now();
  }

  #note(metric: Metric): void {
    try {
      this.#metrics.append(metric);
    } catch (error) {
      this.#trouble(error);
    }
    this.#options.onMetric?.(metric, this.#limits);
  }

  #stop(reason: StopReason): void {
    this.#note({ kind: 'stop', step: this.#options.trainer.steps, time: now(), elapsed: this.#elapsed(), reason });
  }

  #elapsed(): number {
    return this.#state.elapsed + (performance.now() - this.#began) / 1000;
  }
}

const isSession = (metric: Metric): metric is SessionMetric => metric.kind === 'start' || metric.kind === 'resume';

const lastStep = (metrics: readonly Metric[]): StepMetric | undefined =>
  [...metrics].reverse().find((metric) => metric.kind === 'step');

const now = (): string => new Date().toISOString();

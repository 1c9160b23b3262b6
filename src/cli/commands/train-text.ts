import { layerNames } from '../../models/config-layers.js';
import type { DeviceInfo } from '../../devices/index.js';
import type { Objective } from '../../studies/objective.js';
import type { TrainResult, TrainStart } from '../../studies/train.js';
import type { TrainConfig } from '../../studies/train-config.js';
import type { EvaluationMetric, Metric, StepMetric } from '../../train/metrics.js';
import type { Limits } from '../../train/run-options.js';
import type { Style } from '../ansi.js';
import * as format from '../../report/format.js';
import { confusionText } from '../confusion.js';
import type { Io } from '../io.js';
import { Progress } from '../progress.js';

/** What is about to be trained. */
export function heading(start: TrainStart, info: DeviceInfo, folder: string, style: Style): string {
  const { model, objective, train } = start.config;
  const { position, residual } = model;
  const layers = `${format.count(model.layers, 'layer')} of ${model.width}, ${format.count(model.heads, 'head')}`;
  const kinds = [...layerNames(model), position.method, residual.kind, train.precision].join(', ');
  const { bytes, files } = start.data;
  const until = train.steps === null ? `${train.minutes} minutes` : format.count(train.steps, 'step');
  const { notes = [] } = start.data;
  const what =
    objective.name === 'classify'
      ? `up to ${format.count(model.length, 'token')} each, ${format.count(start.tokensPerStep, 'example')} a step`
      : `windows of ${format.integer(model.length)}, ` +
        `${format.integer(start.tokensPerStep)} ${TARGETS[objective.name]} a step`;
  const of = objective.name === 'classify' && objective.images.length > 0 ? 'images' : 'text';
  return [
    `${style.bold(`${format.operations(start.parameters)} parameters`)}: ${model.kind}, ${layers}; ${kinds}`,
    `${format.bytes(bytes)} of ${of} in ${format.count(files, 'file')}; ${what}; ${until}`,
    ...notes,
    `${format.place(info)}; a step will hold ${format.bytes(start.predictedBytes)}`,
    ...(start.from ? [`begins with ${begun(start.from)}`] : []),
    `writes to ${style.accent(folder)}; Ctrl-C saves and stops`,
    '\n',
  ].join('\n');
}

function begun({ taken, partly, drawn, unused }: NonNullable<TrainStart['from']>): string {
  const some = (count: number, what: string): string => (count === 0 ? '' : `, ${count} ${what}`);
  return (
    `${format.count(taken.length, 'tensor')} of the other model` +
    `${some(partly.length, 'with some of its rows')}${some(drawn.length, 'drawn')}; ${unused.length} without use`
  );
}

/** What bits are of, by the objective. */
export const UNITS: Readonly<Record<Objective['name'], string>> = {
  next: 'byte',
  masked: 'masked byte',
  spans: 'target',
  classify: 'example',
};

/** What is predicted, by the objective. */
const TARGETS: Readonly<Record<Objective['name'], string>> = {
  next: 'tokens',
  masked: 'masked tokens',
  spans: 'targets',
  classify: 'examples',
};

const bits = (value: number | null, objective: Objective): string =>
  value === null ? 'not finite' : `${value.toFixed(3)} bits/${UNITS[objective.name]}`;

/** Seconds between two lines where there is no terminal, and between two states of the line where there is one. */
const EVERY = { lines: 10, live: 0.1 };
/** How much of the mean time of a step each step keeps. */
const KEPT = 0.9;

/** The line on stderr that says how far training is: overwritten on a terminal, else one every ten seconds. */
export class TrainProgress {
  readonly #io: Io;
  readonly #live: Progress;
  readonly #objective: Objective;
  readonly #minutes: number | null;
  #seconds = 0;
  #shownAt = -Infinity;

  constructor(io: Io, { objective, train }: TrainConfig) {
    [this.#io, this.#live, this.#objective, this.#minutes] = [io, new Progress(io), objective, train.minutes];
  }

  doing(what: string): void {
    this.#live.show(what);
  }

  clear(): void {
    this.#live.clear();
  }

  metric(metric: Metric, limits: Limits | undefined): void {
    if (metric.kind !== 'step') return;
    this.#seconds = this.#seconds === 0 ? metric.seconds : KEPT * this.#seconds + (1 - KEPT) * metric.seconds;
    const now = performance.now() / 1000;
    const last = metric.step === limits?.steps;
    if (!last && now - this.#shownAt < (this.#io.errTerminal ? EVERY.live : EVERY.lines)) return;
    this.#shownAt = now;
    const line = this.#line(metric, limits);
    if (this.#io.errTerminal) this.#live.show(line);
    else this.#io.err(`${line}\n`);
  }

  #line(metric: StepMetric, limits: Limits | undefined): string {
    const { step, loss, bitsPerByte, tokens, peakBytes, learningRate, elapsed, skipped } = metric;
    const left = limits ? (limits.steps - step) * this.#seconds : 60 * (this.#minutes ?? 0) - elapsed;
    return [
      `step ${format.integer(step)}${limits ? `/${format.integer(limits.steps)}` : ''}`,
      skipped ? `skipped (${tokens === 0 ? 'no target' : 'overflow'})` : `loss ${loss?.toFixed(3)}`,
      bits(bitsPerByte, this.#objective),
      `${format.operations(tokens / this.#seconds)} ${TARGETS[this.#objective.name]}/s`,
      format.bytes(peakBytes),
      `rate ${learningRate.toExponential(1)}`,
      `${format.duration(left)} left`,
    ].join('  ');
  }
}

/** A line for what stays on the screen; empty for what does not. */
export function lasting(metric: Metric, objective: Objective, style: Style): string {
  if (metric.kind === 'resume') return `goes on after step ${format.integer(metric.step)}\n`;
  if (metric.kind !== 'evaluation') return '';
  const { step, bitsPerByte, accuracy, macroF1, best } = metric;
  const f1 = macroF1 === undefined ? '' : `  F1 ${macroF1.toFixed(3)}`;
  const hits = accuracy === undefined ? '' : `  accuracy ${(100 * accuracy).toFixed(1)} %${f1}`;
  return `step ${format.integer(step).padStart(7)}  validation ${bits(bitsPerByte, objective)}${hits}${best ? style.dim('  best so far') : ''}\n`;
}

const REASONS: Readonly<Record<TrainResult['reason'], string>> = {
  finished: 'finished',
  interrupted: 'stopped and saved',
  'no improvement': 'stopped: no evaluation was better for a while',
  'not finite': 'stopped: not finite',
};

/** How it ended, what the best evaluation of classes found, and what can be done next. */
export function closing(result: TrainResult, metrics: readonly Metric[], folder: string, style: Style): string {
  const { reason, step, elapsed, best, bestBitsPerByte, fiveGram, config } = result;
  const found =
    best === null
      ? ''
      : `; best validation ${bits(bestBitsPerByte, config.objective)} at step ${format.integer(best.step)}`;
  const next = reason === 'interrupted' ? `resume  subquad train --resume ${folder}\n` : '';
  const beside = fiveGram === null ? '' : `a 5-gram of the same text has ${bits(fiveGram, config.objective)}\n`;
  const scores = bestScores(metrics);
  const classes =
    scores?.confusion && config.objective.name === 'classify'
      ? `\naccuracy ${(100 * scores.accuracy!).toFixed(2)} %, macro F1 ${scores.macroF1!.toFixed(4)}\n` +
        `${confusionText(config.objective.classes, scores.confusion, style)}\n`
      : '';
  return `${style.bold(REASONS[reason])} after ${format.count(step, 'step')}, ${format.duration(elapsed)}${found}\n${classes}${beside}${next}`;
}

/** Of the best evaluation. */
export const bestScores = (metrics: readonly Metric[]): EvaluationMetric | undefined =>
  [...metrics]
    .reverse()
    .find((metric): metric is EvaluationMetric => metric.kind === 'evaluation' && metric.best === true);

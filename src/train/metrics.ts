import { FormatError } from '../core/errors.js';
import { replaceFile } from '../core/files/replace.js';
import { parseJson } from '../core/json.js';
import { requireNode } from '../core/node.js';
import { checkValue, text as someText } from '../core/requirements.js';
import { codeOf, reasonOf } from '../core/system-errors.js';

const { appendFileSync, readFileSync, statSync, truncateSync } = requireNode('node:fs');

/** A step of the optimiser. Numbers that are not finite are null, as JSON has none. */
export interface StepMetric {
  readonly kind: 'step';
  /** Steps so far, this one included. */
  readonly step: number;
  /** Mean cross-entropy of the step's targets before the update, in nats a token. */
  readonly loss: number | null;
  readonly bitsPerByte: number | null;
  /** Losses of layers beside it, by name, such as the balance of experts. */
  readonly losses?: Readonly<Record<string, number | null>>;
  /** Of all gradients together, before clipping. */
  readonly gradientNorm: number | null;
  readonly learningRate: number;
  /** Targets of this step that count. */
  readonly tokens: number;
  readonly tokensPerSecond: number;
  /** Most bytes held on the device during the step. */
  readonly peakBytes: number;
  /** Of this step. */
  readonly seconds: number;
  /** What training has taken so far, evaluations and earlier sessions included. */
  readonly elapsed: number;
  /** What the loss was multiplied by for its gradient; with f16 only. */
  readonly lossScale?: number;
  /** No parameter moved: the gradient overflowed, and the scale fell; or no target counted. */
  readonly skipped?: true;
}

/** The mean over windows of the validation part. */
export interface EvaluationMetric {
  readonly kind: 'evaluation';
  readonly step: number;
  readonly loss: number | null;
  readonly bitsPerByte: number | null;
  readonly windows: number;
  /** Share of the targets that were predicted, where it was counted. */
  readonly accuracy?: number;
  /** Of classes: the mean F1 of those that occur, and how often which was taken for which, `[target][prediction]`. */
  readonly macroF1?: number;
  readonly confusion?: readonly (readonly number[])[];
  readonly seconds: number;
  readonly elapsed: number;
  /** No evaluation before was better; these weights are kept in `best/`. */
  readonly best?: true;
}

/**
 * What layers say of themselves, the mean over the steps since the line before: of experts, `load.L` of layer L has the share of choices that each
 * took, `dropped.L` that of choices without room, `entropy.L` the mean entropy of the router in nats; of a memory of product keys,
 * `used.L` has the share of its values that a batch read, `usageKl.L` how far from evenly it read them, in nats.
 */
export interface LayersMetric {
  readonly kind: 'layers';
  readonly step: number;
  /** Steps that the means are over. */
  readonly steps: number;
  readonly values: Readonly<Record<string, readonly (number | null)[]>>;
}

/** A process begins (`start`), or goes on (`resume`), with `step` steps behind it. */
export interface SessionMetric {
  readonly kind: 'start' | 'resume';
  readonly step: number;
  /** ISO 8601. */
  readonly time: string;
  readonly device: string;
  readonly threads: number;
  readonly parameters: number;
  readonly tokensPerStep: number;
}

export type StopReason = 'finished' | 'interrupted' | 'no improvement' | 'not finite';

/** A process ends on purpose; one that was killed leaves no such line. */
export interface StopMetric {
  readonly kind: 'stop';
  readonly step: number;
  readonly time: string;
  readonly elapsed: number;
  readonly reason: StopReason;
}

/** One line of `metrics.jsonl`. */
export type Metric = StepMetric | EvaluationMetric | LayersMetric | SessionMetric | StopMetric;

const KINDS: ReadonlySet<unknown> = new Set<Metric['kind']>([
  'step',
  'evaluation',
  'layers',
  'start',
  'resume',
  'stop',
]);

/**
 * The records of a `metrics.jsonl`, in order. A last line that was only half written is left out.
 *
 * @throws FormatError naming the first line that is not a record.
 */
export function parseMetrics(text: string): Metric[] {
  checkValue('parseMetrics', 'text', text, someText);
  const lines = text.split('\n');
  // what follows the last line end is nothing, or was cut off by the end of the process
  lines.pop();
  return lines.map((line, i) => {
    const value = parse(line);
    if (value === null || typeof value !== 'object' || !KINDS.has((value as Metric).kind)) {
      throw new FormatError(`metrics: line ${i + 1} is no record of training; restore the file, or remove it.`);
    }
    return value as Metric;
  });
}

function parse(line: string): unknown {
  try {
    return parseJson(line);
  } catch {
    return null;
  }
}

/** A growing `metrics.jsonl`: every record is in the file once `append` returns. */
export class MetricsFile {
  constructor(readonly path: string) {}

  /** All records; none where there is no file. @throws FormatError when it cannot be read, or a line is no record. */
  read(): Metric[] {
    try {
      return parseMetrics(readFileSync(this.path, 'utf8'));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw codeOf(error) === '' ? error : this.#failed('read', error);
    }
  }

  /** All of the record or nothing. @throws FormatError when the file cannot be written, on a full disk for one. */
  append(metric: Metric): void {
    let before = 0;
    try {
      before = statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
      appendFileSync(this.path, lineOf(metric));
    } catch (error) {
      this.#shorten(before);
      throw this.#failed('written', error);
    }
  }

  #shorten(size: number): void {
    try {
      truncateSync(this.path, size);
    } catch {
      // there was nothing to begin with
    }
  }

  /** Drops what came after `step`, and a half-written line: a resumed run says it again. Returns what is left. */
  cutBack(step: number): Metric[] {
    const kept = this.read().filter((metric) => metric.step <= step);
    try {
      replaceFile(this.path, kept.map(lineOf).join(''));
    } catch (error) {
      throw this.#failed('written', error);
    }
    return kept;
  }

  #failed(how: string, error: unknown): FormatError {
    return new FormatError(`metrics: "${this.path}" cannot be ${how} (${reasonOf(error)}).`, { cause: error });
  }
}

const lineOf = (metric: Metric): string => `${JSON.stringify(metric)}\n`;

/** A number as JSON can hold it. */
export const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

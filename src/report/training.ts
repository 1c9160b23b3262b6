import type {
  EvaluationMetric,
  LayersMetric,
  Metric,
  SessionMetric,
  StepMetric,
  StopMetric,
} from '../train/metrics.js';
import * as format from './format.js';
import { card } from './charts.js';
import { confusionTable } from './confusion.js';
import { type Curve, curveChart, type CurveChart, type Point } from './curve-chart.js';
import { markup, type Markup } from './html.js';
import { layerCharts } from './layer-charts.js';
import { facts, page } from './page.js';
import { quantile, smoothed, thinned } from './series.js';

export interface TrainingReportOptions {
  /** The records of `metrics.jsonl`. */
  readonly metrics: readonly Metric[];
  /** The configuration of the run, as JSON. */
  readonly config: unknown;
  /** What the run is called. */
  readonly name: string;
  readonly version: string;
  /** The command line that made it. */
  readonly command?: string | undefined;
  /** What bits are of; default `'byte'`. */
  readonly unit?: string;
  /** Names of the classes that are told apart. */
  readonly classes?: readonly string[];
  /** Bits per byte of a 5-gram on the validation part. */
  readonly fiveGram?: number | undefined;
}

const [wide, narrow, whole] = [560, 340, 1140];
const training = { colour: 'c1', shape: 0, dash: 0 };
const validation = { colour: 'c4', shape: 3, dash: 0 };
const reference = { colour: 'c0', shape: 1, dash: 1 };

/** What the records of one kind are. */
interface Run {
  readonly steps: readonly StepMetric[];
  readonly evaluations: readonly EvaluationMetric[];
  readonly layers: readonly LayersMetric[];
  readonly sessions: readonly SessionMetric[];
  readonly stop: StopMetric | undefined;
  readonly unit: string;
}

/** A training run as one HTML file: its curves, its figures and how it was made. */
export function trainingReport(options: TrainingReportOptions): string {
  const { metrics, name, version, command, config, fiveGram, unit = 'byte' } = options;
  const stops = metrics.filter((one): one is StopMetric => one.kind === 'stop');
  const run: Run = {
    steps: metrics.filter((one): one is StepMetric => one.kind === 'step'),
    evaluations: metrics.filter((one): one is EvaluationMetric => one.kind === 'evaluation'),
    layers: metrics.filter((one): one is LayersMetric => one.kind === 'layers'),
    sessions: metrics.filter((one): one is SessionMetric => one.kind === 'start' || one.kind === 'resume'),
    stop: stops.at(-1),
    unit,
  };
  const body = markup`<h1>Training ${name}</h1>
    <p class="lead">${lead(run)}</p>
    <section class="findings" aria-label="Findings">${findings(run, fiveGram).map((one) => markup`<p>${one}</p>`)}</section>
    <h2>Curves</h2>
    ${run.steps.length === 0 ? markup`<p class="note">There is no step yet.</p>` : markup`<div class="charts">${charts(run, fiveGram)}</div>`}
    ${confusion(run, options.classes)}
    <h2>Figures</h2>
    ${facts(figures(run))}
    <h2>Configuration</h2>
    ${facts([...(command === undefined ? [] : [['Command', markup`<code>${command}</code>`] as const]), ...flattened(config)])}`;
  return page(`Training ${name}`, body, version);
}

function lead({ steps, sessions, stop }: Run): string {
  const first = sessions[0];
  const last = steps.at(-1);
  const size = first === undefined ? '' : `${format.operations(first.parameters)} parameters, `;
  const where = first === undefined ? '' : ` on ${format.place({ kind: first.device, threads: first.threads })}`;
  const how = stop === undefined || stop.step < (last?.step ?? 0) ? 'going on, or ended from outside' : stop.reason;
  return last === undefined
    ? `${size}no step yet${where}.`
    : `${size}${format.count(last.step, 'step')} of ${format.integer(last.tokens)} tokens in ${format.duration(last.elapsed)}${where}: ${how}.`;
}

function findings({ steps, evaluations, unit }: Run, fiveGram: number | undefined): string[] {
  const out: string[] = [];
  const known = evaluations.filter(({ bitsPerByte }) => bitsPerByte !== null);
  const least = known.reduce<EvaluationMetric | undefined>(
    (low, one) => (low === undefined || one.bitsPerByte! < low.bitsPerByte! ? one : low),
    undefined,
  );
  // accuracy may have decided
  const best = [...known].reverse().find((one) => one.best) ?? least;
  if (best !== undefined) {
    const last = known.at(-1)!;
    const since =
      last === best ? '' : `; the last, at step ${format.integer(last.step)}, has ${last.bitsPerByte!.toFixed(3)}`;
    out.push(
      `Best validation: ${best.bitsPerByte!.toFixed(3)} bits per ${unit}${hitsOf(best)} at step ${format.integer(best.step)}${since}.`,
    );
    if (fiveGram !== undefined) {
      const gain = fiveGram - best.bitsPerByte!;
      out.push(
        `That is ${Math.abs(gain).toFixed(3)} bits per byte ${gain >= 0 ? 'below' : 'above'} a 5-gram of the same training text (${fiveGram.toFixed(3)}).`,
      );
    }
  } else if (steps.length > 0) {
    out.push('Nothing was evaluated yet.');
  } else {
    out.push('Nothing was trained yet.');
  }
  const skipped = steps.filter(({ skipped: was }) => was).length;
  if (skipped > 0) out.push(`${format.count(skipped, 'step')} overflowed in f16 and moved nothing.`);
  return out;
}

/** Of the best evaluation that has it. */
function confusion({ evaluations }: Run, classes: readonly string[] = []): Markup | undefined {
  const counted = evaluations.filter((one) => one.confusion !== undefined);
  const found = [...counted].reverse().find(({ best }) => best) ?? counted.at(-1);
  if (found === undefined) return undefined;
  return markup`<h2>Classes</h2>
    <p class="note">
      Of the best evaluation, step ${format.integer(found.step)}: accuracy ${(100 * found.accuracy!).toFixed(1)} %, macro F1
      ${(found.macroF1 ?? 0).toFixed(3)}.
    </p>
    ${confusionTable(classes, found.confusion!)}`;
}

const hitsOf = ({ accuracy }: EvaluationMetric): string =>
  accuracy === undefined ? '' : `, accuracy ${(100 * accuracy).toFixed(1)} %,`;

function charts({ steps, evaluations, layers, unit }: Run, fiveGram: number | undefined): Markup[] {
  const of = (value: (step: StepMetric) => number | null): Point[] =>
    steps.flatMap((step) => {
      const y = value(step);
      return y === null || !Number.isFinite(y) ? [] : [{ x: step.step, y }];
    });
  const curve = (name: string, points: readonly Point[], most = Infinity): Curve => ({
    name,
    look: training,
    main: true,
    points: thinned(smoothed(points).filter(({ y }) => y <= most)),
    raw: thinned(points.filter(({ y }) => y <= most)),
  });
  const common = { x: { scale: 'linear', show: format.integer, holds: [0] }, xTitle: 'steps' } as const;
  const held = evaluations.flatMap(({ step, bitsPerByte }) =>
    bitsPerByte === null ? [] : [{ x: step, y: bitsPerByte }],
  );
  const level: Curve[] =
    fiveGram === undefined ? [] : [{ name: '5-gram', look: reference, points: [], level: fiveGram }];
  const bits = of(({ bitsPerByte }) => bitsPerByte);
  const loss: CurveChart = {
    ...common,
    id: 'loss',
    title: `Bits per ${unit}`,
    description: `Bits per ${unit} over the steps: training, smoothed and as it was, and validation.`,
    curves: [
      curve('training', bits, ceiling(bits)),
      { name: 'validation', look: validation, points: held, marked: held.length <= 60, main: true },
      ...level,
    ],
    y: { scale: 'linear', show: decimals },
    height: 460,
  };
  const small = (chart: Pick<CurveChart, 'id' | 'title' | 'description' | 'curves' | 'y'>, caption: string): Markup => {
    const both = { ...common, ...chart };
    return card(chart.title, caption, curveChart(both, wide), curveChart(both, narrow));
  };
  const hits = evaluations.flatMap(({ step, accuracy }) => (accuracy === undefined ? [] : [{ x: step, y: accuracy }]));
  const rate = of(({ learningRate }) => learningRate);
  const norms = of(({ gradientNorm }) => gradientNorm).filter(({ y }) => y > 0);
  const zero = { scale: 'linear', holds: [0] } as const;
  return [
    markup`<figure class="card full">
      <h3>${loss.title}</h3>
      <figcaption class="caption">
        Of the tokens of each step before it moved the weights, as it was and as a moving average; of the validation part
        where it was evaluated.${steps.length > bits.length ? ' Steps that were not finite are left out.' : ''}
      </figcaption>
      ${curveChart(loss, whole)}${curveChart(loss, narrow)}
    </figure> `,
    ...(hits.length === 0
      ? []
      : [
          small(
            {
              id: 'accuracy',
              title: 'Accuracy',
              description: 'The share of the targets of the validation part that were predicted, over the steps.',
              curves: [{ name: 'validation', look: validation, points: hits, marked: hits.length <= 60, main: true }],
              y: { scale: 'linear', show: format.percent },
            },
            'Share of the targets of the validation part that are the likeliest.',
          ),
        ]),
    small(
      {
        id: 'rate',
        title: 'Learning rate',
        description: 'The learning rate over the steps.',
        curves: [{ name: 'rate', look: training, main: true, points: thinned(rate) }],
        y: { ...zero, show: scientific },
      },
      'By the schedule.',
    ),
    small(
      {
        id: 'norm',
        title: 'Gradient norm',
        description: 'The norm of all gradients together over the steps, on a logarithmic axis.',
        curves: [curve('norm', norms)],
        y: { scale: 'log', show: plainNumber },
      },
      'Of all gradients together, before clipping.',
    ),
    small(
      {
        id: 'speed',
        title: 'Tokens per second',
        description: 'Tokens per second over the steps.',
        curves: [
          curve(
            'tokens/s',
            of(({ tokensPerSecond }) => tokensPerSecond),
          ),
        ],
        y: { ...zero, show: format.operations },
      },
      'Of each step, evaluations apart.',
    ),
    small(
      {
        id: 'memory',
        title: 'Memory',
        description: 'The most bytes held during each step.',
        curves: [{ name: 'peak', look: training, main: true, points: thinned(of(({ peakBytes }) => peakBytes)) }],
        y: { ...zero, show: format.bytes },
      },
      'Most bytes held on the device during a step, from the ledger.',
    ),
    ...layerCharts(layers).map(({ caption, ...chart }) => small(chart, caption)),
  ];
}

/** The largest value after the first fall, which would flatten all that follows. */
function ceiling(points: readonly Point[]): number {
  if (points.length < 100) return Infinity;
  const later = points.slice(Math.floor(points.length / 20));
  return 1.02 * later.reduce((most, { y }) => Math.max(most, y), 0);
}

function figures({ steps, evaluations, sessions }: Run): [string, string][] {
  const last = steps.at(-1);
  if (last === undefined) return [];
  const times = steps.map(({ seconds }) => seconds);
  const evaluating = evaluations.reduce((sum, { seconds }) => sum + seconds, 0);
  return [
    ['Steps', `${format.integer(last.step)}, ${format.operations(last.step * last.tokens)} tokens`],
    ['Time', `${format.duration(last.elapsed)}, ${format.duration(evaluating)} of it for evaluation`],
    [
      'Step',
      `${format.milliseconds(1000 * quantile(times, 0.5))} in the median, ${format.milliseconds(1000 * quantile(times, 0.95))} for the slowest twentieth`,
    ],
    ['Speed', `${format.operations(last.tokens / quantile(times, 0.5))} tokens/s in the median`],
    ['Memory', `${format.bytes(steps.reduce((most, { peakBytes }) => Math.max(most, peakBytes), 0))} at most`],
    [
      'Sessions',
      sessions
        .map(
          ({ kind, step, time }) => `${kind} at step ${format.integer(step)}, ${time.slice(0, 16).replace('T', ' ')}`,
        )
        .join('; ') || 'unknown',
    ],
  ];
}

/** `model.layers` and the like, with plain values. */
function flattened(value: unknown, path = ''): [string, string][] {
  if (value === null || typeof value !== 'object') return [[path || 'configuration', String(value)]];
  if (Array.isArray(value)) return [[path, value.length === 0 ? 'none' : value.map(String).join(', ')]];
  const entries = Object.entries(value);
  if (entries.length === 0) return path === '' ? [] : [[path, 'none']];
  return entries.flatMap(([name, inner]) => flattened(inner, path === '' ? name : `${path}.${name}`));
}

const decimals = (value: number): string => String(Number(value.toFixed(2)));
const plainNumber = (value: number): string => String(Number(value.toPrecision(2)));
const scientific = (value: number): string =>
  value === 0 ? '0' : value >= 0.1 ? plainNumber(value) : value.toExponential(1).replace('.0', '');

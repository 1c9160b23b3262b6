import type { CompareRow } from '../studies/compare.js';
import type { SwapComparison } from '../studies/swap-row.js';
import { baselines } from '../studies/mechanisms.js';
import type { Direction } from './choice.js';
import { costsOf, unitOf } from './costs.js';
import * as format from './format.js';
import { errorChart, workChart } from './dot-chart.js';
import { likeness } from './findings.js';
import { markup, type Markup } from './html.js';
import { lineChart, type LineChart } from './line-chart.js';
import type { Look } from './marks.js';
import { errorLoss, largestError, type Loss, rounding, scatter } from './scatter.js';

const [wide, narrow, whole] = [560, 340, 1140];

/** Time, speed-up, memory and error over the length; error by row; and all three at one length in one drawing. */
export function charts({ comparison, swaps }: Direction, look: (name: string) => Look): Markup[] {
  const { rows, lengths, heads, rowsPerHead, training, causal } = comparison;
  // two directions are on one page
  const id = (name: string): string => (causal ? `causal-${name}` : name);
  const names = [...new Set(rows.map(({ name }) => name))];
  const { errorsAt = lengths.at(-1)! } = comparison;
  const series = (value: (row: CompareRow) => number | null): LineChart['series'] =>
    names.map((name) => {
      const own = rows.filter((row) => row.name === name);
      return {
        name,
        look: look(name),
        main: baselines.includes(own[0]!.mechanism),
        points: own.flatMap((row) => {
          const y = value(row);
          return y === null || !(y > 0) ? [] : [{ x: row.length, y }];
        }),
      };
    });
  const common = { xTicks: lengths, showX: format.length, xTitle: 'positions' };
  const line = (chart: Omit<LineChart, keyof typeof common>, caption: string): Markup | undefined =>
    chart.series.every(({ points }) => points.length === 0)
      ? undefined
      : card(
          chart.title,
          caption,
          lineChart({ ...common, ...chart }, wide),
          lineChart({ ...common, ...chart }, narrow),
        );
  const atLongest = rows.filter(({ length, level }) => length === errorsAt && level === 'attention');
  const spread = rows.filter(({ length }) => length === errorsAt);
  // what a mechanism costs the model is known of its length alone, and time is of interest where it is long
  const figureAt = swaps === undefined ? errorsAt : lengths.at(-1)!;
  const figure = rows.filter(({ length }) => length === figureAt);
  const at = `at ${format.integer(errorsAt)} positions`;
  const quality = swaps === undefined ? 'error' : 'quality';
  const [errorTitle, workTitle, scatterTitle] = [
    `Error ${at}`,
    `Work ${at}`,
    `Speed, ${quality} and memory at ${format.integer(figureAt)} positions`,
  ];
  const loss = swaps === undefined ? errorLoss : swapLoss(swaps);
  const most = loss.most === largestError ? format.percent(largestError) : `${loss.most} bits`;
  const mixers = rows.some(({ level }) => level === 'mixer') ? ' Mixers, which compare nothing, are left out.' : '';
  return [
    figure.every(({ overFlash }) => overFlash === null)
      ? undefined
      : markup`<figure class="card full">
          <h3>${scatterTitle}</h3>
          <figcaption class="caption">
            The larger the circle, the more workspace, by its logarithm. ${swaps === undefined ? '' : `Quality is what the mechanism costs the trained model in ${unitOf(swaps)}, in windows of ${format.integer(swaps.lengths[0]!)}. `}Losses of ${most} and more lie on the lowest line.
          </figcaption>
          ${scatter(figure, loss, look, scatterTitle, whole)}${scatter(figure, loss, look, scatterTitle, narrow)}
        </figure> `,
    line(
      {
        id: id('time'),
        title: training ? 'Time of one training step' : 'Time of one call',
        description: `Milliseconds over the number of positions, one line for each of ${names.length} mechanisms; all values are in the table.`,
        series: series(({ milliseconds }) => milliseconds),
        showY: format.milliseconds,
      },
      'Median of checked runs. A line that ends early was stopped; the table says why.',
    ),
    line(
      {
        id: id('speed'),
        title: 'Speed-up over flash',
        description: 'How many times as fast as flash at the same length; all values are in the table.',
        series: series(({ overFlash }) => overFlash),
        showY: format.times,
      },
      'Same length, same run.',
    ),
    line(
      {
        id: id('memory'),
        title: 'Peak workspace',
        description: 'Bytes held beyond inputs, parameters and the result; all values are in the table.',
        series: series(({ workspaceBytes }) => workspaceBytes),
        showY: format.bytes,
      },
      `Most bytes held at a time beyond inputs, parameters${training ? ', gradients' : ''} and the result, from the ledger.`,
    ),
    line(
      {
        id: id('error'),
        title: 'Error over the length',
        description: 'Relative error against softmax attention; all values are in the table.',
        series: series((row) => {
          const error = likeness(row, comparison)?.relative ?? 0;
          return error <= rounding ? null : error;
        }),
        showY: format.error,
      },
      `Against float64 softmax attention, where it is more than rounding.${mixers}`,
    ),
    atLongest.length === 0
      ? undefined
      : card(
          errorTitle,
          `On ${heads * rowsPerHead} sampled rows; those that see the past only against causal attention.${mixers}`,
          errorChart(atLongest, look, errorTitle, wide),
          errorChart(atLongest, look, errorTitle, narrow),
        ),
    !spread.some(({ counted }) => (counted?.multiplyAdds ?? 0) > 0)
      ? undefined
      : card(
          workTitle,
          training
            ? 'Multiply-adds of both passes, and the number that the rehearsal predicted.'
            : "Multiply-adds that were executed, and those of the mechanism's formula: tiles that a pattern cuts are executed whole.",
          workChart(spread, look, workTitle, training, wide),
          workChart(spread, look, workTitle, training, narrow),
        ),
  ].filter((one) => one !== undefined);
}

export const card = (title: string, caption: string, ...drawings: Markup[]): Markup =>
  markup`<figure class="card">
    <h3>${title}</h3>
    <figcaption class="caption">${caption}</figcaption>
    ${drawings}
  </figure> `;

/** The quality of the survey's figure: bits that are lost. */
function swapLoss(swaps: SwapComparison): Loss {
  const costs = costsOf(swaps);
  const unit = unitOf(swaps);
  return {
    of: ({ name, exactness }) => costs.get(name)?.change ?? (exactness === 'exact' ? 0 : undefined),
    least: 1e-3,
    most: 4,
    axis: `${unit} lost`,
    none: '0',
    show: (value) => `${value.toFixed(3)} ${unit} lost`,
    showTick: String,
  };
}

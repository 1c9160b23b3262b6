import { curveChart } from './curve-chart.js';
import type { Markup } from './html.js';
import type { Look } from './marks.js';

export interface Series {
  readonly name: string;
  readonly look: Look;
  /** Points with a value, by rising x. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
  /** Drawn heavier. */
  readonly main: boolean;
}

export interface LineChart {
  readonly id: string;
  readonly title: string;
  /** What the lines show, for those who do not see them. */
  readonly description: string;
  readonly series: readonly Series[];
  readonly xTicks: readonly number[];
  readonly showX: (x: number) => string;
  readonly showY: (y: number) => string;
  readonly xTitle: string;
}

/** A log–log chart with each line named at its right end. */
export const lineChart = ({ series, xTicks, showX, showY, ...chart }: LineChart, width: number): Markup =>
  curveChart(
    {
      ...chart,
      curves: series.map((one) => ({ ...one, marked: true })),
      x: { scale: 'log', show: showX, ticks: xTicks, called: 'n = ' },
      y: { scale: 'log', show: showY },
    },
    width,
  );

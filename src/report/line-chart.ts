import { label, markup, type Markup, px, stroke } from './html.js';
import { type Look, marker } from './marks.js';
import { logScale, spread } from './scale.js';

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

/** Names are cut to this many letters of this many pixels each; they are smaller on a phone. */
export const longestName = (width: number): number => (width < 500 ? 20 : 26);
export const letter = (width: number): number => (width < 500 ? 6.4 : 7.3);

const LINE = 15;
// between the last points and their names
const GUTTER = 18;

/** A log–log chart with each line named at its right end. */
export function lineChart(chart: LineChart, width: number): Markup {
  const { id, title, description, showX, showY, xTicks } = chart;
  const series = chart.series.filter(({ points }) => points.length > 0);
  const narrow = width < 500;
  const names = series.map(({ name }) => shorten(name, longestName(width)));
  const right = GUTTER + 8 + Math.max(...names.map((name) => name.length), 4) * letter(width);
  const box = { left: narrow ? 46 : 58, right: width - right, top: 12, bottom: 0 };
  const height = Math.max(narrow ? 300 : 360, series.length * LINE + 60);
  box.bottom = height - 44;
  const values = series.flatMap(({ points }) => points.map(({ y }) => y));
  const x = logScale(xTicks, box.left + 8, box.right, xTicks);
  const y = logScale(values, box.bottom, box.top);
  const last = series.map(({ points }) => points.at(-1)!);
  const places = spread(
    last.map((point) => y(point.y)),
    LINE,
    box.top,
    box.bottom,
  );
  const grid = y.ticks.map((tick) => [
    stroke('grid', `M${px(box.left)} ${px(y(tick))}H${px(box.right)}`),
    label('tick', box.left - 6, y(tick) + 4, plain(showY(tick)), 'end'),
  ]);
  const every = narrow && xTicks.length > 5 ? 2 : 1;
  const labelled = xTicks.filter((_, i) => (xTicks.length - 1 - i) % every === 0);
  const bottom = labelled.map((tick) => [
    stroke('grid', `M${px(x(tick))} ${px(box.bottom)}v5`),
    label('tick', x(tick), box.bottom + 18, showX(tick), 'middle'),
  ]);
  const lines = series.map(({ look, points, main }) => {
    const path = points.map((p, n) => `${n === 0 ? 'M' : 'L'}${px(x(p.x))} ${px(y(p.y))}`).join('');
    return stroke(`line ${look.colour} ${main ? 'main' : `dash${look.dash}`}`, path);
  });
  const marks = series.map(({ name, look, points }) =>
    points.map((p) => marker(look, x(p.x), y(p.y), `${name}, n = ${showX(p.x)}: ${showY(p.y)}`)),
  );
  const ends = series.map(({ look, main }, i) => {
    const [fromX, fromY, toY] = [x(last[i]!.x), y(last[i]!.y), places[i]!];
    const leader = `M${px(fromX + 6)} ${px(fromY)}L${px(box.right + GUTTER - 2)} ${px(toY)}`;
    const style = `name ${look.colour}${main ? ' main' : ''}`;
    return [stroke(`leader ${look.colour}`, leader), label(style, box.right + GUTTER + 2, toY + 4, names[i]!)];
  });
  return markup`<svg
    class="${narrow ? 'narrow' : 'wide'}"
    viewBox="0 0 ${width} ${height}"
    role="img"
    aria-labelledby="${id}-t${width} ${id}-d${width}"
  >
    <title id="${id}-t${width}">${title}</title>
    <desc id="${id}-d${width}">${description}</desc>
    ${grid}${bottom}
    ${label('tick', (box.left + box.right) / 2, height - 6, chart.xTitle, 'middle')}
    ${ends}${lines}${marks}
  </svg>`;
}

/** Without zeros that say nothing: 10.0 s is 10 s. */
export const plain = (text: string): string => text.replace(/(\.\d*?)0+(?=\D)/, '$1').replace(/\.(?=\D)/, '');

export function shorten(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

import { label, markup, type Markup, px, stroke } from './html.js';
import { letter, longestName, plain, shorten } from './lettering.js';
import { linearScale } from './linear-scale.js';
import { type Look, marker } from './marks.js';
import { logScale, type Scale, spread } from './scale.js';

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Curve {
  readonly name: string;
  readonly look: Look;
  /** By rising x. */
  readonly points: readonly Point[];
  /** Drawn heavier. */
  readonly main?: boolean;
  /** A mark at each point. */
  readonly marked?: boolean;
  /** What was smoothed to `points`, drawn behind. */
  readonly raw?: readonly Point[];
  /** From the lowest to the highest, filled. */
  readonly band?: readonly { readonly x: number; readonly low: number; readonly high: number }[];
  /** Instead of points: a value of its own, from one side to the other. */
  readonly level?: number;
}

export interface Axis {
  readonly scale: 'linear' | 'log';
  readonly show: (value: number) => string;
  /** Values to label, the first and the last of which are the ends; default round numbers. */
  readonly ticks?: readonly number[];
  /** What stands before a value where a mark is described; default nothing. */
  readonly called?: string;
  /** Values that the axis holds in any case. */
  readonly holds?: readonly number[];
}

export interface CurveChart {
  readonly id: string;
  readonly title: string;
  /** What the curves show, for those who do not see them. */
  readonly description: string;
  readonly curves: readonly Curve[];
  readonly x: Axis;
  readonly xTitle: string;
  /** Default none: the title says it. */
  readonly yTitle?: string;
  readonly y: Axis;
  /** Of the wide drawing; default 360. */
  readonly height?: number;
}

const LINE = 15;
// between the last points and their names
const GUTTER = 18;

/** A chart of curves, each named at its right end. */
export function curveChart(chart: CurveChart, width: number): Markup {
  const { id, title, description, xTitle, yTitle, height: tall = 360 } = chart;
  const curves = chart.curves.filter(({ points, level }) => points.length > 0 || level !== undefined);
  const narrow = width < 500;
  const names = curves.map(({ name }) => shorten(name, longestName(width)));
  const right = GUTTER + 8 + Math.max(...names.map((name) => name.length), 4) * letter(width);
  const height = Math.max(narrow ? 300 : tall, curves.length * LINE + 60);
  const box = {
    left: narrow ? 46 : 58,
    right: width - right,
    top: yTitle === undefined ? 12 : 32,
    bottom: height - 44,
  };
  const xs = curves.flatMap(({ points, raw = [] }) => [...points, ...raw].map((point) => point.x));
  const ys = curves.flatMap(({ points, raw = [], band = [], level }) => [
    ...[...points, ...raw].map((point) => point.y),
    ...band.flatMap(({ low, high }) => [low, high]),
    ...(level === undefined ? [] : [level]),
  ]);
  const x = scaleOf(chart.x, xs, box.left + 8, box.right, narrow ? 4 : 6);
  const y = scaleOf(chart.y, ys, box.bottom, box.top, 6);
  const at = (points: readonly Point[]): string =>
    points.map((p, n) => `${n === 0 ? 'M' : 'L'}${px(x(p.x))} ${px(y(p.y))}`).join('');
  const ends = curves.map(({ points, level }) =>
    level === undefined ? points.at(-1)! : { x: x.ticks.at(-1)!, y: level },
  );
  const places = spread(
    ends.map((point) => y(point.y)),
    LINE,
    box.top,
    box.bottom,
  );
  const every = narrow && x.ticks.length > 5 ? 2 : 1;
  const grid = [
    y.ticks.map((tick) => [
      stroke('grid', `M${px(box.left)} ${px(y(tick))}H${px(box.right)}`),
      label('tick', box.left - 6, y(tick) + 4, plain(chart.y.show(tick)), 'end'),
    ]),
    x.ticks
      .filter((_, i) => (x.ticks.length - 1 - i) % every === 0)
      .map((tick) => [
        stroke('grid', `M${px(x(tick))} ${px(box.bottom)}v5`),
        label('tick', x(tick), box.bottom + 18, chart.x.show(tick), 'middle'),
      ]),
  ];
  const behind = curves.map(({ look, band = [], raw = [] }) => [
    band.length < 2
      ? undefined
      : stroke(`band ${look.colour}`, `${at(band.map((b) => ({ x: b.x, y: b.high })))}${back(band)}`),
    raw.length === 0 ? undefined : stroke(`line raw ${look.colour}`, at(raw)),
  ]);
  const lines = curves.map(({ look, points, main, level }) =>
    level === undefined
      ? stroke(`line ${look.colour} ${main ? 'main' : `dash${look.dash}`}`, at(points))
      : stroke(`line ${look.colour} dash${look.dash}`, `M${px(box.left)} ${px(y(level))}H${px(box.right)}`),
  );
  const { called = '' } = chart.x;
  const marks = curves.map(({ name, look, points, marked }) =>
    marked
      ? points.map((p) => marker(look, x(p.x), y(p.y), `${name}, ${called}${chart.x.show(p.x)}: ${chart.y.show(p.y)}`))
      : undefined,
  );
  const labels = curves.map(({ look, main }, i) => {
    const [fromX, fromY, toY] = [x(ends[i]!.x), y(ends[i]!.y), places[i]!];
    const leader = `M${px(fromX + 6)} ${px(fromY)}L${px(box.right + GUTTER - 2)} ${px(toY)}`;
    const style = `name ${look.colour}${main ? ' main' : ''}`;
    return [stroke(`leader ${look.colour}`, leader), label(style, box.right + GUTTER + 2, toY + 4, names[i]!)];
  });
  function back(band: NonNullable<Curve['band']>): string {
    return `${[...band]
      .reverse()
      .map((b) => `L${px(x(b.x))} ${px(y(b.low))}`)
      .join('')}Z`;
  }
  return markup`<svg
    class="${narrow ? 'narrow' : 'wide'}"
    viewBox="0 0 ${width} ${height}"
    role="img"
    aria-labelledby="${id}-t${width} ${id}-d${width}"
  >
    <title id="${id}-t${width}">${title}</title>
    <desc id="${id}-d${width}">${description}</desc>
    ${grid}${behind}
    ${label('tick', (box.left + box.right) / 2, height - 6, xTitle, 'middle')}
    ${yTitle === undefined ? undefined : label('tick', 8, 14, yTitle)}
    ${labels}${lines}${marks}
  </svg>`;
}

function scaleOf(
  { scale, ticks, holds = [] }: Axis,
  values: readonly number[],
  from: number,
  to: number,
  count: number,
): Scale {
  return scale === 'log'
    ? logScale([...values, ...holds], from, to, ticks)
    : linearScale([...values, ...holds], from, to, count);
}

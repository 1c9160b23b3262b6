import type { CompareRow } from '../studies/compare.js';
import * as format from './format.js';
import { errorTick } from './dot-chart.js';
import { label, markup, type Markup, px, stroke } from './html.js';
import { letter, longestName, shorten } from './lettering.js';
import type { Look } from './marks.js';
import { placeLabels } from './place-labels.js';
import { logScale } from './scale.js';

/** Smaller errors are rounding and are drawn on a line of their own; larger ones are no likeness and are drawn on the lowest. */
export const rounding = 1e-4;
export const largestError = 2;

/** What a circle's height stands for: a loss, 0 at the top. */
export interface Loss {
  /** Undefined: the row is not drawn. */
  readonly of: (row: CompareRow) => number | undefined;
  /** Smaller ones are drawn on the highest line, larger ones on the lowest. */
  readonly least: number;
  readonly most: number;
  readonly axis: string;
  /** What the highest line is called. */
  readonly none: string;
  readonly show: (value: number) => string;
  readonly showTick: (tick: number) => string;
}

export const errorLoss: Loss = {
  of: ({ error }) => error?.relative,
  least: rounding,
  most: largestError,
  axis: 'error',
  none: 'exact',
  show: (value) => `error ${format.error(value)}`,
  showTick: errorTick,
};

/**
 * Speed to the right, quality upwards, memory as the size of a circle: what is best is at the top right.
 * (The arrangement of figure 3 of Tay et al., "Long Range Arena", 2020, arXiv 2011.04006.)
 */
export function scatter(
  rows: readonly CompareRow[],
  loss: Loss,
  look: (name: string) => Look,
  title: string,
  width: number,
): Markup {
  const narrow = width < 500;
  const shown = rows.flatMap((row) => {
    const value = loss.of(row);
    return row.overFlash === null || value === undefined ? [] : [{ ...row, loss: value }];
  });
  const height = (narrow ? 440 : 520) + 6 * Math.max(0, shown.length - 20);
  const box = { left: narrow ? 52 : 66, right: width - 12, top: 26, bottom: height - 52 };
  const biggest = (narrow ? 18 : 26) * (shown.length > 20 ? 0.7 : 1);
  const inset = biggest + 4;
  const x = logScale([...shown.map(({ overFlash }) => overFlash!), 0.9, 1.1], box.left + inset, box.right - inset);
  const values = shown.map((one) => Math.min(loss.most, one.loss)).filter((value) => value > loss.least);
  const exact = box.top + inset;
  const y = logScale([...values, loss.most / 20, loss.most], exact + 2 * biggest, box.bottom - inset);
  const level = (value: number): number => (value <= loss.least ? exact : y(Math.min(loss.most, value)));
  const sizes = shown.map(({ workspaceBytes }) => Math.log(Math.max(1, workspaceBytes!)));
  const [small, large] = [Math.min(...sizes), Math.max(...sizes)];
  const radius = (size: number): number => 5 + (biggest - 5) * (large > small ? (size - small) / (large - small) : 0.5);
  const spots = shown.map(({ name, overFlash, loss: value }, i) => ({
    x: x(overFlash!),
    y: level(value),
    radius: radius(sizes[i]!),
    text: shorten(name, longestName(width)),
  }));
  const every = narrow ? Math.ceil(x.ticks.length / 5) : 1;
  const grid = [
    [0, ...y.ticks.filter((tick) => tick > loss.least)].map((tick) => [
      stroke('grid', `M${px(box.left)} ${px(level(tick))}H${px(box.right)}`),
      label('tick', box.left - 6, level(tick) + 4, tick === 0 ? loss.none : loss.showTick(tick), 'end'),
    ]),
    x.ticks.map((tick, i) => [
      stroke(tick === 1 ? 'grid one' : 'grid', `M${px(x(tick))} ${px(box.top)}V${px(box.bottom)}`),
      i % every === 0 ? label('tick', x(tick), box.bottom + 18, `${tick}×`, 'middle') : undefined,
    ]),
  ];
  const order = spots.map((_, i) => i).sort((a, b) => spots[b]!.radius - spots[a]!.radius);
  const circles = order.map((i) => {
    const { name, overFlash, loss: value, workspaceBytes } = shown[i]!;
    const spot = spots[i]!;
    const hint = `${name}: ${format.times(overFlash!)} flash, ${loss.show(value)}, ${format.bytes(workspaceBytes!)}`;
    return markup`<circle class="bubble ${look(name).colour}" cx="${px(spot.x)}" cy="${px(spot.y)}" r="${px(spot.radius)}"><title>${hint}</title></circle>`;
  });
  const places = placeLabels(spots, { ...box, left: box.left + 2 }, letter(width));
  const names = spots.map(({ text, ...spot }, i) => {
    const { x: left, y: base, far } = places[i]!;
    const { colour } = look(shown[i]!.name);
    const end = Math.min(left + text.length * letter(width), Math.max(left, spot.x));
    const leader = far
      ? stroke(`leader near ${colour}`, `M${px(spot.x)} ${px(spot.y)}L${px(end)} ${px(base - 4)}`)
      : undefined;
    return [leader, label(`name ${colour}`, left, base, text)];
  });
  return markup`<svg
    class="${narrow ? 'narrow' : 'wide'}"
    viewBox="0 0 ${width} ${height}"
    role="img"
    aria-label="${title}"
  >
    ${grid}${circles}${names}
    ${label('tick', box.right, box.top - 10, 'faster and better: top right', 'end')}
    ${label('tick', (box.left + box.right) / 2, height - 10, 'times as fast as flash', 'middle')}
    ${label('tick', 4, box.top - 10, loss.axis)}
  </svg>`;
}

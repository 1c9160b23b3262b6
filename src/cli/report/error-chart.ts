import type { CompareRow } from '../../studies/compare.js';
import * as format from '../format.js';
import { label, markup, type Markup, px, stroke } from './html.js';
import { letter, longestName, shorten } from './line-chart.js';
import { type Look, marker } from './marks.js';
import { logScale } from './scale.js';

const ROW = 30;
/** Smaller errors, zero among them, are drawn here. */
const LEAST = 1e-7;

/** One line per mechanism: its error over all sampled rows as a mark, a thin line on to the worst row. */
export function errorChart(
  rows: readonly CompareRow[],
  look: (mechanism: string) => Look,
  title: string,
  width: number,
): Markup {
  const narrow = width < 500;
  const shown = rows.filter((row) => row.error !== null).sort((a, b) => a.error!.relative - b.error!.relative);
  const names = shown.map(({ mechanism }) => shorten(mechanism, longestName(width)));
  const left = 14 + Math.max(...names.map((name) => name.length), 4) * letter(width);
  const right = width - (narrow ? 50 : 70);
  const height = shown.length * ROW + 58;
  const x = logScale([...shown.flatMap(({ error }) => [error!.relative, error!.worstRow]), LEAST, 1], left, right);
  const every = narrow && x.ticks.length > 5 ? 2 : 1;
  const grid = x.ticks.map((tick, i) => [
    stroke('grid', `M${px(x(tick))} 8V${height - 46}`),
    (x.ticks.length - 1 - i) % every === 0 ? label('tick', x(tick), height - 28, tickText(tick), 'middle') : undefined,
  ]);
  const lines = shown.map(({ mechanism, error, target }, i) => {
    const y = 20 + i * ROW;
    const { relative, worstRow } = error!;
    const at = (value: number): number => x(Math.max(LEAST, value));
    const own = look(mechanism);
    const of = target === 'causal' ? ', of causal attention' : '';
    const hint = `${mechanism}: error ${format.error(relative)}, worst row ${format.error(worstRow)}${of}`;
    return [
      label(`name ${own.colour}`, left - 12, y + 4, names[i]!, 'end'),
      stroke(`whisker ${own.colour}`, `M${px(at(relative))} ${y}H${px(at(worstRow))}m0-4v8`),
      marker(own, at(relative), y, hint),
      label('tick', at(worstRow) + 8, y + 4, format.error(relative)),
    ];
  });
  return markup`<svg
    class="${narrow ? 'narrow' : 'wide'}"
    viewBox="0 0 ${width} ${height}"
    role="img"
    aria-label="${title}"
  >
    ${grid}${lines}
    ${label('tick', width / 2, height - 8, 'relative error; the thin line reaches to the worst row', 'middle')}
  </svg>`;
}

const superscripts = '⁰¹²³⁴⁵⁶⁷⁸⁹';
function tickText(tick: number): string {
  const power = Math.round(Math.log10(tick));
  if (power >= -2) return `${Math.round(100 * tick)} %`;
  return `10⁻${[...String(-power)].map((digit) => superscripts[Number(digit)]).join('')}`;
}

import type { CompareRow } from '../studies/compare.js';
import { bySize, foreseen } from './findings.js';
import * as format from './format.js';
import { label, markup, type Markup, px, stroke } from './html.js';
import { letter, longestName, shorten } from './lettering.js';
import { linearScale } from './linear-scale.js';
import { type Look, marker } from './marks.js';
import { logScale } from './scale.js';

const rowHeight = 30;

interface Line {
  readonly name: string;
  readonly look: Look;
  /** Where the mark is. */
  readonly value: number;
  /** Where the thin line from the mark ends. */
  readonly reach: number;
  /** Written at the right. */
  readonly text: string;
  readonly hint: string;
}

interface DotChart {
  readonly title: string;
  readonly axis: string;
  readonly showTick: (tick: number) => string;
  /** Values that the axis holds in any case; smaller ones, zero among them, are drawn at the least. */
  readonly span: readonly number[];
  /** Default logarithmic. */
  readonly scale?: 'log' | 'linear';
}

/** One line per mechanism: a mark for one value, a thin line on to another. */
export function dotChart(
  lines: readonly Line[],
  { title, axis, showTick, span, scale = 'log' }: DotChart,
  width: number,
): Markup {
  const narrow = width < 500;
  const names = lines.map(({ name }) => shorten(name, longestName(width)));
  const left = 14 + Math.max(...names.map((name) => name.length), 4) * letter(width);
  const right = width - (narrow ? 50 : 70);
  const height = lines.length * rowHeight + 58;
  const least = Math.min(...span, Infinity);
  const values = [...lines.flatMap(({ value, reach }) => [value, reach]), ...span];
  const x = scale === 'log' ? logScale(values, left, right) : linearScale(values, left, right);
  const at = (value: number): number => x(Number.isFinite(least) ? Math.max(least, value) : value);
  const every = narrow && x.ticks.length > 5 ? 2 : 1;
  const grid = x.ticks.map((tick, i) => [
    stroke('grid', `M${px(x(tick))} 8V${height - 46}`),
    (x.ticks.length - 1 - i) % every === 0 ? label('tick', x(tick), height - 28, showTick(tick), 'middle') : undefined,
  ]);
  const drawn = lines.map(({ look, value, reach, text, hint }, i) => {
    const y = 20 + i * rowHeight;
    return [
      label(`name ${look.colour}`, left - 12, y + 4, names[i]!, 'end'),
      stroke(`whisker ${look.colour}`, `M${px(at(value))} ${y}H${px(at(reach))}m0-4v8`),
      marker(look, at(value), y, hint),
      label('tick', Math.max(at(value), at(reach)) + 8, y + 4, text),
    ];
  });
  return markup`<svg
    class="${narrow ? 'narrow' : 'wide'}"
    viewBox="0 0 ${width} ${height}"
    role="img"
    aria-label="${title}"
  >
    ${grid}${drawn} ${label('tick', width / 2, height - 8, axis, 'middle')}
  </svg>`;
}

/** The error over all sampled rows, a thin line on to the worst row. */
export function errorChart(
  rows: readonly CompareRow[],
  look: (name: string) => Look,
  title: string,
  width: number,
): Markup {
  const lines = bySize(rows, ({ error }) => error?.relative).map(({ name, error, causal }) => {
    const { relative, worstRow } = error!;
    const of = causal ? ', of causal attention' : '';
    return {
      name,
      look: look(name),
      value: relative,
      reach: worstRow,
      text: format.error(relative),
      hint: `${name}: error ${format.error(relative)}, worst row ${format.error(worstRow)}${of}`,
    };
  });
  const axis = 'relative error; the thin line reaches to the worst row';
  return dotChart(lines, { title, axis, showTick: errorTick, span: [1e-7, 1] }, width);
}

/** Multiply-adds that were executed, a thin line back to what was predicted. */
export function workChart(
  rows: readonly CompareRow[],
  look: (name: string) => Look,
  title: string,
  training: boolean,
  width: number,
): Markup {
  const lines = bySize(rows, ({ counted }) => counted?.multiplyAdds || undefined).map((row) => {
    const { name, counted } = row;
    const [executed, predicted] = [counted!.multiplyAdds, foreseen(row, training) ?? 0];
    return {
      name,
      look: look(name),
      value: executed,
      reach: predicted > 0 ? predicted : executed,
      text: format.operations(executed),
      hint: `${name}: ${format.operations(executed)} executed, ${format.operations(predicted)} predicted`,
    };
  });
  const axis = 'multiply-adds; the thin line reaches to the predicted number';
  return dotChart(lines, { title, axis, showTick: format.operations, span: [] }, width);
}

const superscripts = '⁰¹²³⁴⁵⁶⁷⁸⁹';
/** A tick of an error: a percentage, or a power of ten. */
export function errorTick(tick: number): string {
  if (tick >= 0.01) return `${Math.round(100 * tick)} %`;
  const power = Math.floor(Math.log10(tick) + 1e-9);
  const digit = Math.round(tick / 10 ** power);
  const exponent = [...String(-power)].map((one) => superscripts[Number(one)]).join('');
  return `${digit === 1 ? '' : `${digit}·`}10⁻${exponent}`;
}

import type { Comparison, CompareRow } from '../../studies/compare.js';
import type { MaskPicture } from '../../studies/picture.js';
import { findings, omissions } from '../findings.js';
import * as format from '../format.js';
import { errorChart } from './error-chart.js';
import { markup, Markup } from './html.js';
import { lineChart, type LineChart } from './line-chart.js';
import { looks, type Look } from './marks.js';
import { maskFigure } from './mask-figure.js';
import { style } from './style.js';
import { resultTable } from './table.js';

export interface ReportOptions {
  /** The command line that made it. */
  readonly command: string;
  readonly version: string;
  /** Something readers must know about the lengths. */
  readonly note: string | undefined;
}

/** The comparison as one HTML file that asks for nothing else: no script, no font, no request. */
export function report(comparison: Comparison, options: ReportOptions): string {
  const { document, heads, headDim, machine, rows, lengths, features } = comparison;
  const mechanisms = [...new Set(rows.map(({ mechanism }) => mechanism))];
  const look = looks(mechanisms);
  const page = markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>Attention on ${document}</title>
        <style>
          ${new Markup(style)}
        </style>
      </head>
      <body>
        <main>
          <h1>Which attention, at which length?</h1>
          <p class="lead">
            ${document}, ${format.count(heads, 'head')} of ${headDim}, f32, on ${machine.cpu} (${machine.device.kind}, ${format.count(machine.device.threads, 'thread')}).
          </p>
          <p class="note">
            ${features} One byte of the text is one position.${options.note === undefined ? '' : ` ${options.note}`}
          </p>
          <section class="findings" aria-label="Findings">
            ${[...findings(rows, lengths), ...omissions(comparison)].map((sentence) => markup`<p>${sentence}</p>`)}
          </section>
          <h2>Time, memory, error</h2>
          <div class="charts">${charts(comparison, mechanisms, (name) => look.get(name)!)}</div>
          ${comparison.pictures.length === 0 ? undefined : masks(comparison)}
          <h2>All results</h2>
          <p class="note">Names are those that <code>--masks</code> takes.</p>
          ${resultTable(comparison)} ${method(comparison, options)}
        </main>
      </body>
    </html> `;
  return page.text;
}

function charts(
  { rows, lengths, heads, rowsPerHead }: Comparison,
  mechanisms: readonly string[],
  look: (name: string) => Look,
): Markup[] {
  const series = (value: (row: CompareRow) => number | null): LineChart['series'] =>
    mechanisms.map((name) => ({
      name,
      look: look(name),
      main: name === 'standard' || name === 'exact',
      points: rows
        .filter((row) => row.mechanism === name)
        .flatMap((row) => {
          const y = value(row);
          return y === null || !(y > 0) ? [] : [{ x: row.length, y }];
        }),
    }));
  const common = { xTicks: lengths, showX: format.length, xTitle: 'positions' };
  const longest = lengths.at(-1)!;
  const line = (chart: Omit<LineChart, keyof typeof common>, caption: string): Markup =>
    card(chart.title, caption, lineChart({ ...common, ...chart }, 560), lineChart({ ...common, ...chart }, 340));
  const hasStandard = rows.some(({ speedup }) => speedup !== null);
  const errors = rows.filter(({ length }) => length === longest);
  const errorTitle = `Error at ${format.integer(longest)} positions`;
  return [
    line(
      {
        id: 'time',
        title: 'Time of one call',
        description: `Milliseconds over the number of positions, one line for each of ${mechanisms.length} mechanisms; all values are in the table.`,
        series: series(({ milliseconds }) => milliseconds),
        showY: format.milliseconds,
      },
      'Median of checked runs. A line that ends early was stopped; the table says why.',
    ),
    line(
      {
        id: 'speed',
        title: hasStandard ? 'Speed-up over standard attention' : 'Speed-up over exact attention',
        description: 'How many times as fast at the same length; all values are in the table.',
        series: series(({ speedup, overExact }) => (hasStandard ? speedup : overExact)),
        showY: format.times,
      },
      'Same length, same run. Where standard attention was not run there is nothing to divide by.',
    ),
    line(
      {
        id: 'memory',
        title: 'Peak workspace',
        description: 'Bytes held beyond queries, keys, values and the result; all values are in the table.',
        series: series(({ workspaceBytes }) => workspaceBytes),
        showY: format.bytes,
      },
      'Most bytes held at a time beyond q, k, v and the result, from the ledger.',
    ),
    card(
      errorTitle,
      `Against float64 softmax attention on ${heads * rowsPerHead} sampled rows; causal masks against causal attention.`,
      errorChart(errors, look, errorTitle, 560),
      errorChart(errors, look, errorTitle, 340),
    ),
  ];
}

const card = (title: string, caption: string, ...charts: Markup[]): Markup =>
  markup`<figure class="card">
    <h3>${title}</h3>
    <figcaption class="caption">${caption}</figcaption>
    ${charts}
  </figure> `;

function masks({ pictures, rows, lengths }: Comparison): Markup {
  const longest = lengths.at(-1)!;
  const one = (picture: MaskPicture): Markup => {
    const row = rows.find(({ mechanism, length }) => mechanism === picture.mask && length === longest);
    return markup`<figure class="card">
      <h3>${capital(picture.label)}</h3>
      <figcaption class="caption"><code>${picture.mask}</code></figcaption>
      ${maskFigure(picture, row && facts(row))}
    </figure> `;
  };
  const { length, zoom } = pictures[0]!;
  return markup`<h2>The masks</h2>
    <p class="note">
      Left: all pairs of ${format.integer(length)} positions, queries downwards, keys to the right; the stronger the colour, the more of the pairs. Right: ${zoom.pairs.length} × ${zoom.pairs.length} single pairs in the middle of the
      diagonal, where they are not all alike. Numbers are for ${format.integer(longest)} positions.
    </p>
    <div class="masks">${pictures.map(one)}</div>`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function facts({ pairsShare, overExact, error, target }: CompareRow): Markup {
  const parts: [string, string][] = [];
  if (pairsShare !== null) parts.push([format.percent(pairsShare), 'of all pairs']);
  if (overExact !== null) parts.push([format.times(overExact), 'as fast as exact']);
  if (error !== null) parts.push([format.error(error.relative), target === 'causal' ? 'error, of causal' : 'error']);
  return markup`<p class="facts">${parts.map(([value, what]) => markup`<span><b>${value}</b> ${what}</span>`)}</p>`;
}

function method(
  { machine, seed, rowsPerHead, heads, memoryLimit }: Comparison,
  { command, version }: ReportOptions,
): Markup {
  const { device } = machine;
  const about: [string, string][] = [
    ['Command', command],
    ['Processor', `${machine.cpu}, ${machine.cores} cores, ${format.bytes(machine.memoryBytes)}`],
    ['System', `${machine.system}, Node ${machine.node}`],
    ['Device', `${device.kind}, ${format.count(device.threads, 'thread')}, ${32 * device.width}-bit vectors`],
    ['Why this device', device.reasons.join(' ')],
    ['Seed', String(seed)],
  ];
  return markup`<h2>How it was measured</h2>
    <ul>
      <li>
        Every mechanism ran once, was held to float64 on ${rowsPerHead * heads} sampled rows of its own pairs (within 2
        × the error of plain float32 code + ε·max), and only then was timed: medians, mechanisms in turns.
      </li>
      <li>
        Error is ‖result − reference‖ / ‖reference‖ over the sampled rows against float64 softmax attention over all
        pairs; for masks that never look ahead, over all pairs up to the query. For a mask it is the price of leaving
        pairs out, on these features; a trained model may pay another.
      </li>
      <li>GFLOP/s count 4 · pairs · head size, with the pairs a mask allows.</li>
      <li>
        Standard attention is three operations of this engine (scores, softmax, product), all heads in one call; it was
        given ${format.bytes(memoryLimit)} for its n×n matrices.
      </li>
      <li>
        Times are of this machine while it was doing whatever else it did; ratios of one length are steadier than times.
      </li>
    </ul>
    <dl>
      ${about.map(
        ([name, value]) =>
          markup`<dt>${name}</dt>
            <dd>${name === 'Command' ? markup`<code>${value}</code>` : value}</dd>`,
      )}
    </dl>
    <footer>
      Made by subquad ${version} on ${new Date().toISOString().slice(0, 10)}. This file is complete: it loads nothing.
    </footer>`;
}

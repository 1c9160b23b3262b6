import type { Extrapolation } from '../studies/extrapolate.js';
import { change, extrapolationFindings, summarise, type Summary } from '../studies/extrapolate-summary.js';
import * as format from './format.js';
import { curveChart, type CurveChart } from './curve-chart.js';
import { markup, type Markup } from './html.js';
import type { Look } from './marks.js';
import { facts, page, scrolling } from './page.js';
import { style } from './style.js';

export interface ExtrapolationReportOptions {
  /** The command line that made it. */
  readonly command: string;
  readonly version: string;
  /** What the text is called. */
  readonly text: string;
}

type Mode = Summary['mode'];

const looks: Readonly<Record<string, Look>> = {
  sinusoidal: { colour: 'c4', shape: 0, dash: 0 },
  learned: { colour: 'c6', shape: 1, dash: 0 },
  'learned-tiled': { colour: 'c6', shape: 3, dash: 1 },
  rope: { colour: 'c1', shape: 0, dash: 0 },
  'rope-linear': { colour: 'c1', shape: 1, dash: 1 },
  'rope-ntk': { colour: 'c1', shape: 2, dash: 2 },
  'rope-dynamic': { colour: 'c1', shape: 3, dash: 1 },
  'rope-yarn': { colour: 'c1', shape: 4, dash: 2 },
  t5: { colour: 'c3', shape: 2, dash: 0 },
  alibi: { colour: 'c2', shape: 3, dash: 0 },
  none: { colour: 'c0', shape: 4, dash: 1 },
};

const modes: Readonly<Record<Mode, readonly [title: string, caption: string]>> = {
  separate: [
    'Windows side by side',
    'The tokens at the start of a window have little before them; longer windows have fewer of those. This is how figure 1 of the paper was measured.',
  ],
  sliding: [
    'Sliding windows',
    'Windows slide by half of their length, and each token is scored where it has at least so much before it.',
  ],
};

/** The study as one HTML file. */
export function extrapolationReport(study: Extrapolation, options: ExtrapolationReportOptions): string {
  const { length, times, model, parameters, recipe, seeds, trainBytes, scoredBytes, machine, stopped } = study;
  const found = summarise(study);
  const shown = (['separate', 'sliding'] as const).filter((mode) =>
    found.some((one) => one.mode === mode && one.seeds > 0),
  );
  const body = markup`<h1>Train short, read long</h1>
    <p class="lead">
      ${format.operations(parameters)} parameters (${format.count(model.layers, 'layer')} of ${model.width}, ${format.count(model.heads, 'head')}, ${model.mechanism.name}), trained on windows of ${length} bytes of ${options.text} and evaluated on up to ${format.integer(length * times.at(-1)!)}, one model for each way to know positions${seeds.length > 1 ? ` and each of ${seeds.length} seeds` : ''}.
    </p>
    <p class="note">
      After figure 1 of Press, Smith, Lewis, “Train Short, Test Long”, 2022, arXiv 2108.12409.
      ${stopped ? 'The study was stopped before its end.' : undefined}
    </p>
    <section class="findings" aria-label="Findings">
      ${extrapolationFindings(study).map((sentence) => markup`<p>${sentence}</p>`)}
    </section>
    <h2>Bits per byte over the length</h2>
    <div class="charts">
      ${shown.map(
        (mode) => markup`<figure class="card full">
          <h3>${modes[mode][0]}</h3>
          <figcaption class="caption">
            ${modes[mode][1]}${seeds.length > 1 ? ' Lines are means over seeds, bands reach from the lowest to the highest.' : undefined}
          </figcaption>
          ${figure(study, found, mode, 1140)}${figure(study, found, mode, 340)}
        </figure> `,
      )}
    </div>
    <h2>All numbers</h2>
    <p class="note">
      Bits per byte, and the change of perplexity per byte against the trained length. A dash: not defined there.
    </p>
    ${shown.map((mode) => numbers(study, found, mode))}
    <h2>How it was made</h2>
    ${facts([
      ['Command', markup`<code>${options.command}</code>`],
      [
        'Training',
        `${format.count(recipe.steps, 'step')} of ${format.integer(recipe.batchSize * length)} bytes, AdamW at ${recipe.rate} with a warm-up and a cosine, on ${format.bytes(trainBytes)}`,
      ],
      ['Evaluation', `the same ${format.integer(scoredBytes)} bytes at every length, which training has not seen`],
      ['Seeds', seeds.join(', ')],
      [
        'RoPE',
        'variants are one model, evaluated with other angles, without further training; the factor is the length over the trained length',
      ],
      [
        'Machine',
        `${machine.cpu}, ${format.count(machine.cores, 'core')}; ${format.place(machine.device)}; Node ${machine.node}`,
      ],
    ])}`;
  return page('Train short, read long', body, options.version);
}

function figure(study: Extrapolation, found: readonly Summary[], mode: Mode, width: number): Markup {
  return curveChart(chartOf(study, found, mode), width);
}

function chartOf({ methods, length, times, seeds }: Extrapolation, found: readonly Summary[], mode: Mode): CurveChart {
  return {
    id: mode,
    title: `Bits per byte, ${modes[mode][0].toLowerCase()}`,
    description:
      'Bits per byte over the length of the windows, one line for each position method; all values are in the table.',
    curves: methods.map(({ name, label }) => {
      const own = found.filter((one) => one.method === name && one.mode === mode && one.bitsPerByte !== null);
      return {
        name: label,
        look: looks[name]!,
        main: name === 'alibi' || name === 'sinusoidal',
        marked: true,
        points: own.map((one) => ({ x: one.length, y: one.bitsPerByte! })),
        band: seeds.length > 1 ? own.map((one) => ({ x: one.length, low: one.lowest!, high: one.highest! })) : [],
      };
    }),
    x: { scale: 'log', show: format.length, ticks: times.map((factor) => factor * length) },
    xTitle: 'bytes of a window when read',
    y: { scale: 'linear', show: (bits) => String(Number(bits.toFixed(2))) },
    yTitle: 'bits per byte',
    height: 460,
  };
}

/** The figure of windows side by side alone, as an SVG file. */
export function extrapolationSvg(study: Extrapolation): string {
  const drawing = figure(study, summarise(study), 'separate', 1000).text;
  const [, height = '460'] = /viewBox="0 0 1000 (\d+)"/.exec(drawing) ?? [];
  const frame = `<svg xmlns="http://www.w3.org/2000/svg" width="1000" height="${height}"`;
  const sheet = `<style>${style.replaceAll('svg{', '.none{')}svg{background:var(--card)}</style>`;
  return `${drawing.replace('<svg', frame).replace(/(<svg[^>]*>)/, `$1${sheet}`)}\n`;
}

function numbers({ methods, length, times, seeds }: Extrapolation, found: readonly Summary[], mode: Mode): Markup {
  const cell = (one: Summary | undefined): string => {
    if (one === undefined || one.bitsPerByte === null) return '–';
    const half = (one.highest! - one.lowest!) / 2;
    const spread = seeds.length > 1 ? ` ± ${half.toFixed(3)}` : '';
    const ratio = one.ratio === null || one.times === 1 ? '' : ` (${change(one.ratio)})`;
    return `${one.bitsPerByte.toFixed(3)}${spread}${ratio}`;
  };
  return scrolling(
    modes[mode][0],
    markup`<thead>
        <tr>
          <th scope="col">${modes[mode][0].toLowerCase()}</th>
          ${times.map((factor) => markup`<th scope="col">${format.integer(factor * length)}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${methods.map(
          ({ name, label }) => markup`<tr class="row">
            <th scope="row"><i class="dot ${looks[name]!.colour}"></i>${label}</th>
            ${times.map((factor) => markup`<td>${cell(found.find((one) => one.method === name && one.mode === mode && one.times === factor))}</td>`)}
          </tr> `,
        )}
      </tbody>`,
  );
}

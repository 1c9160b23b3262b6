import type { Comparison } from '../studies/compare.js';
import { findings, omissions } from './findings.js';
import * as format from './format.js';
import { charts } from './charts.js';
import { markup, Markup } from './html.js';
import { legend, looks } from './marks.js';
import { patterns } from './patterns.js';
import { style } from './style.js';
import { mechanismTable, resultTable } from './table.js';

export interface ReportOptions {
  /** The command line that made it. */
  readonly command: string;
  readonly version: string;
  /** Something readers must know about the lengths. */
  readonly note: string | undefined;
}

/** The comparison as one HTML file that asks for nothing else: no script, no font, no request. */
export function report(comparison: Comparison, options: ReportOptions): string {
  const { document, heads, headDim, machine, rows, features, causal, training } = comparison;
  const look = looks(rows);
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
            ${document}, ${format.count(heads, 'head')} of ${headDim}, f32, ${causal ? 'causal, ' : ''}${training ? 'forward and backward' : 'forward'}, on ${machine.cpu} (${machine.device.kind}, ${format.count(machine.device.threads, 'thread')}).
          </p>
          <p class="note">
            ${features} One byte of the text is one position.${options.note === undefined ? '' : ` ${options.note}`}
          </p>
          <section class="findings" aria-label="Findings">
            ${[...findings(comparison), ...omissions(comparison)].map((sentence) => markup`<p>${sentence}</p>`)}
          </section>
          <h2>Time, memory, error</h2>
          ${legend(rows)}
          <div class="charts">${charts(comparison, (name) => look.get(name)!)}</div>
          <h2>All results</h2>
          <p class="note">Names are those that <code>--mechanisms</code> takes. Work is multiply-adds of matrix products.</p>
          ${resultTable(comparison)} ${patterns(comparison)}
          <h2>The mechanisms</h2>
          ${mechanismTable(comparison)} ${method(comparison, options)}
        </main>
      </body>
    </html> `;
  return page.text;
}

function method(
  { machine, seed, rowsPerHead, heads, memoryLimit, training }: Comparison,
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
        Every mechanism ran once before it was timed. Exact ones, and those that are exact on their pattern, were held to
        float64 on ${rowsPerHead * heads} sampled rows of their own pairs${training ? ', and their gradients on some' : ''} (within
        2 × the error of plain float32 code + ε·max); what was wrong was not timed. Times are medians, mechanisms in turns.
      </li>
      <li>
        Error is ‖result − reference‖ / ‖reference‖ over the sampled rows against float64 softmax attention over all
        pairs; for mechanisms that never look ahead, over all pairs up to the query. It is the price of the approximation on
        these queries, keys and values; what it costs the predictions of a trained model, <code>--task perplexity</code> measures. “Untrained” mechanisms have parameters that training would learn;
        here they are drawn from the seed.
      </li>
      <li>
        Predicted bytes come from a rehearsal, a run that allocates and computes nothing; predicted multiply-adds
        ${training ? 'too' : 'from the formula of the mechanism, to which the kernels add what they execute in tiles that a pattern cuts'}.
        GFLOP/s count two for each executed multiply-add.
      </li>
      <li>
        Standard attention is three operations of this engine: scores, softmax, product. A mechanism that would hold more than
        ${format.bytes(memoryLimit)} was not run.
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

import type { Comparison } from '../studies/compare.js';
import { type Direction, headline } from './choice.js';
import { qualityNote } from './costs.js';
import { families } from './families.js';
import { findings, omissions } from './findings.js';
import * as format from './format.js';
import { charts } from './charts.js';
import { markup, type Markup } from './html.js';
import { legend, type Look, looks } from './marks.js';
import { facts, page } from './page.js';
import { mechanismTable, resultTable } from './table.js';

export interface ReportOptions {
  /** The command line that made it. */
  readonly command: string;
  readonly version: string;
  /** Something readers must know about the lengths. */
  readonly note: string | undefined;
}

/** Attention in one direction or both, as one HTML file that asks for nothing else: no script, no font, no request. */
export function report(directions: readonly Direction[], options: ReportOptions): string {
  const comparisons = directions.map(({ comparison }) => comparison);
  const [{ document, machine, training }] = comparisons as [Comparison];
  const { device } = machine;
  const look = looks(comparisons.flatMap(({ rows }) => rows));
  const body = markup`<h1>Which attention, at which length?</h1>
    <p class="lead">
      ${document}, ${training ? 'forward and backward' : 'forward'}, f32, on ${machine.cpu} (${format.place(device)}).
    </p>
    <p class="note">
      One byte of the text is one position.${options.note === undefined ? '' : ` ${options.note}`}
    </p>
    <section class="findings" aria-label="Findings">
      ${directions.flatMap(headline).map((sentence) => markup`<p>${sentence}</p>`)}
    </section>
    ${directions.map((direction) => section(direction, (name) => look.get(name)!))}
    ${families(directions)}
    <h2>The mechanisms</h2>
    ${mechanismTable(comparisons)} ${method(comparisons[0]!, options)}`;
  return page(`Attention on ${document}`, body, options.version);
}

/** What was found in one direction. */
function section(direction: Direction, look: (name: string) => Look): Markup {
  const { comparison, swaps } = direction;
  const { rows, causal, features, heads, headDim } = comparison;
  const [title, about] = causal
    ? ['Causal', 'each position sees those before it, as in a model that writes']
    : ['All pairs', 'each position sees all, as in a model that reads'];
  return markup`<h2>${title}: ${about}</h2>
    <p class="note">${format.count(heads, 'head')} of ${headDim}. ${features}${swaps === undefined ? '' : ` ${qualityNote(swaps)}`}</p>
    <section class="findings" aria-label="Findings, ${title}">
      ${[...findings(comparison), ...omissions(comparison)].map((sentence) => markup`<p>${sentence}</p>`)}
    </section>
    <h3>Time, memory, quality</h3>
    ${legend(rows)}
    <div class="charts">${charts(direction, look)}</div>
    <h3>All results</h3>
    <p class="note">Names are those that <code>--mechanisms</code> takes. Work is multiply-adds of matrix products.</p>
    ${resultTable(direction)}`;
}

function method(
  { machine, seed, rowsPerHead, heads, memoryLimit, training }: Comparison,
  { command }: ReportOptions,
): Markup {
  const { device } = machine;
  const about: readonly (readonly [string, string | Markup])[] = [
    ['Command', markup`<code>${command}</code>`],
    ['Processor', `${machine.cpu}, ${machine.cores} cores, ${format.bytes(machine.memoryBytes)}`],
    ['System', `${machine.system}, Node ${machine.node}`],
    ['Device', `${format.place(device)}, ${format.vectors(device)}`],
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
        these queries, keys and values. “Untrained” mechanisms have parameters that training would learn; here they are drawn from the seed.
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
    ${facts(about)}`;
}

import type { SwapRow } from '../studies/compare-swaps.js';
import * as format from './format.js';
import { change, modelWords, refusals, swapFindings, swapRemark, type Swaps } from './swaps.js';
import { dotChart } from './dot-chart.js';
import { markup, type Markup } from './html.js';
import { legend, looks, type Look, swatch } from './marks.js';
import { facts, page, scrolling } from './page.js';

const [wide, narrow] = [1100, 340];

/** What it costs a trained model to attend otherwise, as one HTML file. */
export function perplexityReport(
  found: Swaps,
  { command, version }: { readonly command: string; readonly version: string },
): string {
  const { document, model, config, parameters, lengths, rows, provenance, note, machine, seed } = found;
  const look = looks(rows);
  const left = refusals(found);
  const { device } = machine;
  const body = markup`<h1>What does another attention cost a trained model?</h1>
    <p class="lead">${model} (${modelWords(config)}; ${format.operations(parameters).replace(' ', '\u00a0')} parameters) on ${document}.</p>
    <p class="note">
      Each mechanism takes the place of the trained attention in every layer; nothing is trained again. ${provenance}${note === undefined ? '' : ` ${note}`}
    </p>
    <section class="findings" aria-label="Findings">
      ${swapFindings(found).map((sentence) => markup`<p>${sentence}</p>`)}
    </section>
    <h2>Bits per byte</h2>
    ${legend(rows)}
    <div class="charts">
      ${lengths.map((length) =>
        charts(
          rows.filter((row) => row.length === length),
          length,
          (name) => look.get(name)!,
        ),
      )}
    </div>
    <h2>All results</h2>
    ${resultTable(found)}
    ${
      left.length === 0
        ? undefined
        : markup`<h2>Not swapped in</h2>
            <ul>
              ${left.map((line) => markup`<li>${line}.</li>`)}
            </ul>`
    }
    <h2>How it was measured</h2>
    <ul>
      <li>
        Windows lie side by side, evenly over the text, the same for all; the first bytes of each have little before them. Change
        is that of bits per byte against the trained attention; ± is its standard error over the windows, taken for independent.
      </li>
      <li>
        A mechanism that is exact changes nothing but rounding. Parameters that a mechanism brings are drawn from the seed:
        training would learn them, and would fit the other layers to the mechanism. This is the price of a swap, not of the
        mechanism.
      </li>
      <li>Tokens per second are of the whole model, forward, on this machine while it did whatever else it did.</li>
    </ul>
    ${facts([
      ['Command', markup`<code>${command}</code>`],
      ['Processor', `${machine.cpu}, ${machine.cores} cores, ${format.bytes(machine.memoryBytes)}`],
      ['System', `${machine.system}, Node ${machine.node}`],
      ['Device', `${device.kind}, ${format.count(device.threads, 'thread')}, ${32 * device.width}-bit vectors`],
      ['Seed', String(seed)],
    ])}`;
  return page(`Attention in ${model}`, body, version);
}

/** All mechanisms of a length, and, where some predict far worse than the trained attention, the others once more. */
function charts(all: readonly SwapRow[], length: number, look: (name: string) => Look): Markup[] {
  const { tokens, windows } = all[0]!;
  const worst = Math.max(...all.map((row) => row.change));
  const others = all.filter((row) => row.change < worst / NEAR);
  const title = `Bits per byte in windows of ${format.integer(length)}`;
  const caption =
    `${format.integer(tokens)} tokens in ${format.count(windows, 'window')}. Beside each mark stands the change against the trained ` +
    'attention, to which the thin line reaches back.';
  return [
    chart(all, title, caption, look),
    // alone, the trained attention shows nothing
    ...(others.length > 2 && others.length < all.length
      ? [chart(others, `${title}, the far worse left out`, 'The same numbers on an axis of their own.', look)]
      : []),
  ];
}

/** Changes that are this many times smaller than the largest are hard to tell apart beside it. */
const NEAR = 8;

function chart(rows: readonly SwapRow[], title: string, caption: string, look: (name: string) => Look): Markup {
  const lines = (shown: (name: string) => string) =>
    rows.map((row) => ({
      name: shown(row.name),
      look: look(row.name),
      value: row.bitsPerByte,
      reach: row.bitsPerByte - row.change,
      text: row.trained ? 'as trained' : change(row.change),
      hint: `${row.name}: ${row.bitsPerByte.toFixed(4)} bits per byte, change ${change(row.change)}`,
    }));
  const shape = { title, axis: 'bits per byte', showTick: String, span: [], scale: 'linear' as const };
  // on a phone there is no room for the names of options
  const short = (name: string): string => name.replaceAll(/:[a-zA-Z]+=/g, ':');
  return markup`<figure class="card full">
    <h3>${title}</h3>
    <figcaption class="caption">${caption}</figcaption>
    ${dotChart(
      lines((name) => name),
      shape,
      wide,
    )}${dotChart(lines(short), shape, narrow)}
  </figure> `;
}

const titles = ['attention', 'bits per byte', 'change', '±', 'perplexity', 'tokens/s', 'exactness', 'what it is', ''];

function resultTable({ rows, lengths }: Swaps): Markup {
  const row = (one: SwapRow): Markup => markup`<tr class="${one.trained ? 'row main' : 'row'}">
    <th scope="row">${swatch(one.mechanism === 'standard' ? one.mechanism : one.family)}<code>${one.name}</code></th>
    <td>${one.bitsPerByte.toFixed(4)}</td>
    <td>${one.trained ? '–' : change(one.change)}</td>
    <td>${one.trained || one.changeError === null ? '–' : one.changeError.toFixed(4)}</td>
    <td>${one.perplexityPerByte.toFixed(3)}</td>
    <td>${format.operations(one.tokensPerSecond)}</td>
    <td>${one.exactness}</td>
    <td class="text">${one.summary}</td>
    <td class="why">${swapRemark(one)}</td>
  </tr> `;
  const groups = lengths.map(
    (length) =>
      markup`<tr class="group">
          <th colspan="${titles.length}" scope="rowgroup">windows of ${format.integer(length)}</th>
        </tr>
        ${rows.filter((one) => one.length === length).map(row)}`,
  );
  return scrolling(
    'All results',
    markup`<thead>
        <tr>
          ${titles.map((title) => markup`<th scope="col">${title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${groups}
      </tbody>`,
  );
}

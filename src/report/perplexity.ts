import type { SwapRow } from '../studies/swap-row.js';
import { unitOf } from './costs.js';
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
    <h2>${unitOf(found)[0]!.toUpperCase()}${unitOf(found).slice(1)}</h2>
    ${legend(rows)}
    <div class="charts">
      ${lengths.map((length) =>
        charts(
          rows.filter((row) => row.length === length),
          length,
          unitOf(found),
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
        is that of these bits against the trained attention; ± is its standard error over the windows, taken for independent.
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
      ['Device', `${format.place(device)}, ${format.vectors(device)}`],
      ['Seed', String(seed)],
    ])}`;
  return page(`Attention in ${model}`, body, version);
}

/** All mechanisms of a length, and, where some predict far worse than the trained attention, the others once more. */
function charts(all: readonly SwapRow[], length: number, unit: string, look: (name: string) => Look): Markup[] {
  const { tokens, windows } = all[0]!;
  const worst = Math.max(...all.map((row) => row.change));
  const others = all.filter((row) => row.change < worst / NEAR);
  const title = `${unit[0]!.toUpperCase()}${unit.slice(1)} in windows of ${format.integer(length)}`;
  const caption =
    `${format.integer(tokens)} tokens in ${format.count(windows, 'window')}. Beside each mark stands the change against the trained ` +
    'attention, to which the thin line reaches back.';
  return [
    chart(all, title, caption, unit, look),
    // alone, the trained attention shows nothing
    ...(others.length > 2 && others.length < all.length
      ? [chart(others, `${title}, the far worse left out`, 'The same numbers on an axis of their own.', unit, look)]
      : []),
  ];
}

/** Changes that are this many times smaller than the largest are hard to tell apart beside it. */
const NEAR = 8;

function chart(
  rows: readonly SwapRow[],
  title: string,
  caption: string,
  unit: string,
  look: (name: string) => Look,
): Markup {
  const lines = (shown: (name: string) => string) =>
    rows.map((row) => ({
      name: shown(row.name),
      look: look(row.name),
      value: row.bitsPerByte,
      reach: row.bitsPerByte - row.change,
      text: row.trained ? 'as trained' : change(row.change),
      hint: `${row.name}: ${row.bitsPerByte.toFixed(4)} ${unit}, change ${change(row.change)}`,
    }));
  const shape = { title, axis: unit, showTick: String, span: [], scale: 'linear' as const };
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

const titles = ['change', '±', 'perplexity', 'tokens/s', 'exactness', 'what it is', ''];

function resultTable(found: Swaps): Markup {
  const { rows, lengths, masked } = found;
  const all = ['attention', unitOf(found), ...(masked ? ['found'] : []), ...titles];
  const row = (one: SwapRow): Markup => markup`<tr class="${one.trained ? 'row main' : 'row'}">
    <th scope="row">${swatch(one.mechanism === 'standard' ? one.mechanism : one.family)}<code>${one.name}</code></th>
    <td>${one.bitsPerByte.toFixed(4)}</td>
    ${masked ? markup`<td>${format.percent(one.accuracy ?? 0)}</td>` : undefined}
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
          <th colspan="${all.length}" scope="rowgroup">windows of ${format.integer(length)}</th>
        </tr>
        ${rows.filter((one) => one.length === length).map(row)}`,
  );
  return scrolling(
    'All results',
    markup`<thead>
        <tr>
          ${all.map((title) => markup`<th scope="col">${title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${groups}
      </tbody>`,
  );
}

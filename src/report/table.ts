import type { Comparison, CompareRow } from '../studies/compare.js';
import { baselines } from '../studies/mechanisms.js';
import { bySpeed, crossover, foreseen, likeness, remark } from './findings.js';
import * as format from './format.js';
import { markup, type Markup } from './html.js';
import { swatch } from './marks.js';

const dash = '–';
const or = <T>(value: T | null, show: (value: T) => string): string => (value === null ? dash : show(value));

interface Column {
  readonly title: string;
  readonly cell: (row: CompareRow) => string;
}

function columns({ training, rows }: Comparison): readonly Column[] {
  const bytes = (value: number | null): string => or(value, format.bytes);
  const saved = { title: 'saved', cell: (row: CompareRow) => bytes(row.savedBytes) };
  const parameters = {
    title: 'parameters',
    cell: ({ parameterBytes }: CompareRow) => (parameterBytes === 0 ? dash : bytes(parameterBytes)),
  };
  return [
    { title: 'time', cell: ({ milliseconds }) => or(milliseconds, format.milliseconds) },
    { title: '× standard', cell: ({ overStandard }) => or(overStandard, format.times) },
    { title: '× flash', cell: ({ overFlash }) => or(overFlash, format.times) },
    { title: 'error', cell: (row) => or(likeness(row), (e) => format.error(e.relative)) },
    { title: 'cosine', cell: ({ error }) => or(error, (e) => e.cosine.toFixed(4)) },
    { title: 'worst row', cell: (row) => or(likeness(row), (e) => format.error(e.worstRow)) },
    { title: 'workspace', cell: ({ workspaceBytes }) => bytes(workspaceBytes) },
    { title: 'predicted', cell: ({ predicted }) => or(predicted, (p) => format.bytes(p.workspaceBytes)) },
    ...(training ? [saved] : []),
    ...(rows.some((row) => (row.parameterBytes ?? 0) > 0) ? [parameters] : []),
    { title: 'work', cell: ({ counted }) => or(counted, (c) => format.operations(c.multiplyAdds)) },
    { title: 'predicted', cell: (row) => or(foreseen(row, training), format.operations) },
    { title: 'GFLOP/s', cell: ({ gflops }) => or(gflops, format.gflops) },
    { title: 'pairs', cell: ({ pairsShare }) => or(pairsShare, format.percent) },
  ];
}

/** Every row of the comparison, the longest length first, the fastest first. */
export function resultTable(comparison: Comparison): Markup {
  const { rows, lengths, causal } = comparison;
  const shown = columns(comparison);
  const row = (one: CompareRow): Markup => {
    const group = one.mechanism === 'standard' ? one.mechanism : one.family;
    const name = markup`<th scope="row">${swatch(group)}<code>${one.name}</code></th>`;
    const style = baselines.includes(one.mechanism) ? 'row main' : 'row';
    const why = markup`<td class="why" ${one.skipped === null ? undefined : markup`colspan="${shown.length + 1}"`}>${remark(one, causal)}</td>`;
    const cells = one.skipped === null ? shown.map(({ cell }) => markup`<td>${cell(one)}</td>`) : undefined;
    return markup`<tr class="${style}">
      ${name}${cells}${why}
    </tr> `;
  };
  const groups = [...lengths].reverse().map(
    (length) =>
      markup`<tr class="group">
          <th colspan="${shown.length + 2}" scope="rowgroup">n = ${format.integer(length)}</th>
        </tr>
        ${bySpeed(rows.filter((one) => one.length === length)).map(row)}`,
  );
  return scrolling(
    'All results',
    markup`<thead>
        <tr>
          <th scope="col">attention</th>
          ${shown.map(({ title }) => markup`<th scope="col">${title}</th>`)}
          <th scope="col"></th>
        </tr>
      </thead>
      <tbody>
        ${groups}
      </tbody>`,
  );
}

/** What the names stand for, and from which length on each is faster than flash. */
export function mechanismTable({ mechanisms, crossovers }: Comparison): Markup {
  const rows = mechanisms.map(({ name, mechanism, family, summary, paper, complexity, exactness }) => {
    const found = crossovers.find((one) => one.name === name);
    const { authors, year, arxiv } = paper;
    return markup`<tr class="mechanism">
      <th scope="row">${swatch(mechanism === 'standard' ? mechanism : family)}<code>${name}</code></th>
      <td class="text">${summary}</td>
      <td class="text">${authors} ${year}${arxiv === undefined ? '' : `, arXiv ${arxiv}`}</td>
      <td>${complexity}</td>
      <td>${exactness}</td>
      <td>${found === undefined ? dash : crossover(found)}</td>
    </tr> `;
  });
  return scrolling(
    'The mechanisms',
    markup`<thead>
        <tr>
          ${['attention', 'idea', 'paper', 'cost', 'exactness', 'faster than flash from'].map((title) => markup`<th scope="col">${title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>`,
  );
}

const scrolling = (title: string, table: Markup): Markup =>
  markup`<div class="scroll" tabindex="0" role="region" aria-label="${title}">
    <table>
      ${table}
    </table>
  </div>`;

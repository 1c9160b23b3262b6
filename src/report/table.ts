import type { Compared, Comparison, CompareRow } from '../studies/compare.js';
import { baselines } from '../studies/mechanisms.js';
import type { Direction } from './choice.js';
import { costOf, costsOf, unitOf } from './costs.js';
import { beyond, bySpeed, crossover, foreseen, likeness, remark } from './findings.js';
import * as format from './format.js';
import { markup, type Markup } from './html.js';
import { swatch } from './marks.js';
import { scrolling } from './page.js';

const dash = '–';
const or = <T>(value: T | null, show: (value: T) => string): string => (value === null ? dash : show(value));

interface Column {
  readonly title: string;
  readonly cell: (row: CompareRow) => string;
}

function columns({ comparison, swaps }: Direction): readonly Column[] {
  const { training, rows } = comparison;
  const costs = costsOf(swaps);
  const cost = (row: CompareRow): string => costOf(costs, row) ?? dash;
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
    ...(swaps ? [{ title: `${unitOf(swaps)} lost`, cell: cost }] : []),
    { title: 'error', cell: (row) => or(likeness(row, comparison), (e) => format.error(e.relative)) },
    { title: 'cosine', cell: (row) => or(likeness(row, comparison), (e) => e.cosine.toFixed(4)) },
    { title: 'worst row', cell: (row) => or(likeness(row, comparison), (e) => format.error(e.worstRow)) },
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
export function resultTable(direction: Direction): Markup {
  const { rows, lengths, causal } = direction.comparison;
  const shown = columns(direction);
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
          <th colspan="${shown.length + 2}" scope="rowgroup">n = ${format.integer(length)}${beyond(length, direction.comparison)}</th>
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

/** What the names stand for, and from which length on each is faster than flash in each direction. */
export function mechanismTable(all: readonly Comparison[]): Markup {
  const mechanisms = new Map<string, Compared>(all.flatMap((one) => one.mechanisms.map((each) => [each.name, each])));
  const rows = [...mechanisms.values()].map(({ name, mechanism, family, summary, paper, complexity, exactness }) => {
    const { authors, year, arxiv } = paper;
    const from = all.map(({ crossovers }) => {
      const found = crossovers.find((one) => one.name === name);
      return markup`<td>${found === undefined ? dash : crossover(found)}</td>`;
    });
    return markup`<tr class="mechanism">
      <th scope="row">${swatch(mechanism === 'standard' ? mechanism : family)}<code>${name}</code></th>
      <td class="text">${summary}</td>
      <td class="text">${authors} ${year}${arxiv === undefined ? '' : `, arXiv ${arxiv}`}</td>
      <td>${complexity}</td>
      <td>${exactness}</td>
      ${from}
    </tr> `;
  });
  const titles = all.map(
    ({ causal }) => `faster than flash from${all.length > 1 ? (causal ? ', causal' : ', all pairs') : ''}`,
  );
  return scrolling(
    'The mechanisms',
    markup`<thead>
        <tr>
          ${['attention', 'idea', 'paper', 'cost', 'exactness', ...titles].map((title) => markup`<th scope="col">${title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>`,
  );
}

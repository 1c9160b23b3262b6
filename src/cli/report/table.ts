import type { Comparison, CompareRow } from '../../studies/compare.js';
import * as format from '../format.js';
import { markup, type Markup } from './html.js';

const dash = '–';
const or = <T>(value: T | null, show: (value: T) => string): string => (value === null ? dash : show(value));

/** Every row of the comparison. */
export function resultTable({ rows, lengths }: Comparison): Markup {
  const heads = ['time', '× standard', '× exact', 'GFLOP/s', 'workspace', 'pairs', 'error', 'cosine', 'worst row', ''];
  const groups = lengths.map(
    (length) =>
      markup`<tr class="group">
          <th colspan="11" scope="rowgroup">n = ${format.integer(length)}</th>
        </tr>
        ${rows.filter((row) => row.length === length).map(tableRow)}`,
  );
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="All results">
    <table>
      <thead>
        <tr>
          <th scope="col">attention</th>
          ${heads.map((head) => markup`<th scope="col">${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${groups}
      </tbody>
    </table>
  </div>`;
}

function tableRow(row: CompareRow): Markup {
  const { error } = row;
  const cells = [
    or(row.milliseconds, format.milliseconds),
    or(row.speedup, format.times),
    or(row.overExact, format.times),
    or(row.gflops, format.gflops),
    or(row.workspaceBytes, format.bytes),
    or(row.pairsShare, format.percent),
    or(error, ({ relative }) => format.error(relative)),
    or(error, ({ cosine }) => cosine.toFixed(4)),
    or(error, ({ worstRow }) => format.error(worstRow)),
  ];
  const name = markup`<th scope="row"><code>${row.mechanism}</code></th>`;
  if (row.skipped !== null)
    return markup`<tr class="${row.kind}">
      ${name}
      <td class="why" colspan="10">not run: ${row.skipped}</td>
    </tr> `;
  const remark = row.note ?? (row.target === 'causal' ? 'of causal' : '');
  return markup`<tr class="${row.kind}">
    ${name}${cells.map((cell) => markup`<td>${cell}</td>`)}
    <td class="why">${remark}</td>
  </tr> `;
}

import { markup, type Markup } from './html.js';
import * as format from './format.js';
import { scrolling } from './page.js';

/** Which class was taken for which, as a table: targets down, predictions across. */
export function confusionTable(classes: readonly string[], matrix: readonly (readonly number[])[]): Markup {
  const most = matrix.flat().reduce((a, b) => Math.max(a, b), 1);
  const shade = (count: number): string =>
    `background:color-mix(in srgb,var(--c1) ${Math.round((40 * count) / most)}%,transparent)`;
  const name = (i: number): string => classes[i] ?? String(i);
  return scrolling(
    'Which class was taken for which',
    markup`<thead>
        <tr>
          <th scope="col">is, taken for</th>
          ${matrix.map((_, i) => markup`<th scope="col">${name(i)}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${matrix.map(
          (row, i) =>
            markup`<tr>
              <th scope="row">${name(i)}</th>
              ${row.map((count) => markup`<td style="${shade(count)}">${format.integer(count)}</td>`)}
            </tr>`,
        )}
      </tbody>`,
  );
}

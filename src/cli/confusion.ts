import * as format from '../report/format.js';
import type { Style } from './ansi.js';
import { printable } from './ansi.js';
import { table } from './table.js';

/** More classes than that do not fit beside each other. */
const MOST = 20;

interface Row {
  readonly name: string;
  readonly counts: readonly number[];
}

/** Which class was taken for which: a row for each class, a column for what it was taken for. Of many classes, the worst pairs. */
export function confusionText(
  classes: readonly string[],
  matrix: readonly (readonly number[])[],
  style: Style,
): string {
  const nameOf = (i: number): string => printable((classes[i] ?? String(i)).slice(0, 16));
  if (matrix.length > MOST) return worst(nameOf, matrix);
  const rows = matrix.map((counts, i): Row => ({ name: nameOf(i), counts }));
  return table<Row>(
    [
      { title: 'is, taken for', cell: ({ name }) => name },
      ...matrix.map((_, i) => ({
        title: nameOf(i),
        align: 'right' as const,
        cell: ({ counts }: Row) => format.integer(counts[i]!),
      })),
    ],
    rows,
    style,
  );
}

function worst(nameOf: (i: number) => string, matrix: readonly (readonly number[])[]): string {
  const wrong = matrix
    .flatMap((row, i) => row.map((count, j) => ({ count, i, j })))
    .filter(({ count, i, j }) => i !== j && count > 0);
  const most = wrong.sort((a, b) => b.count - a.count).slice(0, 10);
  return most.map(({ count, i, j }) => `${nameOf(i)} taken for ${nameOf(j)}: ${format.integer(count)}\n`).join('');
}

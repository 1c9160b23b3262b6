import { type Style, visibleWidth } from './ansi.js';

export interface Column<Row> {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** At least this wide, so that several tables align. */
  readonly width?: number;
  readonly cell: (row: Row) => string;
}

/** Aligned columns, two spaces apart; `group` puts an empty line where it changes. */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  style: Style,
  group?: (row: Row) => unknown,
): string {
  const cells = rows.map((row) => columns.map(({ cell }) => cell(row)));
  const widths = columns.map(({ title, width = 0 }, i) =>
    Math.max(width, visibleWidth(title), ...cells.map((line) => visibleWidth(line[i]!))),
  );
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, i) => {
        const space = ' '.repeat(widths[i]! - visibleWidth(text));
        return columns[i]!.align === 'right' ? space + text : text + space;
      })
      .join('  ')
      .trimEnd();
  const lines = [style.dim(line(columns.map(({ title }) => title)))];
  rows.forEach((row, i) => {
    if (i > 0 && group && group(row) !== group(rows[i - 1]!)) lines.push('');
    lines.push(line(cells[i]!));
  });
  return `${lines.join('\n')}\n`;
}

/** `name  value` lines with the values aligned. */
export function definitions(pairs: readonly (readonly [name: string, value: string])[], style: Style): string {
  const width = Math.max(...pairs.map(([name]) => visibleWidth(name)));
  return pairs
    .map(([name, value]) => `${style.dim(name + ' '.repeat(width - visibleWidth(name)))}  ${value}\n`)
    .join('');
}

import { type Style, visibleWidth } from './ansi.js';
import { fold } from './fold.js';

export interface Column<Row> {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** At least this wide where there is room, so that several tables align. */
  readonly width?: number;
  /** Columns that may be left out where the terminal is narrow, those of the highest number first. */
  readonly spare?: number;
  /** A remark, printed under the row where it does not fit behind it. */
  readonly remark?: true;
  readonly cell: (row: Row) => string;
}

const GAP = 2;
const MARGIN = ' '.repeat(GAP);

/** A column with what stands in it. */
interface Filled<Row> {
  readonly column: Column<Row>;
  readonly cells: readonly string[];
  readonly width: number;
}

/**
 * Aligned columns, two spaces apart; `group` puts an empty line where it changes. No row is wider than the terminal: remarks go
 * under their rows, then spare columns are left out, and said to be; where that is not enough, each row is a few lines with all.
 */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  style: Style,
  group?: (row: Row) => unknown,
): string {
  const filled = columns.map((column): Filled<Row> => fill(column, rows));
  const begins = (i: number): boolean => i > 0 && group !== undefined && group(rows[i]!) !== group(rows[i - 1]!);
  if (widthOf(filled) <= style.columns) return render(filled, [], rows.length, begins, style);
  const remarks = filled.filter(({ column }) => column.remark);
  const tight = filled.filter(({ column }) => !column.remark).map((one) => ({ ...one, width: least(one) }));
  const [kept, dropped] = fitting(tight, style.columns);
  if (widthOf(kept) > style.columns) return stacked(tight, remarks, rows.length, style);
  const titles = dropped.map(({ column }) => column.title).join(', ');
  const note = titles === '' ? '' : `${fold(`--wide shows ${titles}`, style.columns).map(style.dim).join('\n')}\n`;
  return render(kept, remarks, rows.length, begins, style) + note;
}

function fill<Row>(column: Column<Row>, rows: readonly Row[]): Filled<Row> {
  const one = { column, cells: rows.map(column.cell), width: 0 };
  return { ...one, width: Math.max(column.width ?? 0, least(one)) };
}

const least = ({ column, cells }: Pick<Filled<never>, 'column' | 'cells'>): number =>
  Math.max(visibleWidth(column.title), ...cells.map(visibleWidth));

/** Columns that an empty last cell takes are none. */
const widthOf = (filled: readonly Filled<never>[]): number =>
  filled.reduce((sum, { width }) => sum + width + GAP, -GAP);

function fitting<Row>(
  filled: readonly Filled<Row>[],
  columns: number,
): [kept: readonly Filled<Row>[], dropped: readonly Filled<Row>[]] {
  const dropped = new Set<Filled<Row>>();
  const kept = (): Filled<Row>[] => filled.filter((one) => !dropped.has(one));
  const spare = filled.filter(({ column }) => column.spare !== undefined);
  for (const one of spare.sort((a, b) => b.column.spare! - a.column.spare!)) {
    if (widthOf(kept()) <= columns) break;
    dropped.add(one);
  }
  return [kept(), filled.filter((one) => dropped.has(one))];
}

function render<Row>(
  filled: readonly Filled<Row>[],
  remarks: readonly Filled<Row>[],
  rows: number,
  begins: (row: number) => boolean,
  style: Style,
): string {
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, i) => {
        const { column, width } = filled[i]!;
        const space = ' '.repeat(width - visibleWidth(text));
        return column.align === 'right' ? space + text : text + space;
      })
      .join(MARGIN)
      .trimEnd();
  const lines = [style.dim(line(filled.map(({ column }) => column.title)))];
  for (let row = 0; row < rows; row++) {
    if (begins(row)) lines.push('');
    lines.push(line(filled.map(({ cells }) => cells[row]!)), ...below(remarks, row, style));
  }
  return `${lines.join('\n')}\n`;
}

/** The first cell, and under it the others with their titles. */
function stacked<Row>(
  [first, ...others]: readonly Filled<Row>[],
  remarks: readonly Filled<Row>[],
  rows: number,
  style: Style,
): string {
  const lines: string[] = [];
  for (let row = 0; row < rows; row++) {
    const pairs = others
      .filter(({ cells }) => cells[row] !== '')
      .map(({ column, cells }) => `${style.dim(column.title)} ${cells[row]}`);
    lines.push(cut(first!.cells[row]!, style.columns), ...packed(pairs, style.columns), ...below(remarks, row, style));
  }
  return `${lines.join('\n')}\n`;
}

/** As many of some texts on each line as it has room for. */
function packed(texts: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const text of texts) {
    const longer = `${lines.at(-1) ?? ''}${MARGIN}${text}`;
    if (lines.length > 0 && visibleWidth(longer) <= columns) lines[lines.length - 1] = longer;
    else lines.push(`${MARGIN}${text}`);
  }
  return lines;
}

const below = <Row>(remarks: readonly Filled<Row>[], row: number, { columns }: Style): string[] =>
  remarks.flatMap(({ cells }) => (visibleWidth(cells[row]!) === 0 ? [] : fold(MARGIN + cells[row], columns)));

const cut = (text: string, columns: number): string =>
  visibleWidth(text) <= columns ? text : `${[...text].slice(0, columns - 1).join('')}…`;

/** Room that a value needs beside its name. */
const LEAST_VALUE = 24;

/** `name  value` lines with the values aligned, under their names where there is no room beside them. */
export function definitions(pairs: readonly (readonly [name: string, value: string])[], style: Style): string {
  const width = Math.max(...pairs.map(([name]) => visibleWidth(name)));
  const room = style.columns - width - GAP;
  const beside = room >= LEAST_VALUE;
  return pairs
    .map(([name, value]) => {
      const [first = '', ...rest] = fold(value, beside ? room : style.columns - GAP);
      if (!beside) return [style.dim(name), ...[first, ...rest].map((line) => MARGIN + line)];
      const indent = ' '.repeat(width - visibleWidth(name) + GAP);
      return [`${style.dim(name)}${indent}${first}`, ...rest.map((line) => ' '.repeat(width + GAP) + line)];
    })
    .map((lines) => `${lines.join('\n')}\n`)
    .join('');
}

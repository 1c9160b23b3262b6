import { parseJson } from '../../core/json.js';
import { FormatError } from '../../core/errors.js';
import type { LabelledText } from './examples.js';
import { readExamples } from './read-file.js';

/** Which columns hold text and label: names, or numbers from 1; undefined: by their usual names. */
export interface Columns {
  readonly text?: string | undefined;
  readonly label?: string | undefined;
}

/** What a file of examples holds. */
export interface Table {
  readonly texts: readonly LabelledText[];
  /** What was taken for what, for people. */
  readonly reading: string;
}

/** Names by which a header is known, in small letters. */
const USUAL = {
  text: ['text', 'sentence', 'source', 'input', 'review', 'content', 'document'],
  label: ['label', 'class', 'target', 'category', 'sentiment', 'output'],
};
export const isTable = (path: string): boolean => /\.(tsv|csv|jsonl|ndjson)$/i.test(path);
const isJson = (path: string): boolean => /\.(jsonl|ndjson)$/i.test(path);

/**
 * Texts and labels of a file: `.tsv` (tabs, no quotes), `.csv` (commas, fields may be quoted as in RFC 4180), or `.jsonl` (an object a
 * line). Columns are named, or numbered from 1. The first line is a header where a column is named, and where neither is said, if both stand in
 * it by usual names such as text and label; a file of two numbered columns has none.
 *
 * @throws FormatError naming the line that is wrong: other columns than the first, no JSON, an empty label.
 */
export function readTable(path: string, columns: Columns): Table {
  const text = new TextDecoder('utf-8').decode(readExamples(path));
  const rows = isJson(path) ? jsonRows(path, text, columns) : cellRows(path, text, columns);
  const utf8 = new TextEncoder();
  const texts = rows.list.map(({ line, text: own, label }): LabelledText => {
    if (own.trim() === '') throw wrong(path, line, 'has no text', 'give it some, or remove the line');
    if (label.trim() === '') throw wrong(path, line, `has no ${rows.labelName}`, 'give it one, or remove the line');
    return { text: utf8.encode(own), label: label.trim() };
  });
  if (texts.length === 0)
    throw new FormatError(`labels: "${path}" has no examples under its header; name a file with some.`);
  return { texts, reading: rows.reading };
}

interface Rows {
  readonly list: readonly { readonly line: number; readonly text: string; readonly label: string }[];
  readonly labelName: string;
  readonly reading: string;
}

function cellRows(path: string, text: string, asked: Columns): Rows {
  const lines = path.toLowerCase().endsWith('.csv') ? quoted(path, text) : plain(text);
  const [first] = lines;
  if (first === undefined) throw new FormatError(`labels: "${path}" has no lines; name a file of examples.`);
  const width = first.cells.length;
  const numbered = (name: string | undefined): number | undefined =>
    name !== undefined && /^[1-9]\d*$/.test(name) ? Number(name) - 1 : undefined;
  const find = (what: keyof Columns): { readonly at: number; readonly named: boolean } | undefined => {
    const name = asked[what];
    const number = numbered(name);
    if (number !== undefined) return number < width ? { at: number, named: false } : undefined;
    const usual = first.cells.findIndex((cell) => USUAL[what].includes(cell.trim().toLowerCase()));
    const at = name === undefined ? usual : first.cells.indexOf(name);
    return at < 0 ? undefined : { at, named: true };
  };
  const [textAt, labelAt] = [find('text'), find('label')];
  if (textAt === undefined || labelAt === undefined || textAt.at === labelAt.at) {
    const shown = first.cells.map((cell) => JSON.stringify(cell.slice(0, 24))).join(', ');
    throw new FormatError(
      `labels: "${path}" does not say which of its ${width} columns hold text and label (first line: ${shown}); ` +
        'name them, or number them from 1, with --text-column and --label-column.',
    );
  }
  const header = textAt.named || labelAt.named;
  const list = lines.slice(header ? 1 : 0).map(({ line, cells }) => {
    if (cells.length !== width) {
      throw wrong(path, line, `has ${cells.length} columns, the first has ${width}`, 'mend the line');
    }
    return { line, text: cells[textAt.at]!, label: cells[labelAt.at]! };
  });
  const name = (at: number): string => (header ? `${first.cells[at]}` : `${at + 1}`);
  const reading = `columns ${name(textAt.at)} and ${name(labelAt.at)}, ${header ? 'the first line is a header' : 'no header'}`;
  return { list, labelName: header ? first.cells[labelAt.at]! : 'label', reading };
}

interface Line {
  readonly line: number;
  readonly cells: readonly string[];
}

function plain(text: string): Line[] {
  return text
    .split('\n')
    .map((line, i) => ({ line: i + 1, text: line.endsWith('\r') ? line.slice(0, -1) : line }))
    .filter((one) => one.text !== '')
    .map((one) => ({ line: one.line, cells: one.text.split('\t') }));
}

/** Comma-separated lines, whose quoted fields may hold commas, line ends and doubled quotes. */
function quoted(path: string, text: string): Line[] {
  const lines: Line[] = [];
  let [at, line] = [0, 1];
  while (at < text.length) {
    const cells: string[] = [];
    const first = line;
    for (let more = true; more;) {
      let cell = '';
      if (text[at] === '"') {
        for (at++; ; at++) {
          if (at >= text.length) throw wrong(path, first, 'has a quote that does not end', 'close it');
          if (text[at] === '"' && text[++at] !== '"') break;
          if (text[at] === '\n') line++;
          cell += text[at];
        }
      }
      while (at < text.length && text[at] !== ',' && text[at] !== '\n') cell += text[at++];
      more = text[at] === ',';
      at++;
      cells.push(more ? cell : cell.replace(/\r$/, ''));
    }
    line++;
    if (cells.length > 1 || cells[0] !== '') lines.push({ line: first, cells });
  }
  return lines;
}

function jsonRows(path: string, text: string, { text: textName, label: labelName }: Columns): Rows {
  let names: { readonly text: string; readonly label: string } | undefined;
  const list = text.split('\n').flatMap((source, i) => {
    if (source.trim() === '') return [];
    const line = i + 1;
    let row: Readonly<Record<string, unknown>>;
    try {
      row = Object(parseJson(source)) as typeof row;
    } catch {
      throw wrong(path, line, 'is no JSON', 'write an object on each line');
    }
    const known = (usual: readonly string[]): string | undefined =>
      Object.keys(row).find((key) => usual.includes(key.toLowerCase()));
    names ??= { text: textName ?? known(USUAL.text) ?? 'text', label: labelName ?? known(USUAL.label) ?? 'label' };
    const cell = (name: string): string => {
      const value = row[name];
      if (typeof value === 'string') return value;
      if (typeof value === 'number' || typeof value === 'boolean') return String(value);
      throw wrong(path, line, `has no ${name}`, 'give it one, or name another with --text-column and --label-column');
    };
    return [{ line, text: cell(names.text), label: cell(names.label) }];
  });
  return { list, labelName: names?.label ?? 'label', reading: `members ${names?.text} and ${names?.label}` };
}

const wrong = (path: string, line: number, what: string, remedy: string): FormatError =>
  new FormatError(`labels: line ${line} of "${path}" ${what}; ${remedy}.`);

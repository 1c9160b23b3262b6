import { visibleWidth } from './ansi.js';

/** Where a line may end: after white space, and after what lists are joined by, but not within 1,024. */
const PIECES = /(?<=[\s|]|,(?!\d{3}(?!\d)))(?=\S)/;

/**
 * A line as lines of at most `columns`, which begin where it begins, and `hang` further right from the second on. A word that is
 * longer stays whole: it may be a path.
 */
export function fold(line: string, columns: number, hang = 0): string[] {
  if (visibleWidth(line) <= columns) return [line];
  const start = /^\s*/.exec(line)![0];
  const margin = ' '.repeat(start.length + hang);
  const lines: string[] = [];
  let current = start;
  for (const piece of line.slice(start.length).split(PIECES)) {
    if (current.trim() !== '' && visibleWidth((current + piece).trimEnd()) > columns) {
      lines.push(current.trimEnd());
      current = margin;
    }
    current += piece;
  }
  return [...lines, current.trimEnd()];
}

/** A command to be copied, with or without a word before it. */
const COMMAND = /^(?:\w+ {2})?subquad /;

/** A command as lines that a shell reads as one. */
export const foldCommand = (line: string, columns: number): string[] =>
  fold(line, columns - 2, 4).map((part, i, { length }) => (i < length - 1 ? `${part} \\` : part));

/** What ends a line for good: a sentence or an item. */
const ENDS = /[.:;!?\])|]\ufdd0?$/;

/** A row of a table: columns stand two spaces apart. */
const ROW = /\S {2,}\S/;

/** All lines of a text, folded; where one that is too long ends within a sentence, the next is a part of it. */
export function foldText(text: string, columns: number): string {
  const lines: string[] = [];
  let open = false;
  for (const line of text.split('\n')) {
    if (open && /^\S/.test(line)) lines[lines.length - 1] += ` ${line}`;
    else lines.push(line);
    open = visibleWidth(line) > columns && !ENDS.test(line) && !ROW.test(line);
  }
  return lines.map((line) => (COMMAND.test(line) ? foldCommand : fold)(line, columns).join('\n')).join('\n');
}

import type { World } from './io.js';

/** How text looks where it is printed. */
export interface Style {
  /** What tables have to fit. */
  readonly columns: number;
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  accent(text: string): string;
}

/**
 * What styles put into a text is no escape sequence yet, but a code point that Unicode keeps for use within a program: so the
 * escapes of a name, of a text from a file, are distinguished from ours, and `printed` is the one place that makes any.
 */
const sequences = {
  reset: ['\ufdd0', '\u001b[0m'],
  bold: ['\ufdd1', '\u001b[1m'],
  dim: ['\ufdd2', '\u001b[2m'],
  bad: ['\ufdd3', '\u001b[31m'],
  good: ['\ufdd4', '\u001b[32m'],
  accent: ['\ufdd5', '\u001b[36m'],
  clear: ['\ufdd6', '\r\u001b[K'],
} as const;
const MARKS = /[\ufdd0-\ufdd6]/g;
const byMark = new Map<string, string>(Object.values(sequences));

/** Goes back to the start of the line, and empties it. */
export const CLEAR = sequences.clear[0];

// controls, the ends of lines and paragraphs, what turns the direction of writing, and our own marks
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufdd0-\ufdef]/g;
const names: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const escaped = (control: string): string =>
  names[control] ?? `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** A name or message as one line without controls: they are written as in JSON. */
export const printable = (text: string): string => text.replace(CONTROLS, escaped);

/** A text of lines as it is printed: on a terminal with the sequences of styles, and without any others. */
export const printed = (text: string, terminal: boolean): string =>
  text.replace(CONTROLS, (control) => {
    if (control === '\n' || control === '\t') return control;
    return (terminal ? byMark.get(control) : undefined) ?? escaped(control);
  });

/** Colours on a terminal, unless NO_COLOR (no-color.org) is set to anything. */
export function styleFor(io: Pick<World, 'env'> & { readonly outColumns?: number }, terminal: boolean): Style {
  const coloured = terminal && !io.env['NO_COLOR'] && io.env['TERM'] !== 'dumb';
  const wrap = (name: keyof typeof sequences) => (text: string) =>
    coloured ? `${sequences[name][0]}${text}${sequences.reset[0]}` : text;
  return {
    columns: io.outColumns ?? Infinity,
    bold: wrap('bold'),
    dim: wrap('dim'),
    good: wrap('good'),
    bad: wrap('bad'),
    accent: wrap('accent'),
  };
}

/** Columns a text takes on a terminal. */
export const visibleWidth = (text: string): number => [...text.replace(MARKS, '')].length;

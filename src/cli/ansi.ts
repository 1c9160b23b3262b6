import type { Io } from './io.js';

export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  accent(text: string): string;
}

const wrap =
  (code: number) =>
  (text: string): string =>
    `\u001b[${code}m${text}\u001b[0m`;
const plain = (text: string): string => text;

/** Colours on a terminal, unless NO_COLOR (no-color.org) is set to anything. */
export function styleFor(io: Pick<Io, 'env'>, terminal: boolean): Style {
  if (!terminal || io.env['NO_COLOR'] || io.env['TERM'] === 'dumb') {
    return { bold: plain, dim: plain, good: plain, bad: plain, accent: plain };
  }
  return { bold: wrap(1), dim: wrap(2), good: wrap(32), bad: wrap(31), accent: wrap(36) };
}

// oxlint-disable-next-line no-control-regex -- the escape character is what is looked for
const ESCAPES = /\u001b\[[0-9;]*m/g;

/** Columns a text takes on a terminal. */
export const visibleWidth = (text: string): number => [...text.replace(ESCAPES, '')].length;

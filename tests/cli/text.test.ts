import { describe, expect, test } from 'vitest';
import { printed, styleFor } from '../../src/cli/ansi.js';
import { fitLengths } from '../../src/cli/commands/compare-text.js';
import * as format from '../../src/report/format.js';
import { Progress } from '../../src/cli/progress.js';
import { table } from '../../src/cli/table.js';
import type { Io } from '../../src/cli/io.js';

test('numbers for people', () => {
  expect([0.05, 0.4, 12.34, 345.6, 1234, 61_000].map(format.milliseconds)).toEqual([
    '50.0 µs',
    '0.40 ms',
    '12.3 ms',
    '346 ms',
    '1.23 s',
    '61.0 s',
  ]);
  expect([0, 999, 1000, 124_000, 2.15e9].map(format.bytes)).toEqual(['0 B', '999 B', '1.00 kB', '124 kB', '2.15 GB']);
  expect([0, 0.0012, 0.031, 0.5, 1].map(format.percent)).toEqual(['0 %', '0.12 %', '3.1 %', '50 %', '100 %']);
  expect([0.0003, 0.0123, 1.33].map(format.error)).toEqual(['3.0e-4', '1.2 %', '133 %']);
  expect([0.5, 9.999, 31.9, 1234].map(format.times)).toEqual(['0.50×', '10.0×', '31.9×', '1234×']);
  expect([512, 1024, 16384, 1000, 691_659].map(format.length)).toEqual(['512', '1k', '16k', '1,000', '691,659']);
});

test('a table aligns its columns, colours or not', () => {
  const rows = [
    { name: 'a', value: 1 },
    { name: 'long', value: 200 },
  ];
  const columns = [
    { title: 'name', cell: (row: (typeof rows)[0]) => row.name },
    { title: 'v', align: 'right' as const, cell: (row: (typeof rows)[0]) => String(row.value) },
  ];
  const plain = styleFor({ env: {} }, false);
  expect(table(columns, rows, plain)).toBe('name    v\na       1\nlong  200\n');
  const coloured = styleFor({ env: {} }, true);
  const bold = columns.map((column) => ({
    ...column,
    cell: (row: (typeof rows)[0]) => coloured.bold(column.cell(row)),
  }));
  // oxlint-disable-next-line no-control-regex -- escapes are what is removed
  expect(printed(table(bold, rows, coloured), true).replace(/\u001b\[\d+m/g, '')).toBe(
    'name    v\na       1\nlong  200\n',
  );
});

describe('progress', () => {
  const shown = (errTerminal: boolean): string => {
    let text = '';
    const progress = new Progress({ errTerminal, columns: 10, err: (t: string) => (text += t) } as unknown as Io);
    progress.show('a rather long line');
    progress.clear();
    progress.clear();
    return text;
  };
  test('is one line that is cut to the terminal and removed', () => {
    expect(printed(shown(true), true)).toBe('\r\u001b[Ka rather…\r\u001b[K');
  });
  test('is silent elsewhere', () => expect(shown(false)).toBe(''));
});

test('lengths that a text does not have are replaced by its whole length, once, and it is said', () => {
  expect(fitLengths([512, 1024], 5000)).toEqual({ lengths: [512, 1024], note: undefined });
  expect(fitLengths([2048, 512, 8192, 16384], 5000)).toEqual({
    lengths: [512, 2048, 5000],
    note: 'The text has 5,000 bytes: its whole length takes the place of 8,192, 16,384.',
  });
  expect(fitLengths([512, 1024], 5).lengths).toEqual([5]);
  expect(fitLengths([512, 1024], 512).lengths).toEqual([512]);
});

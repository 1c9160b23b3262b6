import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { mechanisms } from '../../src/attention/index.js';
import { fold, foldText } from '../../src/cli/fold.js';
import { styleFor } from '../../src/cli/ansi.js';
import { table } from '../../src/cli/table.js';
import { cli, temporaryFolder } from './io.js';
import { full } from '../support/full.js';

const cwd = temporaryFolder();
beforeAll(() => writeFileSync(join(cwd, 'text.txt'), 'It is a truth universally acknowledged. '.repeat(30)));

/** Lines that are too wide, those of one word aside: a path is not broken. */
const tooWide = (text: string, columns: number): string[] =>
  text.split('\n').filter((line) => [...line].length > columns && line.trim().includes(' '));

const wasm = ['--device', 'wasm', '--threads', '1'];
const commands = readdirSync(new URL('../../src/cli/commands', import.meta.url))
  .filter((name) => !name.includes('-'))
  .map((name) => name.replace('.ts', ''));
const long = 'standard,flash,sparse-transformer:stride=16:base=fixed:columns=4:columnGroups=2,performer';

/** Whatever prints a table, with as few numbers as can be. */
const lines: readonly (readonly string[])[] = [
  ['--help'],
  ...commands.map((name) => [name, '--help']),
  ['plan', 'train', '--help'],
  ['mechanisms'],
  ...mechanisms.filter(({ definition }) => definition.pattern).map(({ name }) => ['show', name, '--length', '64']),
  ['show', 'token-learner', '--length', '16', ...wasm],
  ['show', 'reformer', '--length', '128', ...wasm],
  ['plan', '--no-probe', '--length', '1024', '--causal', '--training', ...wasm],
  ['plan', 'train', '--no-probe', '--lengths', '64', '--memory-limit', '30MB', ...wasm],
];
const small = '--steps 2 --layers 1 --width 8 --heads 1 --batch 1 --max-bytes 64 --out out'.split(' ');
/** Those that run kernels. */
const slow: readonly (readonly string[])[] = [
  ['bench', '--length', '16', '--heads', '1', '--rounds', '1', '--mask', 'none,within:radius=3', ...wasm],
  ['compare', 'text.txt', '--features', 'text', '--lengths', '64,80', '--mechanisms', long, ...wasm],
  [
    'compare',
    'text.txt',
    '--task',
    'perplexity',
    '--lengths',
    '64',
    '--max-bytes',
    '64',
    '--mechanisms',
    long,
    ...wasm,
  ],
  ['evaluate', '--max-bytes', '128', '--length', '32,64', '--baseline', 'none', ...wasm],
  ['extrapolate', 'text.txt', '--methods', 'sinusoidal,alibi', '--seeds', '2', '--length', '4', ...small, ...wasm],
];

describe.each([
  [40, [...lines, ...slow]],
  [80, full ? [...lines, ...slow] : lines],
])('in %i columns', (outColumns, all) => {
  test.each(all.map((argv) => [argv.join(' '), argv] as const))('%s', async (_, argv) => {
    const { code, out, err } = await cli(argv, { cwd, outColumns });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.length).toBeGreaterThan(100);
    expect(tooWide(out, outColumns)).toEqual([]);
  });
});

test('--wide brings back what the terminal has no room for', async () => {
  const narrow = await cli(['mechanisms'], { outColumns: 80 });
  expect(narrow.out).toMatch(/^--wide shows family.* paper$/m);
  const whole = await cli(['mechanisms', '--wide'], { outColumns: 80 });
  expect(whole.out).toBe((await cli(['mechanisms'])).out);
  expect(whole.out).toContain('paper\n');
});

describe('a table', () => {
  interface Row {
    readonly name: string;
    readonly value: string;
    readonly why: string;
  }
  const rows: Row[] = [
    { name: 'short', value: '1 ms', why: '' },
    { name: 'a-long-one', value: '12 ms', why: 'because of this and that' },
  ];
  const shown = (outColumns: number): string =>
    table<Row>(
      [
        { title: 'name', cell: ({ name }) => name },
        { title: 'time', align: 'right', cell: ({ value }) => value },
        { title: 'again', spare: 1, cell: ({ value }) => value },
        { title: '', remark: true, cell: ({ why }) => why },
      ],
      rows,
      styleFor({ env: {}, outColumns }, false),
    );

  test('tells remarks under the rows, leaves spare columns out, and stacks what is left', () => {
    expect(shown(50)).toBe(
      'name         time  again\nshort        1 ms  1 ms\na-long-one  12 ms  12 ms  because of this and that\n',
    );
    expect(shown(30)).toBe(
      'name         time  again\nshort        1 ms  1 ms\na-long-one  12 ms  12 ms\n  because of this and that\n',
    );
    expect(shown(20)).toBe(
      'name         time\nshort        1 ms\na-long-one  12 ms\n  because of this\n  and that\n--wide shows again\n',
    );
    expect(shown(12)).toBe(
      'short\n  time 1 ms\n  again 1 ms\na-long-one\n  time 12 ms\n  again 12 ms\n  because of\n  this and\n  that\n',
    );
  });

  test('lines are folded between words, and keep where they begin', () => {
    expect(fold('  one two,three', 9)).toEqual(['  one', '  two,', '  three']);
    expect(fold('from 1,024, 2,048', 10)).toEqual(['from', '1,024,', '2,048']);
    expect(fold('--lengths 1024,65536', 16)).toEqual(['--lengths 1024,', '65536']);
    expect(fold('  one two', 7, 2)).toEqual(['  one', '    two']);
    expect(fold('/a/path/that/is/long', 5)).toEqual(['/a/path/that/is/long']);
    expect(fold('', 5)).toEqual(['']);
    // the end of a line within a sentence is where somebody broke it
    expect(foldText('one two three\nfour. five six\nseven', 9)).toBe('one two\nthree\nfour.\nfive six\nseven');
    expect(foldText('cache  /a/long/path\nlimit  2 GB', 12)).toBe('cache\n/a/long/path\nlimit  2 GB');
    expect(foldText('one two three.\nfour\n  five', 9)).toBe('one two\nthree.\nfour\n  five');
  });
});

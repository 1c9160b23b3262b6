// of cli/{help,version}

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { cli, temporaryFolder } from './io.js';

const cwd = temporaryFolder();
beforeAll(() => {
  mkdirSync(join(cwd, 'folder'));
  writeFileSync(join(cwd, 'empty.txt'), '');
  writeFileSync(join(cwd, 'nul.txt'), 'abc\0def');
  writeFileSync(join(cwd, 'bytes.txt'), Uint8Array.of(97, 0xff, 0xfe, 98));
  writeFileSync(join(cwd, 'text.txt'), 'some text');
});

describe('help', () => {
  test('the overview names every command; without a command it goes to stderr', async () => {
    const { code, out } = await cli(['--help']);
    expect(code).toBe(0);
    for (const command of ['doctor', 'bench', 'compare']) expect(out).toContain(`\n  ${command}`);
    const bare = await cli([]);
    expect(bare).toMatchObject({ code: 2, out: '', err: out });
    expect((await cli(['help'])).out).toBe(out);
  });

  test.each(['doctor', 'bench', 'compare'])('%s has options and examples', async (command) => {
    const { code, out } = await cli([command, '--help']);
    expect(code).toBe(0);
    expect(out).toContain(`Usage  subquad ${command}`);
    expect(out).toContain('Options\n');
    expect(out.slice(out.indexOf('Examples\n')).match(/\n {2}subquad /g)?.length).toBeGreaterThanOrEqual(2);
    expect(out).not.toContain('\u001b[');
    expect((await cli(['help', command])).out).toBe(out);
  });

  test('the version is that of the package', async () => {
    expect((await cli(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\S*\n$/);
  });
});

describe('refusals: one line on stderr, nothing on stdout, no stack', () => {
  test.each<[argv: string[], code: number, part: string]>([
    [['doctr'], 2, 'unknown command "doctr" (did you mean "doctor"?)'],
    [['--hlep'], 2, 'unknown option "--hlep" (did you mean "--help"?)'],
    [['toString'], 2, 'unknown command "toString"; see subquad --help'],
    [['doctor', 'now'], 2, 'unexpected argument "now"'],
    [['bench', 'matmull'], 2, 'one of attend; got "matmull"'],
    [['bench', '--threads', '0'], 2, '--threads must be a whole number from 1 to 256; got 0.'],
    [['bench', '--length', '-5'], 2, '--length must be a whole number'],
    [['bench', '--device', 'gpu'], 2, '--device must be "auto", "native", "wasm" or "webgpu"; got "gpu"'],
    [['bench', '--mask', 'radus:5'], 2, 'unknown mask "radus" (did you mean "radius"?)'],
    [['bench', '--mask', 'radius'], 2, 'takes the form radius:N'],
    [['bench', '--mask', 'fixed:4:9'], 2, 'columns must be at most stride'],
    [['bench', '--mask', 'within:raduis=3'], 2, 'unknown option "raduis" (did you mean "radius"?)'],
    [['bench', '--mask', 'none,global:frist=2'], 2, 'did you mean "first"?'],
    [['bench', '--json', 'folder'], 2, '--json must name a file; "folder" is a folder'],
    [['compare', 'text.txt', 'more.txt'], 2, 'unexpected argument "more.txt"'],
    [['compare', '--lengths', '0'], 2, '--lengths must be a whole number'],
    [['compare', 'missing.txt'], 1, '"missing.txt" does not exist'],
    [['compare', 'folder'], 1, '"folder" cannot be read (it is a folder)'],
    [['compare', 'empty.txt'], 1, '"empty.txt" is empty'],
    [['compare', 'nul.txt'], 1, '"nul.txt" is not UTF-8 text (byte 3 is NUL)'],
    [['compare', 'bytes.txt'], 1, '"bytes.txt" is not UTF-8 text (it has invalid bytes)'],
    [['compare', '/dev/null'], 1, '"/dev/null" cannot be read (it is a device)'],
    [
      ['compare', 'text.txt', '--report', 'none/r.html'],
      1,
      'cannot be written to "none/r.html" (there is no such folder)',
    ],
    [['compare', 'text.txt', '--report', 'text.txt/r.html'], 1, 'a part of its path is not a folder'],
    [['compare', 'text.txt', '--report', 'folder'], 2, '--report must name a file; "folder" is a folder'],
  ])('%j', async (argv, code, part) => {
    const ran = await cli(argv, { cwd });
    expect(ran.err).toContain(part);
    expect(ran).toMatchObject({ code, out: '' });
    expect(ran.err).toMatch(/^error {2}subquad.*\n$/);
    expect(ran.err.match(/\n/g)).toHaveLength(1);
  });

  test('colours are for terminals, unless NO_COLOR is set', async () => {
    const terminal = { outTerminal: true, errTerminal: true };
    expect((await cli(['doctr'], terminal)).err).toContain('\u001b[31m');
    expect((await cli(['doctr'], { ...terminal, env: { NO_COLOR: '1' } })).err).not.toContain('\u001b[');
    expect((await cli(['--help'], { ...terminal, env: { NO_COLOR: '1' } })).out).not.toContain('\u001b[');
  });
});

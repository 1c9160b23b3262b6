// of cli/json-output

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseOptions } from '../../src/cli/arguments.js';
import { jsonBeforeWords, jsonOption } from '../../src/cli/common-options.js';
import { cli, temporaryFolder } from './io.js';

describe('--json has one meaning', () => {
  const flags = { causal: { takes: 'nothing', help: '' }, seed: { takes: 'text', value: 'N', help: '' } } as const;
  const read = (json: typeof jsonOption | typeof jsonBeforeWords, ...argv: string[]) => {
    const { values, positionals } = parseOptions('test', { ...flags, json }, argv);
    return [values.json, ...positionals];
  };

  test.each([
    [[], [undefined]],
    [['--json'], ['-']],
    [['--json', '--causal'], ['-']],
    [['--json', '-'], ['-']],
    [['--json=-'], ['-']],
    [['--json', 'a.json'], ['a.json']],
    [['--json=out'], ['out']],
    [
      ['one', '--json', '--seed', '3'],
      ['-', 'one'],
    ],
    [
      ['--', '--json'],
      [undefined, '--json'],
    ],
  ])('%j', (argv, want) => {
    for (const option of [jsonOption, jsonBeforeWords]) expect(read(option, ...argv)).toEqual(want);
  });

  test('a word behind it is its file, or that of a command whose words may stand there', () => {
    expect(read(jsonOption, '--json', 'out')).toEqual(['out']);
    expect(read(jsonBeforeWords, '--json', 'flash')).toEqual(['-', 'flash']);
    expect(read(jsonBeforeWords, '--json', './out')).toEqual(['./out']);
  });

  test('commands print, or write a file and say so', async () => {
    const cwd = temporaryFolder();
    const printed = await cli(['show', '--json', 'flash']);
    expect(JSON.parse(printed.out)).toMatchObject({ name: 'flash' });
    const written = await cli(['show', 'flash', '--json', 'flash.json'], { cwd });
    expect(written.out).toBe('');
    expect(written.err).toMatch(/wrote .*flash\.json/);
    expect(readFileSync(join(cwd, 'flash.json'), 'utf8')).toBe(printed.out);
    await cli(['mechanisms', '--json', 'all.json'], { cwd });
    expect(existsSync(join(cwd, 'all.json'))).toBe(true);
    const bench = await cli(['bench', 'matmul', '--device', 'wasm', '--length', '16', '--rounds', '1', '--json']);
    expect(JSON.parse(bench.out)).toHaveProperty('rows');
  });
});

// of cli/swaps, cli/commands/{compare-direction,compare-features,compare-mechanisms,compare-options,compare-perplexity}, report/perplexity

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { mechanisms } from '../../../src/attention/index.js';
import type { Direction } from '../../../src/report/choice.js';
import { coreSet } from '../../../src/studies/mechanisms.js';
import { cli, temporaryFolder } from '../io.js';
import { malformed } from '../../report/well-formed.js';

const wasm = ['--device', 'wasm', '--threads', '1'];
const small = ['--heads', '2', '--head-dim', '8'];
const read = (text: string): Direction[] => (JSON.parse(text) as { directions: Direction[] }).directions;

function folderWithText(): string {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, 'short.txt'), 'The quick brown fox jumps over the lazy dog. '.repeat(2));
  return cwd;
}

test('prints a table, writes a report, and uses what the text has', async () => {
  const cwd = folderWithText();
  const argv = ['compare', 'short.txt', ...wasm, ...small, '--lengths', '32,64,128,256'];
  const mechanisms = ['--mechanisms', 'chunked,chunked:keyChunk=20,flash,chunked', '--set', 'chunked.queryChunk=16'];
  const { code, out, err } = await cli([...argv, ...mechanisms, '--json', 'c.json'], { cwd });
  expect([code, err]).toEqual([0, expect.stringMatching(/^wrote .*c\.json\n$/)]);
  expect(out).toContain('its whole length takes the place of 128, 256');
  const lengths = ['n = 32', 'n = 64', 'n = 90'];
  expect(out.match(/^n = \d+$/gm)).toEqual([...lengths, ...lengths]);
  expect(out.match(/^(Causal attention|Attention over all pairs); 2 heads of 8, f32$/gm)).toHaveLength(2);
  for (const name of ['standard', 'flash', 'chunked:queryChunk=16', 'chunked:queryChunk=16:keyChunk=20']) {
    expect(out.match(new RegExp(`^${name} `, 'gm'))).toHaveLength(6);
  }
  expect(out).toContain('features, not a trained model');
  expect(out).toContain(`report  ${join(cwd, 'subquad-report.html')}\n`);
  expect(readdirSync(cwd).sort()).toEqual(['c.json', 'short.txt', 'subquad-report.html']);
  const page = readFileSync(join(cwd, 'subquad-report.html'), 'utf8');
  expect(malformed(page)).toBeUndefined();
  const directions = read(readFileSync(join(cwd, 'c.json'), 'utf8'));
  expect(directions.map(({ comparison, swaps }) => [comparison.causal, swaps])).toEqual([
    [true, undefined],
    [false, undefined],
  ]);
  for (const { comparison } of directions) {
    expect(comparison.rows).toHaveLength(12);
    for (const { name } of comparison.rows) expect(page).toContain(`<code>${name}</code>`);
  }
});

test('a causal training step of a family, as JSON alone', async () => {
  const cwd = folderWithText();
  const argv = ['compare', 'short.txt', ...wasm, ...small, '--lengths', '24', '--families', 'exact'];
  const { code, out } = await cli([...argv, '--causal', '--training', '--json', '-'], { cwd });
  expect(code).toBe(0);
  const [{ comparison: found }] = read(out) as [Direction];
  expect(found).toMatchObject({ causal: true, training: true });
  const family = mechanisms.filter(({ definition }) => definition.family === 'exact');
  expect(found.rows.map(({ name }) => name).sort()).toEqual(family.map(({ name }) => name).sort());
  for (const row of found.rows) {
    // what is not softmax has no exact result to be checked against
    const isExact = family.some(({ name, definition }) => name === row.name && definition.exactness === 'exact');
    expect(row).toMatchObject({ causal: true, check: isExact ? { ok: true } : null, skipped: null });
  }
});

test('the bundled document and the core set are the default', async () => {
  const argv = ['compare', ...wasm, '--lengths', '16', '--heads', '1', '--head-dim', '4', '--json', 'c.json'];
  const cwd = temporaryFolder();
  const { out } = await cli(argv, { cwd });
  expect(out).toMatch(/^pride-and-prejudice\.txt, 692 kB; forward; wasm, 1 thread\n/);
  const found = read(readFileSync(join(cwd, 'c.json'), 'utf8'));
  found.forEach(({ comparison: { causal, mechanisms: compared } }) => {
    // what sees no past, or nothing else, is compared in the other direction
    const core = coreSet().filter(({ definition }) => definition.supports.causal !== (causal ? false : 'only'));
    expect(new Set(compared.map(({ name }) => name))).toEqual(new Set(core.map(({ name }) => name)));
  });
  expect(found).toHaveLength(2);
});

test('a row that failed fails the command; one that was left out does not', async () => {
  const cwd = folderWithText();
  const argv = ['compare', 'short.txt', ...wasm, ...small, '--lengths', '24'];
  const left = await cli([...argv, '--mechanisms', 'standard:headsAtATime=3'], { cwd });
  expect(left.code).toBe(0);
  expect(left.out).toContain('not run: headsAtATime must divide the 2 heads');
});

describe('bad input is refused before anything is written', () => {
  const cwd = folderWithText();
  test.each([
    [
      '--mechanisms chnked,flsh --families exat',
      ['"chnked" (did you mean "chunked"?)', '"flsh" (did you mean "flash"?)', '"exat"'],
    ],
    ['--mechanisms all,flash --families exact', ['--mechanisms all has flash, exact among them']],
    [
      '--mechanisms chunked:keyChunk=0:keyChunk=3:queryChnk=2',
      [
        'chunked: keyChunk must be a whole number of at least 1; got 0',
        'chunked: unknown option "queryChnk" (did you mean "queryChunk"?)',
      ],
    ],
    ['--mechanisms chunked:keyChunk=0', ['chunked: keyChunk must be a whole number of at least 1; got 0']],
    ['--mechanisms chunked:keyChunk', ['chunked: keyChunk must be a whole number of at least 1; got ""']],
    [
      '--mechanisms flash --set chunked.keyChunk=8,x',
      ['--set chunked.keyChunk=8: chunked is not among the mechanisms', 'flash: unknown option "x"'],
    ],
    [
      '--mechanisms chunked:keyChunk=4 --set chunked.keyChunk=8 --set=chunked.queryChunk=1.5',
      ['chunked: keyChunk is given twice', 'chunked: queryChunk must be a whole number of at least 1; got 1.5'],
    ],
    ['--mechanisms flash,,chunked', ['--mechanisms has an empty entry']],
    ['--mechanisms chunked:keyChunk=4:keyChunk=5', ['chunked: keyChunk is given twice']],
    [
      '--mechanisms chunked,flash --set keyChunk=8',
      ['--set keyChunk=8 must name one of the mechanisms, as NAME:keyChunk=8'],
    ],
    ['--causal --all-pairs', ['--causal and --all-pairs: both are the default; give one or none']],
    ['--heads 2 --adapt 3', ['--adapt: features of a text have no model; leave them out']],
    ['--set', ['--set needs a value, such as --set [NAME:]OPTION=VALUE']],
  ])('%s', async (line, parts) => {
    const { code, out, err } = await cli(['compare', 'short.txt', ...line.split(' ')], { cwd });
    for (const part of parts) expect(err).toContain(part);
    expect(err).toMatch(/^error {2}subquad compare: .*\n$/);
    expect([code, out]).toEqual([2, '']);
    expect(readdirSync(cwd)).toEqual(['short.txt']);
  });

  const oneSided = mechanisms.filter(({ definition }) => definition.supports.causal === false);
  test.skipIf(oneSided.length === 0)('causal asked of what has no causal form', async () => {
    const names = oneSided.map(({ name }) => name).join(',');
    const argv = ['compare', 'short.txt', '--causal', '--mechanisms', names];
    const { code, err } = await cli(argv, { cwd });
    expect(code).toBe(2);
    expect(err).toContain(
      `no causal form: ${oneSided.map(({ name }) => name).join(', ')}; leave them out, or --causal`,
    );
  });
});

test('the help lists every mechanism', async () => {
  const { out } = await cli(['compare', '--help']);
  for (const { name } of mechanisms) expect(out).toMatch(new RegExp(`[ ,]${name}(,|\\n)`));
});

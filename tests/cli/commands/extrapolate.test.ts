// of report/extrapolation

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Extrapolation } from '../../../src/studies/extrapolate.js';
import { cli, temporaryFolder } from '../io.js';
import { malformed } from '../../report/well-formed.js';

const wasm = ['--device', 'wasm', '--threads', '1'];
const small = '--length 8 --times 1,2 --layers 1 --width 8 --heads 2 --steps 2 --batch 2 --max-bytes 64'.split(' ');

function folderWithText(): string {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, 'short.txt'), 'The quick brown fox jumps over the lazy dog.\n'.repeat(30));
  return cwd;
}

test('a table, a report, a figure, and models with which a second run goes on', async () => {
  const cwd = folderWithText();
  const argv = ['extrapolate', 'short.txt', ...wasm, ...small, '--methods', 'learned,alibi,rope-yarn', '--seeds', '2'];
  const { code, out, err } = await cli([...argv, '--json', 'e.json'], { cwd });
  expect([code, err]).toEqual([0, expect.stringMatching(/^wrote .*e\.json\n$/)]);
  for (const title of ['side by side', 'sliding']) expect(out).toMatch(new RegExp(`^${title} +8 +16 +2×$`, 'm'));
  expect(out.match(/^learned +\d\.\d{3} ± \d\.\d{3} +– +–$/gm)).toHaveLength(2);
  expect(out.match(/^ALiBi( +\d\.\d{3} ± \d\.\d{3}){2} +[+−]/gm)).toHaveLength(2);
  expect(out.match(/^alibi .*seed [01]$/gm)).toHaveLength(2);
  expect(out).toContain('Not defined beyond the trained length: learned.');
  const folder = join(cwd, 'subquad-extrapolate');
  expect(readdirSync(folder).sort()).toEqual(['extrapolate.html', 'extrapolate.svg', 'models']);
  expect(readdirSync(join(folder, 'models')).sort()).toEqual(
    ['alibi', 'learned', 'rope'].flatMap((name) => [`${name}-0`, `${name}-1`]),
  );
  const page = readFileSync(join(folder, 'extrapolate.html'), 'utf8');
  expect(malformed(page)).toBeUndefined();
  expect(page).not.toMatch(/<script|<link|<img|<iframe|url\(|@import|src=|href=/i);
  for (const text of ['RoPE, YaRN', 'subquad extrapolate short.txt', 'the same 64 bytes']) expect(page).toContain(text);
  const figure = readFileSync(join(folder, 'extrapolate.svg'), 'utf8');
  expect(malformed(figure.replace(/<style>[^]*?<\/style>/, ''))).toBeUndefined();
  expect(figure).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="1000"/);
  expect(figure.match(/class="band/g)).toHaveLength(2);
  const { rows } = JSON.parse(readFileSync(join(cwd, 'e.json'), 'utf8')) as Extrapolation;
  const again = await cli([...argv, '--json', '-'], { cwd });
  expect((JSON.parse(again.out) as Extrapolation).rows).toEqual(rows);
});

test('Ctrl-C: what is done is printed and drawn, and the code says so', async () => {
  const cwd = folderWithText();
  let asked = 0;
  const listened: boolean[] = [];
  const interruption = { listen: (on: boolean) => void listened.push(on), asked: () => ++asked > 5 };
  const argv = ['extrapolate', 'short.txt', ...wasm, ...small, '--methods', 'alibi,none', '--out', 'o'];
  const { code, out } = await cli(argv, { cwd, interruption });
  expect(code).toBe(130);
  expect(listened).toEqual([true, false]);
  expect(out).toMatch(/^ALiBi +\d/m);
  expect(out).not.toMatch(/^none +\d/m);
  expect(out).toContain('stopped; the same command goes on');
  expect(readFileSync(join(cwd, 'o', 'extrapolate.html'), 'utf8')).toContain('stopped before its end');
  // before anything is done, there is nothing to draw
  const none = await cli([...argv.slice(0, -1), 'p'], { cwd, interruption: { ...interruption, asked: () => true } });
  expect([none.code, readdirSync(join(cwd, 'p'))]).toEqual([130, []]);
});

describe('what cannot be is refused', () => {
  const cwd = folderWithText();
  test.each([
    ['--methods alibbi', 2, '--methods must be .*did you mean "alibi"'],
    ['--length 1', 2, '--length must be a whole number from 2'],
    ['--times 1,64', 2, 'a window of 512 takes 513 bytes, 64 are to be scored'],
    ['--width 9', 2, 'width 9 is no multiple of heads 2'],
    ['--rate 0', 2, '--rate must be a number from'],
    ['--validation 1', 2, '--validation must be a number from'],
    ['--out short.txt', 1, '--out "short.txt" cannot be made'],
    ['missing.txt', 1, 'missing.txt'],
  ])('%s', async (argv, code, message) => {
    const ran = await cli(['extrapolate', 'short.txt', ...wasm, ...small, ...argv.split(' ')], { cwd });
    expect([ran.code, ran.err]).toEqual([code, expect.stringMatching(new RegExp(message))]);
  });
});

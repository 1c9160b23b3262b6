import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { printable, printed, styleFor } from '../../src/cli/ansi.js';
import { cli, temporaryFolder } from './io.js';

// a colour, a title, a line that is written over, an 8-bit escape, writing backwards, what marks styles within the program
const HOSTILE = 'a\u001b[31mb\u001b]0;t\u0007c\rd\ne\u009b2Jf\u202eg\ufdd1h\ufdd6\u2028i\tj\u007f';

// oxlint-disable-next-line no-control-regex -- they are what is looked for
const ours = /\u001b\[(0|1|2|31|32|36)m|\r\u001b\[K/g;
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufdd0-\ufdef]/;

const cwd = temporaryFolder();
beforeAll(() => {
  writeFileSync(join(cwd, HOSTILE), 'It is a truth universally acknowledged. '.repeat(20));
  mkdirSync(join(cwd, `${HOSTILE}.d`));
  writeFileSync(join(cwd, 'keys.json'), JSON.stringify({ [HOSTILE]: 1, model: { [HOSTILE]: 2 } }));
  writeFileSync(join(cwd, 'values.json'), JSON.stringify({ model: { mechanism: HOSTILE, kind: HOSTILE } }));
  writeFileSync(join(cwd, 'section.json'), JSON.stringify({ model: HOSTILE }));
  writeFileSync(join(cwd, 'broken.json'), `{"${HOSTILE}`);
  writeFileSync(join(cwd, 'x.json'), JSON.stringify({ model: { width: HOSTILE } }));
  writeFileSync(join(cwd, 'x.safetensors'), '');
});

const wasm = ['--device', 'wasm', '--threads', '1'];
const tiny = ['--lengths', '64', '--mechanisms', 'flash', '--features', 'text', ...wasm];

const refused: readonly (readonly string[])[] = [
  [HOSTILE],
  [`--${HOSTILE}`],
  ['help', HOSTILE],
  ['doctor', HOSTILE],
  ['bench', `--${HOSTILE}`],
  ['bench', HOSTILE],
  ['bench', '--mask', HOSTILE],
  ['bench', '--threads', HOSTILE],
  ['bench', '--json', `${HOSTILE}/x`],
  ['bench', '--json', `${HOSTILE}.d`],
  ['compare', `no ${HOSTILE}`],
  ['compare', `${HOSTILE}.d`],
  ['compare', '--mechanisms', `flash:${HOSTILE}`],
  ['compare', '--families', HOSTILE],
  ['compare', '--set', HOSTILE],
  ['compare', '--model', HOSTILE],
  ['compare', '--task', 'perplexity', `no ${HOSTILE}`],
  ['plan', '--memory-limit', HOSTILE],
  ['plan', '--mechanisms', HOSTILE],
  ['show', HOSTILE],
  ['train', `no ${HOSTILE}`],
  ['train', `${HOSTILE}.d`],
  ['train', '--resume', HOSTILE],
  ['train', '--config', `no ${HOSTILE}`],
  ['train', '--tokeniser', `no ${HOSTILE}`],
  ...['keys', 'values', 'section', 'broken'].map((name) => ['train', '--config', `${name}.json`]),
  ['evaluate', `no ${HOSTILE}`],
  ['evaluate', 'x.safetensors'],
  ['generate', HOSTILE],
  ['generate', 'x.safetensors'],
  ['extrapolate', `no ${HOSTILE}`],
  ['extrapolate', '--out', `${HOSTILE}/x`],
];

describe.each([true, false])('what is refused is told in one line without controls; terminal: %s', (terminal) => {
  test.each(refused.map((argv) => [argv.map(printable).join(' '), argv] as const))('%s', async (_, argv) => {
    const { code, out, err } = await cli(argv, { cwd, outTerminal: terminal, errTerminal: terminal });
    expect({ code: code > 0, out }).toEqual({ code: true, out: '' });
    // what was shown meanwhile is on a line of its own
    const message = err.replace(ours, '');
    expect(message).toMatch(/error {2}[^\n]+\n$/);
    expect(message.match(/\n/g)).toHaveLength(1);
    expect(message).not.toMatch(controls);
    expect(message).not.toContain('please report it');
  });
});

describe.each([true, false])('names are printed without controls; terminal: %s', (terminal) => {
  const printing = [
    ['compare', HOSTILE, '--report', `${HOSTILE}.html`, '--json', `${HOSTILE}.json`, ...tiny],
    ['show', 'strided', '--length', '16', '--svg', `${HOSTILE}.svg`],
    ['generate', '--prompt', HOSTILE, '--tokens', '1', ...wasm],
  ];
  test.each(printing.map((argv) => [argv[0]!, argv] as const))('%s', async (command, argv) => {
    // a text for a program is as it is
    if (command === 'generate' && !terminal) return;
    const { code, out, err } = await cli(argv, { cwd, outTerminal: terminal, errTerminal: terminal });
    expect(code).toBe(0);
    expect((out + err).replace(ours, '')).not.toMatch(controls);
  });
});

const documentOf = (out: string): string =>
  (JSON.parse(out) as { directions: { comparison: { document: string } }[] }).directions[0]!.comparison.document;

test('what goes to a program is as it is', async () => {
  const argv = ['compare', HOSTILE, '--json', '-', ...tiny];
  const plain = await cli(argv, { cwd });
  const terminal = await cli(argv, { cwd, outTerminal: true });
  for (const ran of [plain, terminal]) expect(documentOf(ran.out)).toBe(HOSTILE);
  expect(terminal.out).not.toMatch(controls);
});

test('styles are sequences on a terminal only, and a name cannot make them', () => {
  const { bold } = styleFor({ env: {} }, true);
  expect(printed(`${bold('x')} \u001b[1m\n`, true)).toBe('\u001b[1mx\u001b[0m \\u001b[1m\n');
  expect(printed(bold(printable('\ufdd3')), true)).toBe('\u001b[1m\\ufdd3\u001b[0m');
  expect(printed('\ufdd1', false)).toBe('\\ufdd1');
});

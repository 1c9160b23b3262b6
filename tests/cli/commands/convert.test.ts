// of cli/model-and-files

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { createDevice } from '../../../src/devices/index.js';
import { createModel, readConfig } from '../../../src/models/index.js';
import { exportModel } from '../../../src/train/model-file.js';
import { cli, temporaryFolder } from '../io.js';

const wasm = ['--device', 'wasm', '--threads', '1'];
let cwd = '';

beforeAll(async () => {
  cwd = temporaryFolder();
  writeFileSync(join(cwd, 'text.txt'), 'The quick brown fox jumps over the lazy dog, and then another.\n'.repeat(12));
  const device = await createDevice({ kind: 'wasm', threads: 1 });
  const model = readConfig({ length: 16, layers: 1, width: 8, heads: 2, position: 'learned' });
  const weights = createModel(model).initialise({ device, seed: 1 });
  await exportModel(join(cwd, 'short.safetensors'), weights, { model });
  weights.dispose();
  await device.dispose();
});

test('a model for longer texts is written, scored, and read by the other commands', async () => {
  const argv = ['convert', 'short.safetensors', 'text.txt', '--to', 'window:radius=4', '--length', '64'];
  const { code, out, err } = await cli([...argv, '--out', 'long.safetensors', ...wasm], { cwd });
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/sliding-window.*for length 64/s);
  expect(out).toContain('1 tensor copied from others.');
  expect(out).toMatch(/converted +64/);
  const evaluated = await cli(
    ['evaluate', 'long.safetensors', 'text.txt', ...wasm, '--mode', 'separate', '--json', '-'],
    { cwd },
  );
  expect(JSON.parse(evaluated.out)).toMatchObject({ config: { length: 64, mechanism: { name: 'sliding-window' } } });
});

test('--steps trains it on', async () => {
  const argv = [
    'convert',
    'short.safetensors',
    'text.txt',
    '--to',
    'window:radius=4',
    '--length',
    '32',
    '--steps',
    '2',
  ];
  const more = ['--train-on', 'text.txt', '--max-bytes', '64', '--out', 'on.safetensors', '--json', '-'];
  const { code, out } = await cli([...argv, ...more, ...wasm], { cwd });
  expect(code).toBe(0);
  const { rows } = JSON.parse(out) as { rows: { model: string }[] };
  expect(rows.map(({ model }) => model)).toEqual(['trained', 'converted', 'converted', 'trained on', 'trained on']);
});

test.each([
  [['--length', '64'], /takes --to, a mechanism, and --length/],
  [['--to', 'windows', '--length', '64'], /windows/],
  [['--to', 'window', '--length', '8'], /length must be at least the trained 16; got 8/],
  [['--to', 'window', '--length', '32', '--rate', '0.1'], /--rate: of training; give --steps too/],
  [['--to', 'window', '--length', '32', '--out', 'a.bin'], /weights go to NAME\.safetensors/],
  [['--to', 'window', '--length', '32', '--steps', '1'], /name texts to train on, as --train-on FILE/],
  [['--to', 'window', '--length', '4096'], /text/],
])('bad input: %j', async (argv, message) => {
  const { code, err } = await cli(['convert', 'short.safetensors', 'text.txt', ...argv, ...wasm], { cwd });
  expect(code).toBeGreaterThan(0);
  expect(err).toMatch(message);
  expect(err.trim().split('\n')).toHaveLength(1);
});

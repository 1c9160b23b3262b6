import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { createDevice } from '../../src/devices/index.js';
import { createModel, readConfig } from '../../src/models/index.js';
import { loadCheckpoint, saveCheckpoint, type TensorSource } from '../../src/train/checkpoint/index.js';
import { exportModel } from '../../src/train/model-file.js';
import { cli, temporaryFolder } from './io.js';

const wasm = ['--device', 'wasm', '--threads', '1'];
const cwd = temporaryFolder();
const NAN = Float32Array.of(NaN);

/** Puts a NaN at the end of a tensor of a checkpoint, whose checksums are right. */
async function spoil(folder: string, name: string): Promise<void> {
  const { tensors, state } = await loadCheckpoint(join(cwd, folder));
  const sources: [string, TensorSource][] = [];
  for (const { name: own, dtype, shape } of tensors.entries.values()) {
    const bytes = await tensors.read(own);
    if (own === name) bytes.set(new Uint8Array(NAN.buffer), bytes.length - 4);
    sources.push([own, { dtype: dtype as 'f32', shape, bytes }]);
  }
  await tensors.close();
  await saveCheckpoint(join(cwd, folder), { tensors: Object.fromEntries(sources), state });
}

beforeAll(async () => {
  writeFileSync(join(cwd, 'text.txt'), 'The quick brown fox jumps over the lazy dog. '.repeat(60));
  const device = await createDevice({ kind: 'wasm', threads: 1 });
  const model = readConfig({ length: 16, layers: 1, width: 16, heads: 2 });
  const weights = createModel(model).initialise({ device, seed: 1 });
  const path = join(cwd, 'm.safetensors');
  await exportModel(path, weights, { model });
  weights.dispose();
  await device.dispose();
  // the largest f16 that is no number, in the last tensor; the checksum is that of the file as it is now
  const bytes = readFileSync(path);
  bytes.writeUInt16LE(0x7fff, bytes.length - 2);
  writeFileSync(path, bytes);
  writeFileSync(join(cwd, 'm.json'), JSON.stringify({ model }));
});

test.each([
  'evaluate m.safetensors text.txt',
  'evaluate m.safetensors text.txt --mechanism sliding-window --set radius=2',
  'generate m.safetensors --tokens 3',
  'compare text.txt --model m.safetensors --lengths 16 --mechanisms flash',
  'compare text.txt --model m.safetensors --task perplexity --lengths 16 --mechanisms flash',
])('weights that hold a NaN: %s names the tensor and fails', async (line) => {
  const { code, out, err } = await cli([...line.split(' '), ...wasm], { cwd });
  expect([code, out]).toEqual([1, '']);
  expect(err).toMatch(/^error {2}model ".*m\.safetensors": tensor \S+ holds a NaN or an infinity, .*\.\n$/);
});

test('a run whose checkpoint or best weights hold a NaN: resuming, evaluating and exporting fail', async () => {
  const tiny = '--layers 1 --width 16 --heads 2 --length 16 --batch 2'.split(' ');
  const run = (line: string) => cli([...line.split(' '), ...wasm], { cwd });
  expect((await run(`train text.txt --steps 4 --evaluate-every 2 --out run ${tiny.join(' ')}`)).code).toBe(0);
  await spoil('run/checkpoint', 'model.ends.embedding.weight');
  for (const line of ['train --resume run --steps 6', 'evaluate run --weights last']) {
    const { code, out, err } = await run(line);
    expect([line, code]).toEqual([line, 1]);
    expect(out + err).not.toMatch(/NaN (bits|nats)|bits\/byte/);
    expect(err).toContain('tensor ends.embedding.weight holds a NaN or an infinity');
  }
  // the best are still good
  expect((await run('evaluate run')).code).toBe(0);
});

test('models that extrapolate kept', async () => {
  const line =
    'extrapolate text.txt --methods alibi --length 8 --times 1,2 --steps 2 --batch 2 --layers 1 --width 8 --heads 2 --out e';
  const run = () => cli([...line.split(' '), ...wasm], { cwd });
  expect((await run()).code).toBe(0);
  await spoil('e/models/alibi-0', 'ends.embedding.weight');
  const { code, err } = await run();
  expect(code).toBe(1);
  expect(err).toContain('tensor ends.embedding.weight holds a NaN or an infinity');
});

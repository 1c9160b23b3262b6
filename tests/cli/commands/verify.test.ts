// of cli/commands/export

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { createDevice } from '../../../src/devices/index.js';
import { loadPretrained, runPretrained } from '../../../src/pretrained/index.js';
import { disposeAll } from '../../../src/tensor/index.js';
import { fileOf, tinyConfig, tinyWeights, writeFolder, type Stored } from '../../pretrained/folder.js';
import { cli, temporaryFolder } from '../io.js';

const wasm = ['--device', 'wasm', '--threads', '1'];
let cwd = '';
const outputs: Record<string, Stored> = {};
const tokens: Stored = {
  dtype: 'I64',
  shape: [2, 3],
  bytes: new Uint8Array(BigInt64Array.from([1n, 2n, 3n, 4n, 5n, 0n]).buffer),
};

/** A tiny model, and what it gives as its golden. */
beforeAll(async () => {
  cwd = temporaryFolder();
  mkdirSync(join(cwd, 'tiny'));
  writeFolder(join(cwd, 'tiny'), {
    'config.json': tinyConfig,
    'model.safetensors': fileOf(tinyWeights()),
    'tokenizer.json': '{}',
  });
  const device = await createDevice({ kind: 'wasm', threads: 1 });
  const loaded = await loadPretrained(join(cwd, 'tiny'), { device });
  const found = runPretrained(loaded, { input_ids: { data: [1, 2, 3, 4, 5, 0], shape: [2, 3] } });
  for (const [name, x] of Object.entries(found)) {
    const bytes = new Uint8Array(Float32Array.from(await x.data()).buffer);
    outputs[`out.${name}`] = { dtype: 'F32', shape: x.shape, bytes };
  }
  disposeAll(found);
  loaded.model.dispose();
  await device.dispose();
  writeFileSync(join(cwd, 'tiny', 'golden.safetensors'), fileOf({ 'in.input_ids': tokens, ...outputs }));
});

const run = (...argv: string[]) => cli([...argv, ...wasm], { cwd });

test('verify prints error and budget of every output, and succeeds', async () => {
  const { code, out, err } = await run('verify', 'tiny');
  expect([code, err]).toEqual([0, '']);
  expect(out).toContain('tiny: GPT-2, GPT2LMHeadModel, 308 parameters');
  for (const name of ['logits', 'hidden_states.0', 'hidden_states.1'])
    expect(out).toMatch(new RegExp(`${name} .*within`));
  const { rows, within } = JSON.parse((await run('verify', 'tiny', '--json')).out) as {
    within: boolean;
    rows: { name: string; error: number; budget: number; plain: number; largest: number }[];
  };
  expect(within).toBe(true);
  expect(rows).toHaveLength(3);
  for (const { error, budget, plain, largest } of rows) {
    expect(error).toBe(0);
    expect(budget).toBe(2 * (plain + 2 ** -24 * largest));
    expect(plain).toBeGreaterThan(0);
  }
  expect((await run('verify', 'tiny', '--markdown')).out).toMatch(/\| GPT-2 \| `GPT2LMHeadModel` \| `tiny` \| 3 \| 0 /);
});

test('a result beyond its budget, and one that is not given, are exit code 1', async () => {
  const moved = Float32Array.from(
    new Float32Array(outputs['out.logits']!.bytes.buffer),
    (x, i) => x + (i === 7 ? 1e-4 : 0),
  );
  const wrong = {
    'in.input_ids': tokens,
    ...outputs,
    'out.logits': { ...outputs['out.logits']!, bytes: new Uint8Array(moved.buffer) },
    'out.pooled': outputs['out.hidden_states.0']!,
    'out.hidden_states.1': { ...outputs['out.hidden_states.1']!, shape: [2, 4, 3] },
  };
  writeFileSync(join(cwd, 'wrong.safetensors'), fileOf(wrong));
  const { code, out } = await run('verify', 'tiny', '--golden', 'wrong.safetensors');
  expect(code).toBe(1);
  expect(out).toMatch(/logits .*1\.0e-4 .*beyond/);
  expect(out).toMatch(/pooled .*the model does not give it/);
  expect(out).toMatch(/hidden_states\.1 .*it is \[2,3,4\]/);
  expect(out).toContain('3 of 4 outputs beyond the budget');
});

test('attention weights, which no layer forms, are named and not compared', async () => {
  const weights: Stored = { dtype: 'F32', shape: [2, 1, 3, 3], bytes: new Uint8Array(72) };
  const golden = {
    'in.input_ids': tokens,
    ...outputs,
    'out.attentions.0': weights,
    'out.global_attentions.1': weights,
  };
  writeFileSync(join(cwd, 'weights.safetensors'), fileOf(golden));
  const { code, out } = await run('verify', 'tiny', '--golden', 'weights.safetensors');
  expect(code).toBe(0);
  expect(out).toContain('3 outputs, all within the budget of float32');
  expect(out).toMatch(/Not compared: attentions\.0, global_attentions\.1; no layer forms attention weights/);
});

test('what is no golden file is said', async () => {
  writeFileSync(join(cwd, 'none.safetensors'), fileOf({ logits: outputs['out.logits']! }));
  const { code, err } = await run('verify', 'tiny', '--golden', 'none.safetensors');
  expect(code).toBe(1);
  for (const part of ['not as logits', 'there is no in.NAME', 'there is no out.NAME']) expect(err).toContain(part);
  expect((await run('verify')).err).toContain('name a model');
  expect((await run('verify', 'tiny', 'tiny', '--golden', 'x')).err).toContain('--golden is of one model');
});

test('export gives the published file back, bit by bit', async () => {
  const { code, out, err } = await run('export', 'tiny', '--out', 'back');
  expect([code, err]).toEqual([0, '']);
  expect(out).toMatch(/wrote .*back: GPT2LMHeadModel, .*beside tokenizer\.json/);
  const config = JSON.parse(readFileSync(join(cwd, 'back', 'config.json'), 'utf8')) as object;
  expect(config).toEqual({ ...tinyConfig, torch_dtype: 'float32' });
  expect((await run('verify', 'back', '--golden', 'tiny/golden.safetensors')).code).toBe(0);
  const again = await run('export', 'tiny', '--out', 'back');
  expect([again.code, again.err]).toEqual([2, expect.stringContaining('has files, such as config.json')]);
  expect((await run('export', 'back', '--out', 'half', '--dtype', 'bf16')).code).toBe(0);
  expect(JSON.parse(readFileSync(join(cwd, 'half', 'config.json'), 'utf8'))).toMatchObject({ torch_dtype: 'bfloat16' });
  const third = await run('export', 'half', '--out', 'third');
  expect(third.code).toBe(0);
  for (const file of ['config.json', 'model.safetensors'])
    expect(readFileSync(join(cwd, 'third', file))).toEqual(readFileSync(join(cwd, 'half', file)));
});

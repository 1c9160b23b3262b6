import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { full } from '../support/full.js';
import { cli, temporaryFolder } from './io.js';

const golden = fileURLToPath(new URL('../goldens/llama_gqa', import.meta.url));
const wasm = ['--device', 'wasm', '--threads', '1'];
const INDEX = 'model.safetensors.index.json';

/** What may be wrong with a folder that was downloaded, and what every command says of it. */
const damages: Readonly<Record<string, readonly [damage: (folder: string) => void, says: RegExp]>> = {
  'an empty folder': [
    (folder) => readdirSync(folder).forEach((name) => rmSync(join(folder, name))),
    /config\.json.*(download it beside the weights|name a folder in Hugging Face layout|name a model, then files)\.$/,
  ],
  'a configuration that was cut': [
    (folder) => writeFileSync(join(folder, 'config.json'), '{"model_type": "llama",'),
    /is not JSON: .*(download it again|mend it, or put back the one that was saved)\.$/,
  ],
  'an architecture that is not known': [
    (folder) => changed(folder, { model_type: 'lama' }),
    /unknown model_type "lama" \(did you mean "llama"\?\)/,
  ],
  'a configuration of other weights': [
    (folder) => changed(folder, { num_key_value_heads: 4, intermediate_size: 40 }),
    /8 tensors do not fit config\.json: .*attention\.qkv.*feedForward\.gate.*Take the config\.json that was saved with them\.$/,
  ],
  'weights that were cut': [
    (folder) => writeFileSync(join(folder, 'model.safetensors'), weightsOf(folder).subarray(0, 60_000)),
    /but the file holds only \d+: it was cut\. The file is damaged; download it again\.$/,
  ],
  'weights with another header': [
    (folder) => {
      const bytes = weightsOf(folder);
      bytes.fill(0x58, 2, 6);
      writeFileSync(join(folder, 'model.safetensors'), bytes);
    },
    /The file is damaged; download it again\.$/,
  ],
  'an index that points outside': [
    (folder) => indexed(folder, '../other/model.safetensors'),
    /which is no \.safetensors file of this folder; nothing outside is read\.$/,
  ],
  'a shard that is missing': [
    (folder) => indexed(folder, 'model-00001.safetensors'),
    /1 of 1 files are missing: model-00001\.safetensors; download them beside model\.safetensors\.index\.json\.$/,
  ],
  'weights of PyTorch alone': [
    (folder) => {
      rmSync(join(folder, 'model.safetensors'));
      writeFileSync(join(folder, 'pytorch_model.bin'), 'x');
    },
    /may run code when it is read; convert it once in Python: .*save_pretrained/,
  ],
  'no weights': [
    (folder) => rmSync(join(folder, 'model.safetensors')),
    /has neither model\.safetensors nor .*; download the weights beside config\.json\.$/,
  ],
};

const weightsOf = (folder: string): Buffer => readFileSync(join(folder, 'model.safetensors'));
const indexed = (folder: string, file: string): void => {
  rmSync(join(folder, 'model.safetensors'));
  writeFileSync(join(folder, INDEX), JSON.stringify({ weight_map: { 'model.norm.weight': file } }));
};
const changed = (folder: string, fields: object): void => {
  const path = join(folder, 'config.json');
  const json = JSON.parse(readFileSync(path, 'utf8')) as object;
  writeFileSync(path, JSON.stringify({ ...json, ...fields }));
};

const commands = [
  ['run', 'bad', 'hi', '--task', 'generate'],
  ['verify', 'bad'],
  ['export', 'bad', '--out', 'out'],
  ['convert', 'bad', 'text.txt', '--to', 'window', '--length', '4096', '--out', 'out.safetensors'],
  ['evaluate', 'bad', 'text.txt'],
  ['generate', 'bad', '--prompt', 'hi'],
  ['train', 'text.txt', '--from', 'bad', '--steps', '1', '--length', '16', '--out', 'out'],
];

/** Of these every command is tried; of the others, outside of the full run, one: all read a model in the same way. */
const thorough = new Set(['an empty folder', 'a configuration of other weights', 'weights that were cut']);

describe.each(Object.entries(damages))('%s', (name, [damage, says]) => {
  const tried = full || thorough.has(name) ? commands : commands.slice(0, 1);
  const cwd = temporaryFolder();
  cpSync(golden, join(cwd, 'bad'), { recursive: true });
  damage(join(cwd, 'bad'));
  writeFileSync(join(cwd, 'text.txt'), 'the cat sat on the mat '.repeat(40));

  test.each(tried.map((argv) => [argv[0], argv] as const))('%s says so, and leaves nothing', async (__, argv) => {
    const before = readdirSync(cwd, { recursive: true }).map(String).sort();
    const { code, err } = await cli([...argv, ...wasm], { cwd });
    expect([1, 2]).toContain(code);
    const [line, ...rest] = err.trimEnd().split('\n');
    expect(line).toMatch(says);
    expect(rest).toEqual([]);
    expect(readdirSync(cwd, { recursive: true }).map(String).sort()).toEqual(before);
  });
});

test('a tokenizer of an unknown kind is for what reads texts; what does not goes on', async () => {
  const cwd = temporaryFolder();
  cpSync(golden, join(cwd, 'bad'), { recursive: true });
  writeFileSync(join(cwd, 'bad', 'tokenizer.json'), '{"model":{"type":"Strange"}}');
  writeFileSync(join(cwd, 'text.txt'), 'the cat sat on the mat '.repeat(40));
  for (const argv of commands.filter(([name]) => ['run', 'evaluate', 'generate', 'train'].includes(name!))) {
    const { code, err } = await cli([...argv, ...wasm], { cwd });
    expect([1, 2], argv[0]).toContain(code);
    expect(err, argv[0]).toMatch(/tokenizer\.json" is no tokenizer/);
  }
  expect((await cli(['verify', 'bad', ...wasm], { cwd })).code).toBe(0);
  expect((await cli(['export', 'bad', '--out', 'out', ...wasm], { cwd })).code).toBe(0);
});

test('a model without a tokenizer does not train on bytes unasked', async () => {
  const cwd = temporaryFolder();
  cpSync(golden, join(cwd, 'bad'), { recursive: true });
  rmSync(join(cwd, 'bad', 'tokenizer.json'));
  writeFileSync(join(cwd, 'text.txt'), 'the cat sat on the mat '.repeat(40));
  const { code, err } = await cli([...commands.at(-1)!, ...wasm], { cwd });
  expect(code).toBe(2);
  expect(err).toContain(
    'it has no tokenizer.json, so what its tokens are is not known; download it beside config.json',
  );
});

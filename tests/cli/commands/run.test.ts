// of cli/published

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { fileOf, tinyConfig, tinyWeights, writeFolder } from '../../pretrained/folder.js';
import { cli, temporaryFolder } from '../io.js';

const wasm = ['--device', 'wasm', '--threads', '1'];
const golden = (name: string): string => fileURLToPath(new URL(`../../goldens/${name}`, import.meta.url));
const cwd = temporaryFolder();
const run = (...argv: string[]) => cli([...argv, ...wasm], { cwd });

interface Masks {
  readonly tokens: number;
  readonly masks: readonly {
    readonly at: number;
    readonly likely: readonly { readonly token: string; readonly id: number; readonly probability: number }[];
    readonly window: readonly [number, number];
  }[];
}

test('fill-mask prints what may stand for each mask', async () => {
  const text = 'a [MASK] of [MASK]s';
  const { code, out, err } = await run('run', golden('bert'), '--task', 'fill-mask', text, '--top', '3');
  expect([code, err]).toEqual([0, '']);
  expect(out.match(/^ +\d+\.\d\d %  /gm)).toHaveLength(6);
  const { tokens, masks } = JSON.parse((await run('run', golden('bert'), text, '--json')).out) as Masks;
  expect(tokens).toBe(11);
  expect(masks.map(({ at }) => at)).toEqual([3, 8]);
  for (const { likely } of masks) {
    expect(likely).toHaveLength(5);
    const sorted = likely.map(({ probability }) => probability);
    expect(sorted).toEqual([...sorted].sort((a, b) => b - a));
    expect(sorted.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(1);
  }
});

test('a text beyond the learned positions says what to do, and windows read it', async () => {
  const long = `${'x'.repeat(190)}[MASK]${'y'.repeat(9)}`;
  const whole = await run('run', golden('bert'), long);
  expect(whole.code).toBe(2);
  expect(whole.err).toMatch(
    /text 1: the text has 202 tokens .* 160 positions.*--window 160 --stride 80.*subquad convert --length 202/,
  );
  const found = JSON.parse(
    (await run('run', golden('bert'), long, '--window', '100', '--stride', '40', '--json')).out,
  ) as Masks;
  // the window in which it has most on both sides
  expect(found.masks[0]).toMatchObject({ at: 191, window: [121, 201] });
  // as the window alone gives
  const alone = JSON.parse((await run('run', golden('bert'), long.slice(120), '--json')).out) as Masks;
  expect(alone.masks[0]!.likely).toEqual(found.masks[0]!.likely);
  expect((await run('run', golden('bert'), long, '--window', '170')).err).toContain('take at most 160');
  expect((await run('run', golden('bert'), long, '--window', '100', '--stride', '99')).err).toContain(
    'a stride is 1 to 98',
  );
});

test('embed gives a vector for each line of a file; the mean over windows counts tokens', async () => {
  writeFileSync(join(cwd, 'lines.txt'), 'one\n\ntwo\n');
  const { out } = await run('run', golden('bert'), '--task', 'embed', '--file', 'lines.txt', '--lines', '--json');
  const both = JSON.parse(out) as { name: string; vector: number[] }[];
  expect(both.map(({ name }) => name)).toEqual(['lines.txt, line 1', 'lines.txt, line 3']);
  const alone = JSON.parse((await run('run', golden('bert'), '--task', 'embed', 'two', '--json')).out) as {
    vector: number[];
  };
  expect(alone.vector).toEqual(both[1]!.vector);
  expect(alone.vector).toHaveLength(32);
});

test('generate streams how a text goes on, until a token ends it', async () => {
  const { code, out, err } = await run('run', golden('llama_gqa'), 'Once', '--tokens', '12');
  expect([code, err]).toEqual([0, '']);
  expect(out).toMatch(/^Once.+\n$/s);
  const other = await run('generate', golden('llama_gqa'), '--prompt', 'Once', '--tokens', '12', '--temperature', '0');
  // which does not know the token that ends a text
  expect(other.out.startsWith(out.slice(0, -1))).toBe(true);
});

test('what a model or task is not for is refused, with the remedy', async () => {
  const refused = async (...argv: string[]): Promise<string> => {
    const { code, err } = await run('run', ...argv);
    expect(code).toBeGreaterThan(0);
    return err;
  };
  expect(await refused()).toContain('name a model');
  expect(await refused(golden('bert'), '--task', 'generate', 'x')).toContain('is not for generate but for fill-mask');
  expect(await refused(golden('bert'), 'x')).toContain('write [MASK] where a token is to be found');
  expect(await refused(golden('bert'), 'x', '--temperature', '1')).toContain('no use for --temperature');
  expect(await refused(golden('llama_gqa'), 'x', '--window', '9')).toContain('no use for --window');
  expect(await refused(golden('bert'), 'x', '--stride', '9')).toContain('--stride is of windows');
  const tiny = { 'config.json': tinyConfig, 'model.safetensors': fileOf(tinyWeights()) };
  const bare = writeFolder(temporaryFolder(), tiny);
  expect(await refused(bare, 'x')).toContain('has no tokenizer.json; download it');
  const spiece = writeFolder(temporaryFolder(), { ...tiny, 'spiece.model': 'x' });
  expect(await refused(spiece, 'x')).toContain('AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)');
  const strange = writeFolder(temporaryFolder(), { ...tiny, 'tokenizer.json': { model: { type: 'Odd', vocab: {} } } });
  expect(await refused(strange, 'x')).toMatch(/the tokenizer of .* is not read .*tokenise the text in Python/);
});

test('commands take a published model: evaluate, train and export of what was trained', async () => {
  const text = join(cwd, 'text.txt');
  writeFileSync(text, 'What a long and quiet afternoon it was. '.repeat(40));
  const evaluated = await run(
    'evaluate',
    golden('llama_gqa'),
    text,
    '--length',
    '32',
    '--max-bytes',
    '200',
    '--mode',
    'separate',
    '--json',
  );
  expect([evaluated.code, evaluated.err]).toEqual([0, '']);
  expect((JSON.parse(evaluated.out) as { rows: { bitsPerByte: number }[] }).rows[0]!.bitsPerByte).toBeGreaterThan(1);
  const masked = await run('evaluate', golden('bert'), text, '--length', '32', '--max-bytes', '200');
  expect([masked.code, masked.out]).toEqual([0, expect.stringContaining('bits per masked byte') as string]);
  const trained = await run(
    'train',
    text,
    '--from',
    golden('llama_gqa'),
    '--length',
    '16',
    '--steps',
    '1',
    '--batch',
    '1',
    '--out',
    'trained',
  );
  expect(trained.code).toBe(0);
  expect((await run('export', 'trained', '--out', 'back')).code).toBe(0);
  const config = JSON.parse(readFileSync(join(cwd, 'back', 'config.json'), 'utf8')) as object;
  const before = JSON.parse(readFileSync(join(golden('llama_gqa'), 'config.json'), 'utf8')) as object;
  expect(config).toEqual({ ...before, architectures: ['LlamaForCausalLM'], torch_dtype: 'float32', dtype: undefined });
  expect((await run('evaluate', 'back', text, '--length', '16', '--max-bytes', '100')).code).toBe(0);
});

test('matrices in 16 bits give what those of a rounded file give', async () => {
  expect((await run('export', golden('bert'), '--out', 'half', '--dtype', 'bf16')).code).toBe(0);
  const masksOf = async (...argv: string[]): Promise<Masks['masks']> =>
    (JSON.parse((await run('run', ...argv, 'a [MASK] of it', '--json')).out) as Masks).masks;
  const rounded = await masksOf('half');
  expect(await masksOf('half', '--dtype', 'bf16')).toEqual(rounded);
  const whole = await masksOf(golden('bert'));
  expect(await masksOf(golden('bert'), '--dtype', 'f32')).toEqual(whole);
  expect(await masksOf(golden('bert'), '--dtype', 'bf16')).not.toEqual(whole);
});

test('evaluate puts the special tokens of the tokenizer around each piece of a text', async () => {
  writeFileSync(join(cwd, 'masked.txt'), 'a man of the town said it '.repeat(20));
  const windowsAt = async (folder: string): Promise<number> => {
    const { code, out } = await run('evaluate', folder, 'masked.txt', '--length', '32', '--json');
    expect(code).toBe(0);
    return (JSON.parse(out) as { readonly rows: readonly { readonly windows: number }[] }).rows[0]!.windows;
  };
  // 520 tokens, 30 of each window
  expect(await windowsAt(golden('bert'))).toBe(17);
  cpSync(golden('bert'), join(cwd, 'plain'), { recursive: true });
  const path = join(cwd, 'plain', 'tokenizer.json');
  const json = JSON.parse(readFileSync(path, 'utf8')) as object;
  writeFileSync(path, JSON.stringify({ ...json, post_processor: null }));
  expect(await windowsAt('plain')).toBe(16);
});

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { createDevice } from '../../src/devices/index.js';
import type { Swaps } from '../../src/report/swaps.js';
import { createModel, readConfig } from '../../src/models/index.js';
import { BUNDLED_MODEL } from '../../src/studies/bundled.js';
import type { Direction } from '../../src/report/choice.js';
import { exportModel } from '../../src/train/model-file.js';
import { cli, temporaryFolder } from './io.js';
import { malformed } from '../report/well-formed.js';

const wasm = ['--device', 'wasm', '--threads', '1'];
const cwd = temporaryFolder();
const sentence = 'The quick brown fox jumps over the lazy dog. ';

beforeAll(async () => {
  const device = await createDevice({ kind: 'wasm', threads: 1 });
  const save = async (name: string, own: object, notes: object): Promise<void> => {
    const model = readConfig({ length: 16, layers: 3, width: 16, heads: 4, ...own });
    const made = createModel(model).initialise({ device, seed: 1 });
    await exportModel(join(cwd, `${name}.safetensors`), made, { model, ...notes });
    made.dispose();
  };
  const data = { texts: ['books/fox.txt'], validation: 0.1, tokeniser: null };
  await save('m', {}, { data, best: { loss: 2 * Math.LN2, step: 7 } });
  await save('learned', { position: 'learned' }, {});
  const encoder = { kind: 'encoder', vocabulary: 257, outputs: 256 };
  await save('masked', encoder, { objective: { name: 'masked', share: 0.5, span: 2 } });
  await save('encoder', { kind: 'encoder' }, {});
  await save('xl', { kind: 'transformer-xl' }, {});
  await device.dispose();
  writeFileSync(join(cwd, 'fox.txt'), sentence.repeat(3));
  writeFileSync(join(cwd, 'other.txt'), sentence.repeat(3).toUpperCase());
});

const compare = (line: string, more: readonly string[] = wasm) =>
  cli(['compare', ...line.split(' ').filter((word) => word !== ''), ...more], { cwd });

test('queries, keys and values of chosen heads of a layer', async () => {
  const line = 'fox.txt --model m.safetensors --layer 3 --layer-heads 4,2 --lengths 8,32 --mechanisms chunked';
  const { code, out, err } = await compare(`${line} --json c.json --report c.html`);
  expect([code, err]).toEqual([0, expect.stringMatching(/^wrote .*c\.json\n$/)]);
  expect(out).toMatch(
    /^fox\.txt, 135 B; forward; wasm, 1 thread\nWebAssembly, as asked\.\n\nCausal attention; 2 heads of 4, f32\n/,
  );
  const note =
    'Queries, keys and values are those of layer 3 of 3 (heads 4, 2 of 4) of a byte model of 14 k parameters, trained on fox.txt, at this text. The model is causal.';
  expect(out).toContain(note);
  const { directions } = JSON.parse(readFileSync(join(cwd, 'c.json'), 'utf8')) as { directions: [Direction] };
  // a causal model says nothing of all pairs
  expect(directions).toHaveLength(1);
  const [{ comparison: found, swaps }] = directions;
  expect(found).toMatchObject({ causal: true, heads: 2, headDim: 4, features: expect.stringContaining(note) });
  // an exact mechanism changes nothing, and is not scored
  expect(swaps).toMatchObject({
    masked: false,
    adaptedSteps: null,
    lengths: [16],
    rows: [{ name: 'flash', trained: true }],
  });
  expect(found.rows).toHaveLength(6);
  for (const row of found.rows) expect(row).toMatchObject({ skipped: null, check: { ok: true } });
  const page = readFileSync(join(cwd, 'c.html'), 'utf8');
  expect(malformed(page)).toBeUndefined();
  expect(page).toContain(note);
});

test('bits that are lost, before and after the attention of the model is trained', async () => {
  const line =
    'other.txt --model m.safetensors --lengths 16 --mechanisms sliding-window:radius=1,performer:numFeatures=8 --max-bytes 48';
  const plain = await compare(`${line} --json -`);
  const adapted = await compare(`${line} --adapt 4 --json -`);
  expect([plain.code, adapted.code]).toEqual([0, 0]);
  const [before, after] = [plain, adapted].map(
    ({ out }) => (JSON.parse(out) as { directions: [Direction] }).directions[0].swaps!,
  );
  expect(before!.rows.map(({ adapted: one }) => one)).toEqual([null, null, null]);
  expect(after!.adaptedSteps).toBe(4);
  for (const { name, bitsPerByte, adapted: cost, trained } of after!.rows) {
    expect(before!.rows.some((row) => row.name === name)).toBe(true);
    expect(cost!.bitsPerByte).not.toBe(bitsPerByte);
    if (trained) expect(cost).toMatchObject({ change: 0, changeError: 0 });
  }
  const { out } = await compare(`${line} --adapt 2`);
  expect(out).toContain('after 2 steps in which attention alone is trained');
  expect(out).toMatch(/ bits lost /);
});

test('an encoder is asked for as much as it was trained to find, and one that finds nothing has no bits to lose', async () => {
  const line = 'other.txt --lengths 16 --mechanisms sliding-window:radius=1 --max-bytes 48 --json -';
  const of = async (model: string): Promise<Direction[]> => {
    const { code, out } = await compare(`${line} --model ${model}.safetensors`);
    expect(code).toBe(0);
    return (JSON.parse(out) as { directions: Direction[] }).directions;
  };
  const [found, ...others] = await of('masked');
  expect(others).toEqual([]);
  expect(found!.comparison.causal).toBe(false);
  expect(found!.swaps).toMatchObject({ masked: true, rows: [{ tokens: 3 * 8 }, { tokens: 3 * 8 }] });
  const [plain] = await of('encoder');
  expect(plain!.swaps).toBeUndefined();
  expect(plain!.comparison.rows.every(({ error }) => error !== null)).toBe(true);
});

test('text features where they are asked for, and where there is no bundled model', async () => {
  const asked = await compare('fox.txt --features text --lengths 8 --mechanisms flash');
  expect(asked.out.match(/; 4 heads of 64, f32$/gm)).toHaveLength(2);
  expect(asked.out).toContain('features of the text: features, not a trained model.\n');
  const plain = await compare('fox.txt --lengths 8 --mechanisms flash');
  expect(plain.code).toBe(0);
  expect(plain.out).toContain(
    existsSync(BUNDLED_MODEL) ? 'those of layer ' : 'The model that comes with the package is not there.',
  );
});

describe('bits per byte of mechanisms in a trained model', () => {
  test('a table, a report and the numbers', async () => {
    const mechanisms = '--mechanisms sliding-window:radius=2,linformer,performer --set performer.numFeatures=8';
    const line = `fox.txt --task perplexity --model m.safetensors ${mechanisms} --max-bytes 64 --json p.json --report p.html`;
    const { code, out, err } = await compare(line);
    expect([code, err]).toEqual([0, expect.stringMatching(/^wrote .*p\.json\n$/)]);
    expect(out).toMatch(
      /^m\.safetensors: decoder, 3 layers of 16, 4 heads, flash, rope, trained at length 16; wasm, 1 thread\n/,
    );
    expect(out).toContain('A text of this name is among those the model was trained on, but for the last 10 % of all');
    expect(out).toContain('its best on its own validation text was 2.000 bits per byte');
    expect(out).toContain('64 tokens in 4 windows of 16\n');
    expect(out).toMatch(/^flash +\d\.\d{4} +– +– +[\d.]+ +[\d.]+( [kM])? +exact +as trained$/m);
    expect(out).toMatch(/^sliding-window:radius=2 +\d\.\d{4} +[+−]\d\.\d{4} +\d\.\d{4} .* exact on its support$/m);
    expect(out).toMatch(/^performer:numFeatures=8 .* unbiased +3 tensors drawn$/m);
    expect(out).toContain('not swapped in\n  linformer: no causal form');
    const found = JSON.parse(readFileSync(join(cwd, 'p.json'), 'utf8')) as Swaps;
    expect(found).toMatchObject({ model: 'm.safetensors', document: 'fox.txt', lengths: [16], seed: 0 });
    const page = readFileSync(join(cwd, 'p.html'), 'utf8');
    expect(malformed(page)).toBeUndefined();
    expect(page).not.toMatch(/<script|<link|<img|<iframe|https?:|url\(|@import|src=|href=/i);
    for (const { name, bitsPerByte } of found.rows) {
      expect(page).toContain(`<code>${name}</code>`);
      expect(page).toContain(`<td>${bitsPerByte.toFixed(4)}</td>`);
    }
    expect(page).toContain('linformer: no causal form');
  });

  test('lengths, the default set, and a text that is too short for all of them', async () => {
    const { code, out } = await compare(
      'other.txt --task perplexity --model m.safetensors --lengths 8,500 --max-bytes 16 --json -',
    );
    expect(code).toBe(0);
    const found = JSON.parse(out) as Swaps;
    expect(found.lengths).toEqual([8, 134]);
    expect(found.note).toBe('The text is short: windows of 134 take the place of longer ones.');
    expect(found.provenance).toContain('The model was trained on fox.txt;');
    expect(new Set(found.rows.map(({ mechanism }) => mechanism)).size).toBeGreaterThan(9);
  });

  test('a model that says nothing of its text', async () => {
    const { code, out } = await compare('other.txt --task perplexity --model learned.safetensors --mechanisms flash');
    expect(code).toBe(0);
    expect(out).toContain('Whether the model was trained on this text is not known.\n');
  });
});

describe('bad input is refused', () => {
  test.each<[string, number, string]>([
    [
      '--heads 2 --layer 1',
      2,
      '--heads is for text features, a model has its own sizes; leave out either these or --layer.',
    ],
    ['--heads 2 --head-dim 4 --features model', 2, '--heads, --head-dim are for text features'],
    ['--features text --model m.safetensors --layer 2', 2, '--features text does not take --model, --layer'],
    [
      '--model m.safetensors --all-pairs',
      2,
      '--all-pairs: the model is causal, so what it attends to says nothing of all pairs',
    ],
    [
      '--task perplexity --causal --heads 2 --layer 1 --memory 3',
      2,
      '--task perplexity does not take --causal, --layer, --heads, --memory.',
    ],
    ['--model m.safetensors --layer 4', 2, 'the model has layers 1 to 3; got 4.'],
    ['--model m.safetensors --layer-heads 1,5', 2, 'its layers have heads 1 to 4; got 5.'],
    ['--model learned.safetensors --lengths 32', 2, 'the model learned 16 positions'],
    ['--model xl.safetensors', 2, 'takes a decoder or an encoder over bytes; got kind transformer-xl'],
    ['--model nothing.safetensors', 1, 'nothing.json" cannot be read'],
    ['--model fox.txt', 1, 'is no folder of a run and no .safetensors file'],
    ['--model m.safetensors --task perplexity --mechanisms flsh', 2, '"flsh" (did you mean "flash"?)'],
    ['--model learned.safetensors --task perplexity --lengths 32', 2, 'the model learned 16 positions'],
  ])('%s', async (line, wanted, message) => {
    const folder = join(cwd, 'empty');
    mkdirSync(folder, { recursive: true });
    const { code, err } = await cli(
      ['compare', '../fox.txt', ...line.replace(/(\S+\.(safetensors|txt))/g, '../$1').split(' ')],
      {
        cwd: folder,
      },
    );
    expect(err).toContain(message);
    expect(code).toBe(wanted);
    expect(readdirSync(folder)).toEqual([]);
  });
});

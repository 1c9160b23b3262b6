// of cli/confusion, cli/commands/{evaluate-classes,evaluate-masked}

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { loadTokeniser, Ngram, openCorpus, splitCorpus, trainBpe } from '../../../src/data/index.js';
import { createDevice } from '../../../src/devices/index.js';
import { createModel, readConfig } from '../../../src/models/index.js';
import { BUNDLED_MODEL } from '../../../src/studies/bundled.js';
import type { Evaluation } from '../../../src/studies/evaluate.js';
import { perplexity } from '../../../src/studies/perplexity.js';
import { exportModel, loadModel } from '../../../src/train/model-file.js';
import { cli, temporaryFolder } from '../io.js';

const wasm = ['--device', 'wasm', '--threads', '1'];
let cwd = '';
const line = 'The quick brown fox jumps over the lazy dog, and then another.\n';

/** Models that were never trained, exported as a run does. */
beforeAll(async () => {
  cwd = temporaryFolder();
  writeFileSync(join(cwd, 'text.txt'), line.repeat(12));
  writeFileSync(join(cwd, 'other.txt'), 'abcdefgh'.repeat(9));
  writeFileSync(join(cwd, 'tokenizer.json'), trainBpe(openCorpus([join(cwd, 'text.txt')]), 270).json);
  const device = await createDevice({ kind: 'wasm', threads: 1 });
  const data = { texts: ['text.txt'], tokeniser: null, validation: 0.25, documents: 'joined' };
  for (const [name, own, more] of [
    ['rope', {}, { data }],
    ['learned', { position: 'learned' }, { data }],
    ['alone', {}, {}],
    ['bpe', { vocabulary: 270 }, { data: { ...data, tokeniser: 'tokenizer.json' } }],
  ] as const) {
    const model = readConfig({ length: 16, layers: 1, width: 8, heads: 2, ...own });
    const weights = createModel(model).initialise({ device, seed: 1 });
    await exportModel(join(cwd, `${name}.safetensors`), weights, { model, ...more });
    weights.dispose();
  }
  await device.dispose();
});

const json = async (argv: readonly string[]): Promise<Evaluation> => {
  const { code, out, err } = await cli(['evaluate', ...argv, ...wasm, '--json', '-'], { cwd });
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out) as Evaluation;
};

test('on what training kept, at the trained length, beside a 5-gram of what it was trained on', async () => {
  const { code, out } = await cli(['evaluate', 'rope.safetensors', ...wasm], { cwd });
  expect(code).toBe(0);
  expect(out).toMatch(/^rope\.safetensors: decoder, 1 layer of 8, 2 heads, flash, rope, trained at length 16\n/);
  expect(out).toContain('text.txt, the part kept for validation');
  expect(out).toMatch(/length +windows +bits per byte +± +perplexity per byte +5-gram +bytes +time\n/);
  expect(out).toMatch(/^ +16 +side by side +\d\.\d{4}/m);
  expect(out).toMatch(/^ +16 +sliding by 8 +\d\.\d{4}/m);
});

test('the numbers are those of the study, on the bytes of the row', async () => {
  const argv = ['rope.safetensors', '--length', '24,8', '--mode', 'sliding', '--stride', '5'];
  const { rows, swapped, bytesPerToken } = await json(argv);
  expect([swapped, bytesPerToken, rows.length]).toEqual([null, 1, 2]);
  const { train, validation } = splitCorpus(openCorpus([join(cwd, 'text.txt')]), 0.25);
  const device = await createDevice({ kind: 'wasm', threads: 1 });
  const { model } = await loadModel(join(cwd, 'rope.safetensors'), { device });
  for (const [i, length] of [24, 8].entries()) {
    const { seconds: _, ...want } = await perplexity({
      device,
      model,
      source: validation,
      length,
      mode: 'sliding',
      stride: 5,
    });
    expect(rows[i]).toMatchObject(want);
    // all but the first byte
    const ngram = new Ngram(train);
    const first = -Math.log2(ngram.probability([], firstOf(validation)));
    const whole = ngram.score(validation);
    expect(rows[i]!.baseline).toBeCloseTo((whole.bitsPerByte * whole.bytes - first) / (whole.bytes - 1), 10);
  }
  model.dispose();
  await device.dispose();
});

function firstOf(corpus: ReturnType<typeof openCorpus>): number {
  const byte = new Uint8Array(1);
  corpus.read(0, byte);
  return byte[0]!;
}

test('files, a mechanism in place of the trained one, and its options', async () => {
  const files = ['rope.safetensors', 'other.txt', '--mode', 'separate'];
  const plain = await json(files);
  expect(plain.rows[0]).toMatchObject({ tokens: 64, mode: 'separate', stride: 16, standardError: expect.any(Number) });
  // a text of its own, but the same training text
  expect(plain.rows[0]!.baseline).toBeGreaterThan(0);
  const wide = await json([...files, '--mechanism', 'sliding-window', '--set', 'radius=16']);
  expect(wide).toMatchObject({
    swapped: { from: 'flash', drawn: [], unused: [] },
    config: { mechanism: { name: 'sliding-window' } },
  });
  expect(wide.rows[0]!.bitsPerByte).toBeCloseTo(plain.rows[0]!.bitsPerByte, 4);
  const narrow = await json([...files, '--mechanism', 'sliding-window', '--set', 'radius=0']);
  expect(Math.abs(narrow.rows[0]!.bitsPerByte - plain.rows[0]!.bitsPerByte)).toBeGreaterThan(1e-4);
  const { out } = await cli(['evaluate', ...files, '--mechanism', 'performer', ...wasm], { cwd });
  expect(out).toMatch(/attends by performer in place of flash, not trained for it; \d+ tensors? drawn\n/);
});

test('some bytes only, another 5-gram, or none', async () => {
  const some = await json(['alone.safetensors', 'text.txt', '--max-bytes', '40', '--baseline', 'other.txt']);
  expect(some.rows.map(({ tokens }) => tokens)).toEqual([32, 40]);
  for (const { baseline } of some.rows) expect(baseline).toBeGreaterThan(6);
  const none = await json(['rope.safetensors', '--baseline', 'none']);
  expect(none.rows.map(({ baseline }) => baseline)).toEqual([null, null]);
  const { out } = await cli(['evaluate', 'rope.safetensors', '--baseline', 'none', ...wasm], { cwd });
  expect(out).not.toContain('5-gram');
});

test('tokens of a tokeniser: bits per byte and perplexity of both, and no file is left', async () => {
  const place = temporaryFolder();
  vi.stubEnv('TMPDIR', place);
  const { rows, unit, bytesPerToken } = await json(['bpe.safetensors', '--mode', 'separate']);
  const { train, validation } = splitCorpus(openCorpus([join(cwd, 'text.txt')]), 0.25);
  const bytes = new Uint8Array(validation.size);
  validation.read(0, bytes);
  const tokens = (await loadTokeniser(join(cwd, 'tokenizer.json'))).encode(new TextDecoder().decode(bytes));
  expect(unit).toBe('token');
  expect(bytesPerToken).toBeCloseTo(bytes.length / tokens.length, 12);
  expect(bytesPerToken).toBeGreaterThan(1.2);
  const { natsPerToken, bitsPerByte, perplexity: ofToken, baseline } = rows[0]!;
  expect(bitsPerByte).toBeCloseTo(natsPerToken / Math.LN2 / bytesPerToken, 12);
  expect(ofToken).toBeCloseTo(Math.exp(natsPerToken), 9);
  expect(baseline).toBeCloseTo(new Ngram(train).score(validation).bitsPerByte, 12);
  const { out } = await cli(['evaluate', 'bpe.safetensors', ...wasm], { cwd });
  expect(out).toMatch(/perplexity per byte +per token +5-gram +tokens/);
  vi.unstubAllEnvs();
  expect(readdirSync(place)).toEqual([]);
});

describe('what cannot be is refused', () => {
  test.each([
    ['alone.safetensors', 2, 'does not say what text it was trained on; name a text file'],
    ['rope.safetensors missing.txt', 1, '"missing.txt" cannot be opened|missing.txt" cannot'],
    ['rope.safetensors --length 0', 2, '--length must be a whole number from 1'],
    ['rope.safetensors --length 4 --stride 5', 2, 'stride must be at most the length'],
    ['rope.safetensors --length 100000', 2, 'a window of length 100000 takes 100001 bytes'],
    [
      'learned.safetensors --length 8,17,32',
      2,
      'learned 16 positions and has none for a length of 17; take at most 16',
    ],
    ['rope.safetensors --mechanism nystromformer', 2, 'no causal form'],
    ['rope.safetensors --mechanism flsh', 2, 'did you mean "?flash'],
    ['rope.safetensors --set keyTle=3', 2, 'flash: unknown option "keyTle"'],
    ['gone.safetensors', 1, 'gone.json" cannot be read'],
    ['rope.safetensors --baseline missing.txt', 1, 'missing.txt" cannot be opened'],
  ])('%s', async (argv, code, message) => {
    const ran = await cli(['evaluate', ...argv.split(' '), ...wasm], { cwd });
    expect([ran.code, ran.err, ran.out]).toEqual([code, expect.stringMatching(new RegExp(message)), '']);
    expect(ran.err.match(/\n/g)).toHaveLength(1);
  });

  test.skipIf(existsSync(BUNDLED_MODEL))('a folder that is no run, without a model in the package', async () => {
    mkdirSync(join(cwd, 'empty'));
    const { code, err } = await cli(['evaluate', 'empty', ...wasm], { cwd });
    expect([code, err]).toEqual([2, expect.stringContaining('name a model, the folder of a run')]);
  });
});

test('a 5-gram of a long text is counted when it is asked for only, and that is said', async () => {
  writeFileSync(join(cwd, 'long.txt'), Buffer.alloc(2.1e7 / 0.75, line));
  const { model } = JSON.parse(readFileSync(join(cwd, 'rope.json'), 'utf8')) as { model: object };
  cpSync(join(cwd, 'rope.safetensors'), join(cwd, 'long.safetensors'));
  writeFileSync(join(cwd, 'long.json'), JSON.stringify({ model, data: { texts: ['long.txt'], validation: 0.25 } }));
  const argv = ['evaluate', 'long.safetensors', '--max-bytes', '64', '--mode', 'separate', ...wasm];
  const quiet = await cli(argv, { cwd });
  expect(quiet.code).toBe(0);
  expect(quiet.out).toContain(
    'no 5-gram: the 21.0 MB it was trained on take minutes to count; --baseline FILE counts a file\n',
  );
  expect(quiet.out).not.toContain('5-gram  ');
  const asked = await cli([...argv, '--baseline', 'other.txt'], { cwd });
  expect(asked.out).toMatch(/ 5-gram {2,}/);
});

test.each([
  ['rope.safetensors --weights last', 'is a file of one kind'],
  ['rope.safetensors --mode separate --stride 3', '--stride is of sliding windows'],
])('what has no use is refused: %s', async (given, why) => {
  const { code, out, err } = await cli(['evaluate', ...given.split(' '), ...wasm], { cwd });
  expect([code, out]).toEqual([2, '']);
  expect(err).toContain(why);
});

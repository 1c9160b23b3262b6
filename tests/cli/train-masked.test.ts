// of studies/evaluation-facts

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openCorpus, splitCorpus, trainBpe } from '../../src/data/index.js';
import { createDevice } from '../../src/devices/index.js';
import type { MaskedEvaluation } from '../../src/studies/evaluate-masked.js';
import { maskedScores } from '../../src/studies/masked.js';
import { parseMetrics } from '../../src/train/metrics.js';
import { loadModel } from '../../src/train/model-file.js';
import { cli, temporaryFolder, type Ran } from './io.js';

const cwd = temporaryFolder();
const wasm = '--device wasm --threads 1';
const run = (line: string, io: Parameters<typeof cli>[1] = {}): Promise<Ran> =>
  cli(line.split(' ').filter(Boolean), { cwd, ...io });
const SIZES = `--layers 1 --width 16 --heads 2 --length 16 --batch 2 ${wasm}`;
const train = (line: string, io = {}): Promise<Ran> => run(`train text.txt ${line} ${SIZES}`, io);
const metricsOf = (folder: string) => parseMetrics(readFileSync(join(cwd, folder, 'metrics.jsonl'), 'utf8'));
const configOf = (folder: string): unknown => JSON.parse(readFileSync(join(cwd, folder, 'config.json'), 'utf8'));
/** Names are checksums. */
const weightsOf = (folder: string): unknown =>
  ['checkpoint', 'best'].map((name) => readdirSync(join(cwd, folder, name)).filter((file) => file.endsWith('tensors')));
const evaluated = async (line: string): Promise<MaskedEvaluation> => {
  const { code, out, err } = await run(`evaluate ${line} ${wasm} --json -`);
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out) as MaskedEvaluation;
};

beforeAll(async () => {
  writeFileSync(
    join(cwd, 'text.txt'),
    Array.from({ length: 120 }, (_, i) => `Line ${i} has ${i * i} words.\n`).join(''),
  );
  writeFileSync(join(cwd, 'bpe.json'), trainBpe(openCorpus([join(cwd, 'text.txt')]), 280).json);
  writeFileSync(join(cwd, 'given.json'), JSON.stringify({ objective: { name: 'masked', share: 0.3, random: 0 } }));
  await train('--objective masked --steps 6 --evaluate-every 3 --out whole');
});

test('an encoder over bytes and a mask token; its folder says what it was trained for', async () => {
  expect(configOf('whole')).toMatchObject({
    model: { kind: 'encoder', vocabulary: 257, outputs: 256 },
    objective: { name: 'masked', share: 0.15, span: 3, words: false, random: 0.1, kept: 0.1 },
  });
  const evaluations = metricsOf('whole').filter((metric) => metric.kind === 'evaluation');
  expect(evaluations.map(({ step }) => step)).toEqual([3, 6]);
  // two masked bytes of each window
  for (const { accuracy, windows } of evaluations) expect((accuracy! * 2 * windows) % 1).toBe(0);
  const steps = metricsOf('whole').filter((metric) => metric.kind === 'step');
  expect(steps.map(({ tokens }) => tokens)).toEqual(Array<number>(6).fill(4));
});

test('what is said while it trains', async () => {
  const { out, err } = await train('--objective masked --steps 2 --mask-words --out words');
  expect(out).toMatch(/^[\d.]+ k parameters: encoder, /);
  expect(out).toContain('windows of 16, 4 masked tokens a step; 2 steps\n');
  expect(out).toMatch(/validation [\d.]+ bits\/masked byte {2}accuracy [\d.]+ %/);
  expect(out).not.toContain('5-gram');
  expect(err).toMatch(/^step 1\/2 {2}loss [\d.]+ {2}[\d.]+ bits\/masked byte/);
  expect(configOf('words')).toMatchObject({ objective: { words: true } });
});

test('stopped and resumed: the weights of a whole run', async () => {
  let asked = 0;
  const interruption = { listen: () => undefined, asked: () => ++asked > 2 };
  expect((await train('--objective masked --steps 6 --evaluate-every 3 --out parts', { interruption })).code).toBe(130);
  expect((await run(`train --resume parts ${wasm}`)).code).toBe(0);
  expect(weightsOf('parts')).toEqual(weightsOf('whole'));
  const { code, err } = await run(`train --resume parts --mask-share 0.2 ${wasm}`);
  expect(code).toBe(2);
  expect(err).toContain('objective.share was 0.15, is 0.2');
});

test('flags over the file; tokens of a BPE and a mask token beside them', async () => {
  expect((await train('--config given.json --mask-span 1 --tokeniser bpe.json --steps 2 --out bpe')).code).toBe(0);
  expect(configOf('bpe')).toMatchObject({
    model: { kind: 'encoder', vocabulary: 281, outputs: 280 },
    objective: { name: 'masked', share: 0.3, span: 1, random: 0, kept: 0.1 },
  });
  const { rows, unit } = await evaluated('bpe');
  expect(unit).toBe('token');
  expect(rows[0]!.tokens % 5).toBe(0);
});

describe('evaluate', () => {
  test('prints accuracy and bits of masked bytes, at any lengths', async () => {
    const { code, out } = await run(`evaluate whole --length 16,32 ${wasm}`);
    expect(code).toBe(0);
    expect(out).toMatch(/^whole: encoder, 1 layer of 16, .* trained at length 16\n/);
    expect(out).toContain('text.txt, the part kept for validation');
    expect(out).toMatch(/length +accuracy +bits per masked byte +± +masked bytes +windows +time\n/);
    expect(out).toMatch(/^ +32 +\d+\.\d\d % +\d\.\d{4}/m);
    expect(out).toContain('15 % of the bytes are masked, spans of 3 bytes in the mean');
  });

  test('the numbers are those of the study; by another mechanism they are others', async () => {
    const { rows, objective } = await evaluated('whole --max-bytes 80 --seed 2');
    expect(objective).toMatchObject({ name: 'masked', share: 0.15 });
    const device = await createDevice({ kind: 'wasm', threads: 1 });
    const { model } = await loadModel(join(cwd, 'whole'), { device });
    const source = splitCorpus(openCorpus([join(cwd, 'text.txt')]), 0.1).validation;
    const { seconds: _, ...want } = await maskedScores({ device, model, source, length: 16, maxTokens: 80, seed: 2 });
    expect(rows).toEqual([{ ...want, seconds: expect.any(Number) as number }]);
    expect(want.windows).toBe(5);
    model.dispose();
    await device.dispose();
    const swapped = await evaluated('whole --max-bytes 80 --seed 2 --mechanism sliding-window:radius=1');
    expect(swapped.swapped).toMatchObject({ from: 'flash' });
    expect(swapped.rows[0]!.bitsPerByte).not.toBe(rows[0]!.bitsPerByte);
  });

  test('the loss on the validation part is that of training, where nothing is left out', async () => {
    const [, last] = metricsOf('whole').filter((metric) => metric.kind === 'evaluation');
    const { rows } = await evaluated('whole --weights last');
    // of pairs of windows, as many as there are
    expect(Math.abs(rows[0]!.windows - last!.windows)).toBeLessThan(2);
    if (rows[0]!.windows === last!.windows) expect(rows[0]!.natsPerToken).toBeCloseTo(last!.loss!, 5);
  });
});

test.each([
  [
    'train text.txt --kind encoder',
    'kind encoder sees the tokens that it would predict; take kind decoder, or objective masked',
  ],
  [
    'train text.txt --objective masked --kind decoder',
    'objective masked is for kind encoder, whose tokens see all others; got kind decoder',
  ],
  [
    'train text.txt --objective masked --mask-words --mask-span 2',
    'objective: span is for spans of tokens; leave it out where whole words are hidden',
  ],
  [
    'train text.txt --objective masked --mask-words --tokeniser bpe.json',
    'whole words are found in bytes; leave words out, or the tokeniser',
  ],
  ['train text.txt --mask-share 0.2', '--mask-share is for --objective masked'],
  ['generate whole', 'this model is an encoder, whose tokens see those after them, so it does not go on with a text'],
  ['evaluate whole --stride 4', 'leave out --stride'],
  ['evaluate whole --mode sliding', 'leave out --mode'],
  ['evaluate whole --length 4000', 'a window of length 4000 takes 4001 bytes'],
])('%s', async (line, message) => {
  const { code, err } = await run(`${line} ${line.startsWith('train') ? `${SIZES} --steps 1 --out refused` : wasm}`);
  expect(code).not.toBe(0);
  expect(err).toContain(message);
  expect(err.trim().split('\n')).toHaveLength(1);
});

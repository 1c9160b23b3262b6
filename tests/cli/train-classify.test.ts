// of data/labelled/folders, studies/{labelled,labelled-parts,padding}

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { openCorpus, trainBpe } from '../../src/data/index.js';
import type { ClassEvaluation } from '../../src/studies/evaluate-classes.js';
import { parseMetrics } from '../../src/train/metrics.js';
import { cli, temporaryFolder, type Ran } from './io.js';

const cwd = temporaryFolder();
let vocabulary = 0;
const wasm = '--device wasm --threads 1';
const run = (line: string, io: Parameters<typeof cli>[1] = {}): Promise<Ran> =>
  cli(line.split(' ').filter(Boolean), { cwd, ...io });
const SIZES = `--layers 1 --width 16 --heads 2 --length 24 --batch 4 ${wasm}`;
const train = (line: string, io = {}): Promise<Ran> => run(`train --objective classify ${line} ${SIZES}`, io);
const configOf = (folder: string): unknown => JSON.parse(readFileSync(join(cwd, folder, 'config.json'), 'utf8'));
const evaluationsOf = (folder: string) =>
  parseMetrics(readFileSync(join(cwd, folder, 'metrics.jsonl'), 'utf8')).filter((one) => one.kind === 'evaluation');
/** Names are checksums. */
const weightsOf = (folder: string): unknown =>
  ['checkpoint', 'best'].map((name) => readdirSync(join(cwd, folder, name)).filter((file) => file.endsWith('tensors')));
const evaluated = async (line: string): Promise<ClassEvaluation> => {
  const { code, out, err } = await run(`evaluate ${line} ${wasm} --json -`);
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out) as ClassEvaluation;
};
const sum = (matrix: readonly (readonly number[])[]): number => matrix.flat().reduce((a, b) => a + b, 0);

beforeAll(async () => {
  // the class is the first word
  const lines = Array.from(
    { length: 40 },
    (_, i) => `${i % 2 ? 'yes' : 'no'} ${'abc '.repeat(1 + (i % 4))}\t${i % 2 ? 'pos' : 'neg'}`,
  );
  writeFileSync(join(cwd, 'all.tsv'), ['text\tlabel', ...lines].join('\n'));
  writeFileSync(join(cwd, 'held.tsv'), ['text\tlabel', ...lines.slice(0, 7)].join('\n'));
  writeFileSync(join(cwd, 'ragged.tsv'), ['text\tlabel', ...lines, 'alone'].join('\n'));
  writeFileSync(join(cwd, 'one.tsv'), ['text\tlabel', 'a\tpos', 'b\tpos'].join('\n'));
  writeFileSync(join(cwd, 'other.tsv'), ['text\tlabel', 'a\tpos', 'b\tneutral'].join('\n'));
  writeFileSync(join(cwd, 'long.tsv'), ['text\tlabel', ...lines, `${'x'.repeat(60)}\tpos`].join('\n'));
  writeFileSync(join(cwd, 'plain.txt'), lines.join('\n'));
  const bpe = trainBpe(openCorpus([join(cwd, 'all.tsv')]), 270);
  writeFileSync(join(cwd, 'bpe.json'), bpe.json);
  ({ vocabulary } = bpe);
  for (const label of ['pos', 'neg']) {
    mkdirSync(join(cwd, 'folders', label), { recursive: true });
    for (let i = 0; i < 8; i++) writeFileSync(join(cwd, 'folders', label, `${i}.txt`), `${label} ${i}`);
  }
  const word = (x: number): number[] => [0, 0, x >> 8, x & 255];
  const pixels = Array.from({ length: 30 * 16 }, (_, i) => (Math.floor(i / 16) % 3) * 80);
  writeFileSync(
    join(cwd, 'images.gz'),
    gzipSync(Uint8Array.of(0, 0, 8, 3, ...word(30), ...word(4), ...word(4), ...pixels)),
  );
  writeFileSync(
    join(cwd, 'labels'),
    Uint8Array.of(0, 0, 8, 1, ...word(30), ...Array.from({ length: 30 }, (_, i) => i % 3)),
  );
  await train('all.tsv --steps 6 --evaluate-every 3 --out whole');
});

describe('training', () => {
  test('a table: classes by name, batches by length, scores in its folder', () => {
    expect(configOf('whole')).toMatchObject({
      model: { kind: 'encoder', vocabulary: 256, head: { classes: 2, pool: 'mean' } },
      objective: { name: 'classify', classes: ['neg', 'pos'], best: 'accuracy' },
    });
    for (const { windows, accuracy, macroF1, confusion } of evaluationsOf('whole')) {
      expect([windows, sum(confusion!)]).toEqual([4, 4]);
      expect(accuracy).toBe((confusion![0]![0]! + confusion![1]![1]!) / 4);
      expect(macroF1).toBeGreaterThanOrEqual(0);
    }
    const report = readFileSync(join(cwd, 'whole', 'report.html'), 'utf8');
    expect(report).toContain('<h2>Classes</h2>');
    expect(report).toMatch(/Best validation: [\d.]+ bits per example, accuracy [\d.]+ %,/);
  });

  test('it learns what tells the classes, and says what it read', async () => {
    const { code, out } = await train(
      'all.tsv --validation-on held.tsv --words --steps 30 --rate 0.02 --out learnt --json learnt.json',
    );
    expect(code).toBe(0);
    expect(out).toContain('up to 24 tokens each, 4 examples a step; 30 steps\n');
    expect(out).toContain('40 examples of 2 classes, 7 to evaluate on\n');
    expect(out).toContain('columns text and label, the first line is a header\n');
    expect(out).toMatch(/validation [\d.]+ bits\/example {2}accuracy 100\.0 % {2}F1 1\.000/);
    expect(out).toMatch(/accuracy 100\.00 %, macro F1 1\.0000\nis, taken for +neg +pos\nneg +4 +0\npos +0 +3\n/);
    expect(configOf('learnt')).toMatchObject({
      model: { vocabulary: 4 },
      objective: { words: ['abc', 'no', 'yes'], units: 'words' },
    });
    expect(JSON.parse(readFileSync(join(cwd, 'learnt.json'), 'utf8'))).toMatchObject({ accuracy: 1, macroF1: 1 });
  });

  test('folders, by a decoder; tokens of a BPE; images pixel by pixel', async () => {
    expect((await train('folders --kind decoder --steps 2 --out folders-run')).code).toBe(0);
    expect(configOf('folders-run')).toMatchObject({ model: { kind: 'decoder', head: { classes: 2, pool: 'last' } } });
    expect((await train('all.tsv --tokeniser bpe.json --pool attention --best loss --steps 2 --out bpe')).code).toBe(0);
    expect(configOf('bpe')).toMatchObject({ model: { vocabulary, head: { pool: 'attention' } } });
    const { code, out } = await train(
      '--images images.gz --labels labels --mechanism flash --steps 2 --out images-run',
    );
    expect(code).toBe(0);
    expect(out).toContain('480 B of images in 2 files');
    expect(configOf('images-run')).toMatchObject({
      objective: { classes: ['0', '1', '2'] },
      model: { vocabulary: 256 },
    });
    const { examples, classes } = await evaluated('images-run --images images.gz --labels labels');
    expect([examples, classes]).toEqual([30, ['0', '1', '2']]);
  });

  test('stopped and resumed: the weights of a whole run', async () => {
    let asked = 0;
    const interruption = { listen: () => undefined, asked: () => ++asked > 2 };
    expect((await train('all.tsv --steps 6 --evaluate-every 3 --out parts', { interruption })).code).toBe(130);
    expect((await run(`train --resume parts ${wasm}`)).code).toBe(0);
    expect(weightsOf('parts')).toEqual(weightsOf('whole'));
  });

  test('early stopping, cut examples, and a mixer that takes no padding', async () => {
    const config = JSON.stringify({ model: { mixer: 'fnet' } });
    writeFileSync(join(cwd, 'fnet.json'), config);
    const { code, out } = await train(
      'long.tsv --config fnet.json --truncate --steps 40 --rate 1e-9 --evaluate-every 1 --patience 2 --out stopped',
    );
    expect(code).toBe(0);
    expect(out).toContain('1 examples are cut to the 24 tokens that the model takes\n');
    expect(out).toContain('batches are of one length each, since nothing can be padded:');
    expect(out).toContain('stopped: no evaluation was better for a while after 3 steps');
  });
});

describe('evaluate', () => {
  test('what was kept apart: accuracy, and which class is taken for which', async () => {
    const { code, out } = await run(`evaluate whole ${wasm}`);
    expect(code).toBe(0);
    expect(out).toMatch(/^whole: encoder, 1 layer of 16, /);
    expect(out).toMatch(/accuracy [\d.]+ % ± [\d.]+, macro F1 [\d.]+\n\nis, taken for +neg +pos\n/);
    expect(out).toContain('4 examples, kept apart when it was trained');
    const last = evaluationsOf('whole').at(-1)!;
    const { scores, loss } = await evaluated('whole --weights last');
    expect(scores).toMatchObject({ accuracy: last.accuracy, macroF1: last.macroF1, matrix: last.confusion });
    expect(loss).toBeCloseTo(last.loss!, 5);
  });

  test('other examples, by another mechanism', async () => {
    const { examples, heldOut, swapped } = await evaluated('learnt held.tsv --mechanism sliding-window:radius=3');
    expect([examples, heldOut, swapped?.from]).toEqual([7, false, 'flash']);
    expect((await evaluated('learnt held.tsv')).scores).toMatchObject({
      accuracy: 1,
      matrix: [
        [4, 0],
        [0, 3],
      ],
    });
  });
});

test.each([
  [
    'train --objective classify',
    'takes files with a column of labels (.tsv, .csv, .jsonl), a folder with one for each class, or --images with --labels; name one',
  ],
  [
    'train --objective classify plain.txt',
    'is no table (.tsv, .csv, .jsonl) and no folder of classes, so its labels are missing; name one of them',
  ],
  [
    'train --objective classify one.tsv',
    'all 2 examples are of class "pos"; name examples of two at least, or another column',
  ],
  ['train --objective classify ragged.tsv', 'line 42 of'],
  [
    'train --objective classify long.tsv',
    '1 of 41 examples have more tokens than the 24 that the model takes, the longest 60; train with --length 60, or with --truncate',
  ],
  [
    'train --objective classify all.tsv --validation-on other.tsv',
    'class "neutral" was not trained; those known are neg, pos',
  ],
  [
    'train --objective classify --images plain.txt --labels labels',
    'is no IDX file of images (it does not begin with two zero bytes)',
  ],
  ['train --objective classify --images images.gz', 'each file of images takes one of labels; got 1 and 0'],
  [
    'train --objective classify all.tsv --kind transformer-xl',
    'objective classify is for kinds encoder and decoder; got kind transformer-xl',
  ],
  ['train --objective classify none.tsv', 'does not exist; name a file of examples, or a folder of classes'],
  ['train all.tsv --words', '--words is for --objective classify'],
  ['generate whole', 'this model tells classes of texts and does not go on with one'],
  ['evaluate whole other.tsv', 'class "neutral" was not trained'],
  ['evaluate whole --stride 4', 'leave out --stride'],
])('%s', async (line, message) => {
  const { code, out, err } = await run(
    `${line} ${line.startsWith('train') ? `${SIZES} --steps 1 --out refused` : wasm}`,
  );
  expect([code === 0, out]).toEqual([false, '']);
  expect(err).toContain(message);
  expect(err.trim().split('\n')).toHaveLength(1);
});

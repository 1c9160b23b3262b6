import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { openCorpus, spanPlan, trainBpe } from '../../src/data/index.js';
import type { SpanEvaluation } from '../../src/studies/evaluate-spans.js';
import { parseMetrics } from '../../src/train/metrics.js';
import { cli, temporaryFolder, type Ran } from './io.js';

const cwd = temporaryFolder();
const wasm = '--device wasm --threads 1';
const run = (line: string, io: Parameters<typeof cli>[1] = {}): Promise<Ran> =>
  cli(line.split(' ').filter(Boolean), { cwd, ...io });
const SIZES = `--layers 1 --width 16 --heads 2 --length 24 --batch 2 ${wasm}`;
const train = (line: string, io = {}): Promise<Ran> => run(`train text.txt --objective spans ${line} ${SIZES}`, io);
const configOf = (folder: string): unknown => JSON.parse(readFileSync(join(cwd, folder, 'config.json'), 'utf8'));
const weightsOf = (folder: string): unknown =>
  ['checkpoint', 'best'].map((name) => readdirSync(join(cwd, folder, name)).filter((file) => file.endsWith('tensors')));
const plan = spanPlan(24);
let vocabulary = 0;

beforeAll(async () => {
  const lines = Array.from({ length: 120 }, (_, i) => `Line ${i} has ${i * i} words.\n`);
  writeFileSync(join(cwd, 'text.txt'), lines.join(''));
  const bpe = trainBpe(openCorpus([join(cwd, 'text.txt')]), 280);
  writeFileSync(join(cwd, 'bpe.json'), bpe.json);
  ({ vocabulary } = bpe);
  await train('--steps 6 --evaluate-every 3 --out whole');
});

test('an encoder–decoder over bytes and sentinels; evaluated by what it tells', async () => {
  expect(configOf('whole')).toMatchObject({
    model: { kind: 'encoder-decoder', vocabulary: 256 + plan.sentinels },
    objective: { name: 'spans', share: 0.15, span: 3 },
  });
  const metrics = parseMetrics(readFileSync(join(cwd, 'whole', 'metrics.jsonl'), 'utf8'));
  const steps = metrics.filter((one) => one.kind === 'step');
  expect(steps.map(({ tokens }) => tokens)).toEqual(Array<number>(6).fill(2 * plan.targets));
  const [, last] = metrics.filter((one) => one.kind === 'evaluation');
  const { code, out } = await run(`evaluate whole --weights last ${wasm}`);
  expect(code).toBe(0);
  expect(out).toMatch(/accuracy [\d.]+ %, [\d.]+ bits per target\n/);
  const json = await run(`evaluate whole --weights last --json - ${wasm}`);
  const found = JSON.parse(json.out) as SpanEvaluation;
  expect(found).toMatchObject({ window: plan.window, targets: found.windows * plan.targets });
  // in pairs of windows, as many as there are
  expect(Math.abs(found.windows - last!.windows)).toBeLessThan(2);
  if (found.windows === last!.windows) expect(found.bitsPerTarget).toBeCloseTo(last!.loss! / Math.LN2, 5);
});

test('stopped and resumed: the weights of a whole run', async () => {
  let asked = 0;
  const interruption = { listen: () => undefined, asked: () => ++asked > 2 };
  expect((await train('--steps 6 --evaluate-every 3 --out parts', { interruption })).code).toBe(130);
  expect((await run(`train --resume parts ${wasm}`)).code).toBe(0);
  expect(weightsOf('parts')).toEqual(weightsOf('whole'));
});

test('tokens of a BPE, other spans', async () => {
  const { code, out } = await train('--tokeniser bpe.json --mask-share 0.3 --mask-span 2 --steps 2 --out bpe');
  expect(code).toBe(0);
  const own = spanPlan(24, { share: 0.3, span: 2 });
  expect(out).toContain(`${2 * own.targets} targets a step; 2 steps`);
  expect(configOf('bpe')).toMatchObject({ model: { vocabulary: vocabulary + own.sentinels } });
  expect((await run(`evaluate bpe ${wasm}`)).code).toBe(0);
});

test('tells what a prompt lacks, a line for each hole', async () => {
  const { code, out } = await run(
    `generate whole ${wasm} --prompt ab___cde --prompt abc --tokens 6 --temperature 0 --json spans.json`,
  );
  expect(code).toBe(0);
  const { texts } = JSON.parse(readFileSync(join(cwd, 'spans.json'), 'utf8')) as { texts: { text: string }[] };
  expect(texts).toHaveLength(2);
  for (const { text } of texts) {
    expect(text).toMatch(/^1: /);
    expect(out).toContain(text.trimEnd());
  }
});

test.each([
  ['train text.txt --kind encoder-decoder', 'take kind decoder, or objective spans'],
  ['train text.txt --objective spans --kind decoder', 'objective spans is for kind encoder-decoder; got kind decoder'],
  ['train text.txt --objective spans --mask-share 0.8', 'take a smaller share, or longer spans'],
  ['train text.txt --objective spans --mask-words', '--mask-words is for --objective masked'],
  ['generate whole --prompt a___b___c', 'the prompt lacks 2 spans (___), and this model knows at most 1'],
  ['generate whole --beams 2', 'tells what a text lacks, without --beams'],
  ['evaluate whole --length 12', 'leave out --length'],
])('%s', async (line, message) => {
  const { code, out, err } = await run(
    `${line} ${line.startsWith('train') ? `${SIZES} --steps 1 --out refused` : wasm}`,
  );
  expect([code === 0, out]).toEqual([false, '']);
  expect(err).toContain(message);
  expect(err.trim().split('\n')).toHaveLength(1);
});

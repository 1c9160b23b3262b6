import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { parseMetrics } from '../../src/train/metrics.js';
import { cli, temporaryFolder, type Ran } from './io.js';

const cwd = temporaryFolder();
const SIZES = '--layers 1 --width 16 --heads 2 --length 16 --batch 2 --device wasm --threads 1';
const train = (line: string): Promise<Ran> =>
  cli(['train', 'text.txt', ...line.split(' '), ...SIZES.split(' ')], { cwd });
const lossesOf = (folder: string): (number | null)[] =>
  parseMetrics(readFileSync(join(cwd, folder, 'metrics.jsonl'), 'utf8')).flatMap((one) =>
    one.kind === 'step' ? [one.loss] : [],
  );

beforeAll(async () => {
  writeFileSync(
    join(cwd, 'text.txt'),
    Array.from({ length: 90 }, (_, i) => `Line ${i} has ${i * i} words.\n`).join(''),
  );
  await train('--steps 40 --rate 0.02 --evaluate-every 20 --out first');
});

test('a run begins with the weights of another, an encoder with those of a decoder, and goes on with its own', async () => {
  const next = await train('--steps 2 --from first --out second');
  expect(next).toMatchObject({ code: 0 });
  expect(next.out).toMatch(/^begins with \d+ tensors of the other model; 0 without use$/m);
  // far below what drawn weights begin with
  expect(lossesOf('second')[0]!).toBeLessThan(0.8 * lossesOf('first')[0]!);
  const masked = await train('--objective masked --steps 2 --from first --out third');
  expect(masked.out).toMatch(/^begins with \d+ tensors of the other model, 1 with some of its rows; 0 without use$/m);
  const resumed = await cli(['train', '--resume', 'second', '--steps', '3', '--device', 'wasm', '--threads', '1'], {
    cwd,
  });
  expect(resumed.code).toBe(0);
  expect(resumed.out).not.toContain('begins with');
});

test.each([
  ['--steps 2 --from nothing --out x', 'nothing'],
  ['--resume first --from second', '--resume takes all from its folder; leave out --from.'],
])('%s', async (line, message) => {
  const { code, err } = await cli(['train', ...line.split(' ')], { cwd });
  expect(code).not.toBe(0);
  expect(err).toContain(message);
});

test('a model of which nothing fits', async () => {
  const { code, err } = await cli(
    [
      'train',
      'text.txt',
      '--from',
      'first',
      '--steps',
      '2',
      '--width',
      '24',
      '--heads',
      '3',
      '--layers',
      '1',
      '--length',
      '16',
      '--out',
      'other',
      '--device',
      'wasm',
      '--threads',
      '1',
    ],
    { cwd },
  );
  expect(code).not.toBe(0);
  expect(err).toContain('fits this model; take its sizes');
});

test('adapters beside the weights of a run: small, resumed, and generated with', async () => {
  const adapted = await cli(
    [
      'train',
      'text.txt',
      '--from',
      'first',
      '--lora',
      'rank=2,alpha=4,on=qkv,up',
      '--steps',
      '3',
      '--rate',
      '0.01',
    ].concat('--batch 2 --evaluate-every 3 --device wasm --threads 1 --out adapted'.split(' ')),
    { cwd },
  );
  expect(adapted).toMatchObject({ code: 0 });
  expect(lossesOf('adapted')[0]!).toBeLessThan(0.8 * lossesOf('first')[0]!);
  const config = JSON.parse(readFileSync(join(cwd, 'adapted', 'config.json'), 'utf8')) as { model: { lora: unknown } };
  expect(config.model.lora).toEqual({ rank: 2, alpha: 4, on: ['qkv', 'up'] });
  expect(readFileSync(join(cwd, 'adapted', 'adapters', 'checkpoint.json'), 'utf8')).toContain('subquad adapters');
  const more = ['train', '--resume', 'adapted', '--steps', '5', '--device', 'wasm', '--threads', '1'];
  expect((await cli(more, { cwd })).code).toBe(0);
  const generated = await cli(['generate', 'adapted', '--tokens', '4', '--device', 'wasm', '--threads', '1'], { cwd });
  expect(generated.code).toBe(0);
  const wrong = ['train', 'text.txt', '--from', 'first', '--lora', 'size=2', '--out', 'no'];
  expect((await cli(wrong, { cwd })).err).toContain('--lora takes rank=R, alpha=A and on=NAME,NAME');
  expect((await cli(['train', 'text.txt', '--lora', 'rank=2', '--out', 'no'], { cwd })).err).toContain(
    'name it with --from',
  );
});

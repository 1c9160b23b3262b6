// of cli/commands/{train-labels,train-options,train-text}, data/last-batches, studies/{train,train-data}, train/adapters

import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openCorpus, trainBpe, vocabularyOf } from '../../../src/data/index.js';
import { lockFolder } from '../../../src/train/lock.js';
import { parseMetrics } from '../../../src/train/metrics.js';
import { cli, temporaryFolder, type Ran } from '../io.js';

const cwd = temporaryFolder();
const TINY = '--layers 1 --width 16 --heads 2 --length 16 --batch 2 --device wasm --threads 1'.split(' ');
const train = (line: string, io: Parameters<typeof cli>[1] = {}): Promise<Ran> =>
  cli(['train', ...line.split(' ').filter((word) => word !== '')], { cwd, ...io });
const tiny = (line: string, io: Parameters<typeof cli>[1] = {}): Promise<Ran> => train(`${line} ${TINY.join(' ')}`, io);

const metricsOf = (folder: string) => parseMetrics(readFileSync(join(cwd, folder, 'metrics.jsonl'), 'utf8'));
const configOf = (folder: string) =>
  JSON.parse(readFileSync(join(cwd, folder, 'config.json'), 'utf8')) as Record<'model' | 'data' | 'train', object>;
/** Names are checksums. */
const weightsOf = (folder: string): unknown =>
  ['checkpoint', 'best'].map((name) => readdirSync(join(cwd, folder, name)).filter((file) => file.endsWith('tensors')));

beforeAll(() => {
  const text = Array.from({ length: 300 }, (_, i) => `Line ${i} has ${i * i} words.\n`).join('');
  writeFileSync(join(cwd, 'text.txt'), text);
  mkdirSync(join(cwd, 'texts'));
  writeFileSync(join(cwd, 'texts', 'a.txt'), text.slice(0, 3000));
  writeFileSync(join(cwd, 'texts', 'b.md'), text.slice(3000));
  writeFileSync(join(cwd, 'other.txt'), text.toUpperCase());
  writeFileSync(join(cwd, 'short.txt'), 'too short a text');
  writeFileSync(join(cwd, 'no.json'), '{"model":');
  writeFileSync(join(cwd, 'list.json'), '[]');
  writeFileSync(
    join(cwd, 'wrong.json'),
    JSON.stringify({
      modle: {},
      model: { widht: 8, heads: 3, layers: 0 },
      data: { validation: 2, text: 'a' },
      train: { batch: 0, rate: 'high', optimiser: { name: 'adam' }, schedule: 'cosinus' },
    }),
  );
  writeFileSync(
    join(cwd, 'contradictions.json'),
    JSON.stringify({
      train: { steps: 10, minutes: 1, warmUp: 10, optimiser: { name: 'adamW', options: { beta3: 1 } } },
    }),
  );
  writeFileSync(join(cwd, 'huge.json'), '{"train":{"rate":1e30}}');
  writeFileSync(
    join(cwd, 'good.json'),
    JSON.stringify({
      model: { mechanism: 'sliding-window', width: 8, heads: 1 },
      train: { rate: 0.01, optimiser: 'lion' },
    }),
  );
});

describe('a run', () => {
  test('on tokens of a BPE: the model has as many, and goes on with text', async () => {
    const { json, vocabulary } = trainBpe(openCorpus([join(cwd, 'text.txt')]), 280);
    writeFileSync(join(cwd, 'bpe.json'), json);
    expect(vocabularyOf(join(cwd, 'bpe.json'))).toBe(vocabulary);
    expect(vocabularyOf(join(cwd, 'no.json'))).toBeUndefined();
    expect((await tiny('text.txt --tokeniser bpe.json --steps 2 --out bpe')).code).toBe(0);
    expect(configOf('bpe').model).toMatchObject({ vocabulary });
    const argv = ['generate', 'bpe', '--prompt', 'Line 7', '--tokens', '5', '--device', 'wasm', '--threads', '1'];
    const { code, out } = await cli(argv, { cwd });
    expect(code).toBe(0);
    expect(out.startsWith('Line 7')).toBe(true);
  });

  test('says what it trains, shows progress, and leaves its folder', async () => {
    const { code, out, err } = await tiny(
      'texts --steps 8 --evaluate-every 4 --out whole --json whole.json --dropout 0.1',
    );
    expect(code).toBe(0);
    expect(out).toMatch(/^[\d.]+ k parameters: decoder, 1 layer of 16, 2 heads; flash, rope, plain, f32\n/);
    expect(out).toContain('kB of text in 2 files; windows of 16, 32 tokens a step; 8 steps\n');
    expect(out).toMatch(/wasm, 1 thread; a step will hold [\d.]+ kB\nwrites to whole; /);
    expect(out).toMatch(/step {7}4 {2}validation [\d.]+ bits\/byte {2}best so far\n/);
    expect(out).toMatch(
      /finished after 8 steps, \d+ s; best validation [\d.]+ bits\/byte at step \d\na 5-gram of the same text has [\d.]+ bits\/byte\nreport {2}.*report.html\n$/,
    );
    // no terminal: the first and the last step, and the file that was written
    expect(err).toMatch(/^step 1\/8 {2}loss 5\.\d+ {2}\d\.\d+ bits\/byte {2}.* tokens\/s {2}.*B {2}rate .* left\n/);
    expect(err).toMatch(/\nstep 8\/8 .* 0 s left\nwrote .*whole.json\n$/);
    expect(readdirSync(join(cwd, 'whole')).sort()).toEqual([
      'best',
      'checkpoint',
      'config.json',
      'metrics.jsonl',
      'report.html',
    ]);
    expect(JSON.parse(readFileSync(join(cwd, 'whole.json'), 'utf8'))).toMatchObject({ reason: 'finished', step: 8 });
    expect(configOf('whole')).toMatchObject({
      model: { width: 16, mechanism: { name: 'flash' } },
      data: { texts: [join(cwd, 'texts')], validation: 0.1 },
      train: { steps: 8, batch: 2, evaluateEvery: 4 },
    });
    // what was predicted is what the ledger saw
    const [predicted] = /a step will hold ([\d.]+ kB)/.exec(out)!.slice(1);
    const peak = Math.max(...metricsOf('whole').map((metric) => (metric.kind === 'step' ? metric.peakBytes : 0)));
    expect(`${(peak / 1000).toPrecision(3)} kB`).toBe(predicted);
  });

  test('stopped by Ctrl-C and resumed: exit code 130, then the weights of a whole run', async () => {
    let asked = 0;
    const heard: boolean[] = [];
    const interruption = { listen: (on: boolean) => void heard.push(on), asked: () => ++asked > 3 };
    const first = await tiny('texts --steps 8 --evaluate-every 4 --out parts --dropout 0.1', { interruption });
    expect(first.code).toBe(130);
    expect(first.out).toMatch(
      /stopped and saved after 3 steps, .*\nresume {2}subquad train --resume parts\nreport .*\n$/,
    );
    expect(heard).toEqual([true, false]);
    const second = await train('--resume parts --device wasm --threads 1');
    expect(second).toMatchObject({ code: 0 });
    expect(second.out).toContain('goes on after step 3\n');
    expect(weightsOf('parts')).toEqual(weightsOf('whole'));
    expect(metricsOf('parts').filter(({ kind }) => kind === 'step')).toHaveLength(8);
  });

  test('the file, and flags over it; f16; the weights exported', async () => {
    const line =
      'text.txt --config good.json --steps 2 --precision f16 --rate 0.02 --set radius=4 --out config --export m.safetensors';
    expect(await tiny(line)).toMatchObject({ code: 0 });
    expect(configOf('config')).toMatchObject({
      model: { width: 16, mechanism: { name: 'sliding-window', options: { radius: 4 } } },
      train: { rate: 0.02, optimiser: { name: 'lion', options: {} }, precision: 'f16' },
    });
    expect(metricsOf('config').find(({ kind }) => kind === 'step')).toMatchObject({ lossScale: 65536 });
    expect(JSON.parse(readFileSync(join(cwd, 'm.json'), 'utf8'))).toMatchObject({ model: { width: 16 }, step: 2 });
    expect(existsSync(join(cwd, 'm.safetensors'))).toBe(true);
  });

  test('a rate that makes it diverge: the first layer whose output is not finite is named, and the last save stays', async () => {
    const { code, err } = await tiny(
      'text.txt --config huge.json --clip 0 --optimiser sgd --warm-up 0 --steps 9 --save-every 1 --out diverged',
    );
    expect(code).toBe(1);
    expect(err).toMatch(
      /\nerror {2}train: the loss \((NaN|Infinity)\) of step (\d+) is not finite; first in (the output of|parameter) \S+\. .*The checkpoint of step \d+ is kept\.\n$/,
    );
    expect(metricsOf('diverged').at(-1)).toMatchObject({ kind: 'stop', reason: 'not finite' });
    expect(readdirSync(join(cwd, 'diverged', 'checkpoint'))).toHaveLength(2);
  });

  test('minutes become a number of steps, which stays', async () => {
    const { code, out } = await tiny('text.txt --minutes 0.02 --warm-up 4 --out timed');
    expect(code).toBe(0);
    expect(out).toContain('; 0.02 minutes\n');
    const { steps, minutes } = configOf('timed').train as { steps: number; minutes: null };
    expect(steps).toBeGreaterThan(4);
    expect(minutes).toBeNull();
    expect(out).toContain(`finished after ${steps} steps`);
  });
});

describe('a run and its files', () => {
  const resume = (folder: string, more = ''): Promise<Ran> =>
    train(`--resume ${folder}${more} --device wasm --threads 1`);

  test('an edited config.json, another checkpoint, lost ones: noticed when resuming and when loading', async () => {
    for (const [name, more] of [
      ['one', ''],
      ['two', ' --seed 7'],
    ] as const)
      expect(
        (
          await tiny(
            `text.txt --steps 4 --evaluate-every 2 --set radius=4 --mechanism sliding-window${more} --out ${name}`,
          )
        ).code,
      ).toBe(0);
    const path = join(cwd, 'one', 'config.json');
    const good = readFileSync(path, 'utf8');
    const before = weightsOf('one');
    writeFileSync(path, good.replace('"radius": 4', '"radius": 5').replace('"rate": 0.002', '"rate": 0.5'));
    const resumed = await resume('one', ' --steps 6');
    expect(resumed).toMatchObject({ code: 1 });
    expect(resumed.err).toContain(
      'was made with other settings: model.mechanism.options.radius was 4, is 5; train.rate was 0.002, is 0.5.',
    );
    const evaluated = await cli(['evaluate', 'one', '--device', 'wasm', '--threads', '1'], { cwd });
    expect(evaluated).toMatchObject({ code: 1, out: '' });
    expect(evaluated.err).toContain('trained with another config.json: model.mechanism.options.radius was 4, is 5.');
    writeFileSync(path, good);
    rmSync(join(cwd, 'one', 'checkpoint'), { recursive: true });
    const lost = await resume('one');
    expect([lost.code, lost.err]).toEqual([1, expect.stringContaining('holds metrics of 4 steps, but no checkpoint')]);
    cpSync(join(cwd, 'two', 'checkpoint'), join(cwd, 'one', 'checkpoint'), { recursive: true });
    const others = await resume('one', ' --steps 6');
    expect([others.code, others.err]).toEqual([1, expect.stringContaining('train.seed was 7, is 0')]);
    expect((weightsOf('one') as unknown[])[1]).toEqual((before as unknown[])[1]);
    rmSync(path);
    const anew = await tiny('text.txt --steps 4 --out one');
    expect([anew.code, anew.err]).toEqual([2, expect.stringContaining('holds metrics of 4 steps already')]);
  });

  test('--steps: fewer than are done are refused and change nothing, more say where the rate goes', async () => {
    expect((await tiny('text.txt --steps 4 --evaluate-every 2 --out length')).code).toBe(0);
    const before = configOf('length');
    const fewer = await resume('length', ' --steps 3');
    expect([fewer.code, fewer.err]).toEqual([
      2,
      expect.stringContaining('has 4 steps done, so it cannot have 3 in all'),
    ]);
    expect(configOf('length')).toEqual(before);
    const more = await resume('length', ' --steps 8');
    expect(more.code).toBe(0);
    expect(more.err).toMatch(
      /^warning {2}train: the run was to have 4 steps and now has 8; .* from 2\.00e-4 in step 4 to [\d.]+e-4 in the next\.\n/m,
    );
    expect(configOf('length').train).toMatchObject({ steps: 8 });
  });

  test('a folder that another process trains in is refused before anything is written', async () => {
    expect((await tiny('text.txt --steps 2 --out held')).code).toBe(0);
    const lock = lockFolder(join(cwd, 'held'));
    const before = configOf('held');
    const { code, err } = await resume('held', ' --steps 4');
    expect([code, err]).toEqual([1, expect.stringContaining(`is trained in by process ${process.pid}`)]);
    expect(configOf('held')).toEqual(before);
    lock.release();
    expect((await resume('held', ' --steps 4')).code).toBe(0);
  });

  test('weights are exported beside their JSON, or training does not begin', async () => {
    writeFileSync(join(cwd, 'mine.json'), '{"model":{},"notes":"mine"}');
    for (const [name, code, why] of [
      ['x.bin', 2, 'weights go to NAME.safetensors and a JSON beside them'],
      ['x.json', 2, 'weights go to NAME.safetensors and a JSON beside them'],
      ['x', 2, 'weights go to NAME.safetensors and a JSON beside them'],
      ['mine.safetensors', 1, 'mine.json" would be replaced, and it is no JSON of an exported model'],
    ] as const) {
      const ran = await tiny(`text.txt --steps 2 --out unexported --export ${name}`);
      expect([ran.code, ran.err, ran.out]).toEqual([code, expect.stringContaining(why), '']);
      expect(existsSync(join(cwd, 'unexported'))).toBe(false);
      expect(existsSync(join(cwd, name))).toBe(false);
    }
    expect(readFileSync(join(cwd, 'mine.json'), 'utf8')).toBe('{"model":{},"notes":"mine"}');
    // an export may be made again
    for (const folder of ['again-1', 'again-2']) {
      expect((await tiny(`text.txt --steps 2 --out ${folder} --export again.safetensors`)).code).toBe(0);
    }
  });
});

describe('refusals: one line on stderr, and no folder', () => {
  test.each<[line: string, code: number, ...parts: string[]]>([
    ['missing.txt', 1, 'missing.txt" cannot be opened (it does not exist)'],
    ['--preset tony', 2, '--preset must be "tiny", "small", "funnel"', 'got "tony" (did you mean "tiny"?)'],
    ['--rate high', 2, '--rate must be a number from 1e-9 to 1000; got "high"'],
    ['--rate 0', 2, '--rate must be a number from 1e-9 to 1000; got 0'],
    ['--memory-limit lots', 2, '--memory-limit must be a number of bytes such as 8GB'],
    ['--config missing.json', 1, 'missing.json" cannot be read (it does not exist)'],
    ['--config no.json', 1, 'no.json" is not JSON'],
    ['--config list.json', 1, 'list.json" must hold an object'],
    [
      '--config wrong.json',
      2,
      'unknown section "modle" (did you mean "model"?)',
      'unknown option "widht" (did you mean "width"?)',
      'layers must be a whole number of at least 1; got 0',
      'data.validation must be a number from 0 to below 1; got 2',
      'unknown option "data.text" (did you mean "data.texts"?)',
      'train.batch must be a whole number of at least 1; got 0',
      'train.rate must be a number above 0; got "high"',
      'train.schedule must be "cosine", "constant" or "inverse-square-root"; got "cosinus" (did you mean "cosine"?)',
    ],
    [
      '--config contradictions.json',
      2,
      'unknown option "beta3" (did you mean "beta1"?)',
      'give train.steps or train.minutes, not both',
      'train.warmUp must be below train.steps; got 10 of 10',
    ],
    ['--steps 5 --minutes 1', 2, 'not both'],
    ['--minutes 1 --warm-up 2', 2, 'steps are timed in the warm-up: train.warmUp must be 3 at least; got 2'],
    ['--mechanism flahs', 2, 'flahs'],
    ['--mechanism linformer', 2, 'linformer'],
    ['--set radius=3', 2, 'flash: unknown option "radius"'],
    ['--position alibi --mechanism performer', 2, 'performer takes no change of scores'],
    ['--width 10 --heads 4', 2, 'width 10 is no multiple of heads 4'],
    [
      'short.txt --length 64',
      2,
      'a window of length 64 takes 65 bytes; the text has 16 bytes',
      'take a length of at most',
    ],
    ['--memory-limit 1MB', 1, 'a step takes'],
    ['--out whole', 1, '"whole" holds a run already; go on with --resume whole'],
    ['--resume texts', 1, 'texts" holds no run (no config.json)'],
    ['--resume whole --out new', 2, 'leave out --out'],
    ['--resume whole --rate 1 --batch 4', 2, 'train.batch was 2, is 4; train.rate was 0.002, is 1'],
    ['--resume whole --minutes 5', 2, 'which fixed their number at 8; change it with --steps'],
    ['other.txt --resume whole', 1, 'was trained on another text: data.texts'],
  ])('%s', async (line, code, ...parts) => {
    const given =
      line.startsWith('--config') || line.includes('resume') || line.includes('.txt') ? line : `text.txt ${line}`;
    const ran = await train(
      `${given} ${line.includes('--out') || line.includes('resume') ? '' : '--out refused'} --device wasm --threads 1`,
    );
    expect(ran.code, ran.err).toBe(code);
    for (const part of parts) expect(ran.err).toContain(part);
    expect(ran.err.match(/\n/g)).toHaveLength(1);
    expect(existsSync(join(cwd, 'refused'))).toBe(false);
  });
});

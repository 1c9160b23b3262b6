// of cli/{generate-options,generate-source,generate-statistics}

import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { createDevice } from '../../../src/devices/index.js';
import { createModel, readConfig } from '../../../src/models/index.js';
import { liveTensors } from '../../../src/tensor/index.js';
import { exportModel } from '../../../src/train/model-file.js';
import { cli, temporaryFolder } from '../io.js';

const wasm = ['--device', 'wasm', '--threads', '1'];
let cwd = '';

/** Models that were never trained. */
beforeAll(async () => {
  cwd = temporaryFolder();
  const device = await createDevice({ kind: 'wasm', threads: 1 });
  for (const [name, own] of [
    ['rope', {}],
    ['learned', { position: 'learned' }],
    ['linear', { mechanism: 'linear-transformer' }],
    ['xl', { kind: 'transformer-xl' }],
  ] as const) {
    const model = readConfig({ length: 16, layers: 1, width: 8, heads: 2, ...own });
    const weights = createModel(model).initialise({ device, seed: 1 });
    await exportModel(join(cwd, `${name}.safetensors`), weights, { model });
    weights.dispose();
  }
  await device.dispose();
});

const run = (...argv: string[]) => cli(['generate', ...argv, ...wasm], { cwd });

test('a text begins with its prompt, and the seed decides how it goes on', async () => {
  const argv = ['rope.safetensors', '--prompt', 'abc', '--tokens', '9'];
  const first = await run(...argv, '--seed', '3');
  expect([first.code, first.err]).toEqual([0, '']);
  expect(first.out.startsWith('abc')).toBe(true);
  expect((await run(...argv, '--seed', '3')).out).toBe(first.out);
  expect((await run(...argv, '--seed', '4')).out).not.toBe(first.out);
});

test('several prompts and samples give the texts that each gives alone', async () => {
  const alone = async (prompt: string, seed: number): Promise<string> =>
    (await run('rope.safetensors', '--prompt', prompt, '--tokens', '9', '--seed', String(seed))).out;
  const several = [
    'rope.safetensors',
    '--prompt',
    'abc, d',
    '--prompt',
    'x',
    '--samples',
    '2',
    '--seed',
    '5',
    '--tokens',
    '9',
  ];
  const [printed, json] = [await run(...several), await run(...several, '--json', '-')];
  expect([printed.code, printed.err]).toEqual([0, '']);
  const { texts, session } = JSON.parse(json.out) as {
    texts: { prompt: string; seed: number; text: string }[];
    session: { rows: number };
  };
  expect(session.rows).toBe(4);
  expect(texts.map(({ prompt, seed }) => [prompt, seed])).toEqual([
    ['abc, d', 5],
    ['abc, d', 6],
    ['x', 5],
    ['x', 6],
  ]);
  for (const { prompt, seed, text } of texts) {
    expect(text).toBe(await alone(prompt, seed));
    expect(printed.out).toContain(`── seed ${seed}\n${text}`);
  }
});

test('temperature 0 does not depend on the seed', async () => {
  const argv = ['rope.safetensors', '--prompt', 'abc', '--tokens', '9', '--temperature', '0'];
  expect((await run(...argv, '--seed', '3')).out).toBe((await run(...argv, '--seed', '4')).out);
});

test('beyond the trained length a ring is taken, and said; caches that are asked for are taken', async () => {
  const { err } = await run('rope.safetensors', '--prompt', 'abc', '--tokens', '40');
  expect(err).toBe('more tokens than the 16 it was trained on: each sees the last 16 (--cache)\n');
  for (const [rows, ...cache] of [
    [43, '--cache', 'fixed'],
    [4 + 8, '--cache', 'sink', '--window', '8'],
    [4, '--window', '4'],
  ] as const) {
    const { code, out } = await run('rope.safetensors', '--prompt', 'abc', '--tokens', '40', ...cache, '--json', '-');
    expect(code).toBe(0);
    const found = JSON.parse(out) as { tokens: number; session: Record<string, unknown>; cacheBytes: number };
    expect(found.tokens).toBe(40);
    expect(found.session).toMatchObject({ maxLength: 43 });
    // keys and values of one layer of 8 numbers
    expect(found.cacheBytes).toBeGreaterThanOrEqual(rows * 8 * 2 * 4);
    expect(found.cacheBytes).toBeLessThan(rows * 8 * 2 * 4 + 512);
  }
});

test('a state of fixed size and a memory go on without a cache', async () => {
  for (const name of ['linear', 'xl']) {
    const { code, err } = await run(`${name}.safetensors`, '--prompt', 'abc', '--tokens', '40');
    expect([code, err]).toEqual([0, '']);
  }
});

test('statistics go to stderr', async () => {
  const { err } = await run('rope.safetensors', '--prompt', 'abc', '--tokens', '8', '--stats');
  expect(err).toMatch(/^8 tokens, \d+ tokens\/s; prompt of 3 .+; memory .+, of it caches .+\n$/);
});

test.each([
  [['rope.safetensors', '--temperature', '-1'], 2, '--temperature must be a number from 0 to 100; got -1'],
  [['rope.safetensors', '--top-p', '0'], 2, '--top-p must be a number from 1e-9 to 1; got 0'],
  [['missing.safetensors'], 1, 'missing.json" cannot be read (it does not exist)'],
  [['nowhere'], 1, 'is no folder of a run and no .safetensors file'],
  [['rope.safetensors', 'more'], 2, 'unexpected argument "more"'],
  [['xl.safetensors', '--cache', 'ring'], 2, 'the memory of kind transformer-xl is its cache; leave cache out'],
  [['linear.safetensors', '--cache', 'ring', '--window', '4'], 1, 'linear-transformer'],
  [
    ['learned.safetensors', '--prompt', 'abc', '--tokens', '40'],
    2,
    'the model learned 16 positions, so a text has at most 16 tokens; got maxLength 43',
  ],
])('refuses %j', async (argv, code, why) => {
  const ran = await run(...argv);
  expect(ran.err).toContain(why);
  expect(ran.code).toBe(code);
});

test('a text that is refused leaves no model behind', async () => {
  const before = liveTensors();
  expect((await run('xl.safetensors', '--cache', 'ring')).code).toBe(2);
  expect(liveTensors()).toBe(before);
});

test.each([
  ['--cache fixed --window 4', 'a fixed cache keeps all keys and has no --window'],
  ['--cache ring --sinks 2', 'a ring cache has no --sinks'],
  ['--cache fixed --sinks 2', 'a fixed cache has no --sinks'],
])('what a cache has no use for is refused: %s', async (line, why) => {
  const { code, out, err } = await run('rope.safetensors', '--tokens', '3', ...line.split(' '));
  expect([code, out]).toEqual([2, '']);
  expect(err).toContain(why);
});

test('texts end before a stop string; beams find one text; what has no use is refused', async () => {
  const argv = ['rope.safetensors', '--prompt', 'abc', '--tokens', '12', '--seed', '3'];
  const whole = (await run(...argv)).out.trimEnd();
  const stop = whole.slice(6, 8);
  const stopped = await run(...argv, '--stop', stop);
  const cut = whole.indexOf(stop, 3);
  expect(stopped.out).toBe(`${whole.slice(0, cut)}\n`);
  expect((await run(...argv, '--min-p', '1')).out).toBe((await run(...argv, '--temperature', '0')).out);
  expect((await run(...argv, '--presence-penalty', '1000')).code).toBe(0);
  const beams = ['rope.safetensors', '--prompt', 'abc', '--tokens', '4', '--beams'];
  expect((await run(...beams, '1')).out).toBe((await run(...beams.slice(0, -1), '--temperature', '0')).out);
  const json = await run(...beams, '3', '--prompt', 'x', '--json', '-');
  expect((JSON.parse(json.out) as { texts: { text: string }[] }).texts.map(({ text }) => text[0])).toEqual(['a', 'x']);
  expect((await run(...beams, '2', '--top-k', '3', '--stop', 'x')).err).toContain('leave --top-k, --stop out');
  expect((await run(...argv, '--length-penalty', '2')).err).toContain('--length-penalty is of --beams');
  expect((await run(...argv, '--stop', '')).err).toContain('--stop needs a value');
});

test('matrices and caches in 16 bits', async () => {
  const argv = ['rope.safetensors', '--prompt', 'abc', '--tokens', '9', '--temperature', '0', '--json', '-'];
  const cacheOf = async (...own: string[]): Promise<number> => {
    const { code, out } = await run(...argv, ...own);
    expect(code).toBe(0);
    return (JSON.parse(out) as { cacheBytes: number }).cacheBytes;
  };
  const [whole, half] = [await cacheOf('--dtype', 'bf16'), await cacheOf('--cache-dtype', 'bf16')];
  expect(half).toBeLessThan(0.75 * whole);
});

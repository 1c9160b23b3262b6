// of cli/{plugin-hooks,plugins}

import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { knownMechanisms, mechanisms } from '../../src/attention/index.js';
import { transpiled } from '../support/transpile.js';
import { cli, temporaryFolder, type Ran } from './io.js';

// plugins import the package; here that is the source, not what was built last
vi.mock('subquad', () => import('../../src/index.js'));
vi.mock('subquad/attention', () => import('../../src/attention/index.js'));
vi.mock('subquad/nn', () => import('../../src/nn/index.js'));

const example = join(import.meta.dirname, '../../examples/sink-window.mjs');
const cwd = temporaryFolder();
const run = (line: string): Promise<Ran> => cli(line.split(' '), { cwd });
const on = '--device wasm --threads 1';

beforeAll(async () => {
  writeFileSync(join(cwd, 'text.txt'), 'a text that is read over and over. '.repeat(60));
  const sizes = '--layers 1 --width 8 --heads 2 --length 16 --batch 2 --steps 2';
  const made = await run(
    `train text.txt --plugin ${example} --mechanism sink-window --set radius=3,sinks=2 ${sizes} ${on} --out run --export small.safetensors`,
  );
  if (made.code !== 0) throw new Error(made.err);
});

/** A line of each command that takes a mechanism, or reads a model that has one. */
const lines = {
  compare: `compare text.txt --mechanisms sink-window:radius=3 --causal --lengths 16 --features text --heads 1 --head-dim 4 ${on}`,
  'compare --model': `compare text.txt --mechanisms flash --model run --lengths 16 --report model.html ${on}`,
  'compare --task perplexity': `compare text.txt --task perplexity --mechanisms sink-window --model run ${on}`,
  plan: 'plan --mechanisms sink-window --causal --length 64 --no-probe',
  'plan train': 'plan train --mechanism sink-window --layers 1 --width 8 --heads 2 --lengths 16 --no-probe',
  mechanisms: 'mechanisms --json',
  show: `show sink-window --length 16`,
  train: `train --resume run --steps 4 ${on}`,
  evaluate: `evaluate run --baseline none ${on}`,
  'evaluate --mechanism': `evaluate --mechanism sink-window text.txt --length 16 --max-bytes 64 --baseline none ${on}`,
  generate: `generate run --prompt a --tokens 3 ${on}`,
  'generate from a file': `generate small.safetensors --prompt a --tokens 3 ${on}`,
  extrapolate: `extrapolate text.txt --mechanism sink-window --set radius=3 --methods alibi --length 8 --steps 2 --batch 1 --layers 1 --width 8 --heads 2 --times 1 --max-bytes 64 ${on}`,
} as const;

test.each(Object.entries(lines))('%s knows the mechanism of a plugin, and forgets it', async (name, line) => {
  const found = await run(`${line} --plugin ${example}`);
  expect(found).toMatchObject({ code: 0, err: expect.not.stringContaining('error') });
  const said = name.startsWith('generate') ? 'a' : name === 'compare --model' ? 'flash' : 'sink-window';
  expect(name === 'train' ? 'sink-window' : found.out).toContain(said);
  expect(knownMechanisms()).toEqual(mechanisms);
});

test.each(Object.entries(lines).filter(([, line]) => / run|small/.test(line)))(
  '%s without it names mechanism and plugin',
  async (_, line) => {
    const { code, out, err } = await run(line);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(
      `mechanism "sink-window" came from ${example}, which is not loaded: pass --plugin ${example}`,
    );
  },
);

test('every command that takes a mechanism takes --plugin, the others refuse it', async () => {
  const { out } = await cli(['--help']);
  const all = [...out.matchAll(/^ {2}([a-z]+) +[a-z]/gm)].map(([, name]) => name!);
  expect(all.length).toBeGreaterThan(9);
  for (const name of all) {
    const help = (await cli([name, '--help'])).out;
    const takes = !['bench', 'doctor', 'run', 'verify', 'export'].includes(name);
    expect([name, help.includes('--plugin FILE.mjs')]).toEqual([name, takes]);
    if (!takes) expect((await cli([name, '--plugin', example])).err).toContain('unknown option "--plugin"');
  }
});

describe('as a process, with files that no test runner has in hand', () => {
  const dist = transpiled();
  const definition = readFileSync(example, 'utf8');
  const files: Readonly<Record<string, string>> = {
    'empty.mjs': '',
    'throws.mjs': "throw new TypeError('no luck');",
    'syntax.mjs': 'export const = 3;',
    'clash.mjs': definition.replace("'sink-window'", "'flash'"),
    'mine, again.mjs': definition.replace("'The first", "'Another, the first"),
    'wrong.mjs': definition.replace("'patterns'", "'mine'"),
    'fails.mjs': definition.replace('pattern: (_, { sinks, radius }) =>', 'pattern: ({ x }) => x.y &&'),
    'other.mjs': "export { flash as mine } from './copy/dist/attention/index.js';",
    // many command lines in one process: a start takes longer than they do
    'lines.mjs': `
import { importHere } from ${JSON.stringify(join(dist, 'cli/import-here.js'))};
import { commandLine } from ${JSON.stringify(join(dist, 'cli/command-line.js'))};
importHere();
const found = [];
for (const argv of JSON.parse(process.argv[2])) {
  const texts = { out: '', err: '' };
  const io = { out: (text) => (texts.out += text), err: (text) => (texts.err += text), cwd: process.cwd(), env: {}, columns: 80 };
  found.push({ code: await commandLine(argv, { ...io, uninterrupted: (body) => body() }), ...texts });
}
console.log(JSON.stringify(found));`,
  };
  beforeAll(() => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
    copyFileSync(example, join(cwd, 'mine.mjs'));
    cpSync(dist, join(cwd, 'copy/dist'), { recursive: true });
    copyFileSync(join(dist, '../package.json'), join(cwd, 'copy/package.json'));
  });
  const node = async (...argv: string[]) => (await promisify(execFile)(process.execPath, argv, { cwd })).stdout;

  test('what is refused, and by which sentence', async () => {
    const show = (...paths: string[]) => [
      'show',
      'sink-window',
      '--length',
      '8',
      ...paths.flatMap((path) => ['--plugin', path]),
    ];
    const clash = 'there is a mechanism "sink-window" in';
    const cases: readonly (readonly [paths: readonly string[], code: number, sentence: string])[] = [
      [['nowhere.mjs'], 1, 'no such file'],
      [['.'], 1, 'no such file'],
      [['empty.mjs'], 2, 'exports no mechanism; export what defineAttention, defineMixer or defineFeedForward returns'],
      [['throws.mjs'], 1, 'cannot be loaded: no luck'],
      [['syntax.mjs'], 1, 'cannot be loaded: '],
      [['clash.mjs'], 2, 'there is a mechanism "flash" in subquad already'],
      [['wrong.mjs'], 1, 'cannot be loaded: defineAttention: sink-window: family must be'],
      [['fails.mjs'], 1, 'failed: TypeError: '],
      [['other.mjs'], 2, '"flash" comes from another copy of subquad'],
      [['mine.mjs', 'mine, again.mjs'], 2, `${clash} ${join(cwd, 'mine.mjs')} already`],
    ];
    // after each, the name is free again
    const good = [show('mine.mjs', 'mine.mjs'), show('mine, again.mjs')];
    const argv = [...cases.map(([paths]) => show(...paths)), ...good];
    const found = JSON.parse(await node('lines.mjs', JSON.stringify(argv))) as Ran[];
    cases.forEach(([paths, code, sentence], i) => {
      const { err, ...rest } = found[i]!;
      expect(rest).toEqual({ code, out: '' });
      expect(err.startsWith(`error  subquad show: --plugin ${paths.at(-1)}`), err).toBe(true);
      expect(err).toContain(sentence);
      expect(err.trim().split('\n')).toHaveLength(1);
    });
    expect(found.slice(-2)).toMatchObject([
      { code: 0, err: '', out: expect.stringContaining('sink-window  The first tokens') },
      { code: 0, err: '', out: expect.stringContaining('sink-window  Another, the first') },
    ]);
  });

  test('a run goes on with a plugin that was moved', async () => {
    const line = `train --resume run --steps 6 --plugin mine.mjs ${on}`;
    expect(await node(join(dist, 'cli/main.js'), ...line.split(' '))).toContain('finished after 6 steps');
    const { model } = JSON.parse(readFileSync(join(cwd, 'run/config.json'), 'utf8')) as {
      model: { mechanism: { plugin: string } };
    };
    expect(model.mechanism.plugin).toBe(join(cwd, 'mine.mjs'));
  });

  test('a plugin anywhere imports the package that runs, in the thread that works', async () => {
    const line = `generate run --prompt a --tokens 3 --plugin=mine.mjs ${on}`;
    expect(await node(join(dist, 'cli/main.js'), ...line.split(' '))).toMatch(/^a/);
  });
});

test('a feed-forward layer of a plugin takes turns with another, and is missed without it', async () => {
  const narrow = join(import.meta.dirname, 'narrow.mjs');
  const line = `train text.txt --layers 2 --width 8 --heads 2 --length 16 --batch 2 --steps 2 --plugin ${narrow} ${on}`;
  const made = await run(`${line} --out turns --feed-forward dense,narrow:units=3`);
  expect(made).toMatchObject({ code: 0, err: expect.not.stringContaining('error') as string });
  expect(made.out).toContain('flash, feed-forward dense and narrow, rope');
  const { model } = JSON.parse(readFileSync(join(cwd, 'turns/config.json'), 'utf8')) as {
    model: { pattern: { feedForward: object }[] };
  };
  expect(model.pattern.map(({ feedForward }) => feedForward)).toMatchObject([
    { name: 'dense', options: {} },
    { name: 'narrow', options: { units: 3 }, plugin: narrow },
  ]);
  const bare = await run(`train --resume turns --steps 4 ${on}`);
  expect(bare).toMatchObject({ code: 2 });
  expect(bare.err).toContain(`feed-forward "narrow" came from ${narrow}, which is not loaded`);
  const strange = await run(`${line} --out none --feed-forward narow:units=3`);
  expect(strange.err).toContain('--feed-forward: unknown feed-forward "narow" (did you mean "narrow"?)');
  const twice = await run(`${line} --out none --feed-forward narrow:unit=3:units=0`);
  expect(twice.err).toMatch(/narrow: unknown option "unit" .*units must be a whole number of at least 1; got 0/);
});

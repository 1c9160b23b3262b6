import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { presets, readConfig, type Preset } from '../../src/models/index.js';
import { full } from '../support/full.js';
import { cli, temporaryFolder } from './io.js';

const cwd = temporaryFolder();
const run = (line: string) => cli(line.split(' '), { cwd });
const sizes = '--width 16 --heads 2 --batch 2 --warm-up 1 --evaluate-every 2 --device wasm --threads 1';
// content decides what layers of these keep, so none of them decodes step by step
const stepless = new Set(['routing', 'sinkhorn']);
const stacks = Object.entries<Preset>(presets).filter(([, { paper }]) => paper !== undefined);
const fewest = new Set(['perceiver-ar']);

beforeAll(() => {
  const lines = Array.from({ length: 700 }, (_, i) => `Line ${i} has ${i * i} words.\n`);
  writeFileSync(join(cwd, 'text.txt'), lines.join(''));
  const examples = Array.from({ length: 40 }, (_, i) => `${'abc'.repeat(i % 5)}${i % 2}\t${i % 2 ? 'odd' : 'even'}`);
  writeFileSync(join(cwd, 'classes.tsv'), ['text\tlabel', ...examples].join('\n'));
});

test.each(stacks.filter(([name]) => full || fewest.has(name)))(
  '%s trains from its command, goes on, is evaluated, and goes on with a text where it is a decoder',
  async (name, { model, objective }) => {
    const classes = objective === 'classify';
    const data = classes ? 'classes.tsv' : 'text.txt';
    const trained = await run(`train ${data} --preset ${name} --steps 2 ${sizes} --out ${name}`);
    expect([trained.code, trained.out]).toEqual([0, expect.stringContaining('finished after 2 steps')]);
    const resumed = await run(`train --resume ${name} --steps 3 --device wasm --threads 1`);
    expect([resumed.code, resumed.out]).toEqual([0, expect.stringContaining('finished after 3 steps')]);
    const { length, kind } = readConfig(model);
    const some = classes ? '' : ` --max-bytes ${length}`;
    const evaluated = await run(`evaluate ${name}${some} --device wasm --threads 1 --json scores.json`);
    expect([evaluated.code, evaluated.err]).toEqual([0, expect.not.stringContaining('error')]);
    expect(readFileSync(join(cwd, 'scores.json'), 'utf8')).toContain(classes ? '"accuracy"' : '"bitsPerByte"');
    const generated = await run(`generate ${name} --prompt Line --tokens 3 --device wasm --threads 1`);
    const goesOn = kind === 'decoder' && !stepless.has(name);
    expect([generated.code === 0, generated.out.startsWith('Line')]).toEqual([goesOn, goesOn]);
    if (kind === 'encoder' && !classes) expect(generated.err).toContain('take a model of kind decoder');
  },
);

test.each([
  ['--preset funnel --layers 3', '--layers: the 14 layers are listed one by one'],
  ['--preset funnel --kind decoder --objective next', 'pooling changes the number of rows, so it is for encoders'],
  ['--preset funnel --objective next', 'kind encoder sees the tokens that it would predict'],
  ['--preset image-transformer --length 1024', 'the image of 28 × 28 pixels must hold the length 1024'],
  ['--preset token-learner --residual reversible', 'changes the number of rows'],
])('%s is refused', async (line, why) => {
  const { code, err } = await run(`train text.txt --steps 2 --out none ${line}`);
  expect([code > 0, err]).toEqual([true, expect.stringContaining(why)]);
});

test('help says what each is, and mechanisms lists them', async () => {
  const { out } = await run('train --help');
  for (const name of Object.keys(presets)) expect(out).toContain(`  ${name} `);
  expect((await run('mechanisms')).out).toContain('Whole stacks, train --preset NAME');
  const { out: json } = await run('mechanisms --json');
  const all = JSON.parse(json) as readonly { readonly name: string; readonly level: string }[];
  expect(all.filter(({ level }) => level === 'stack').map(({ name }) => name)).toEqual(stacks.map(([name]) => name));
});

test('rows that have no partner are named before training, and in what it writes', async () => {
  const even = await run(
    `train text.txt --preset funnel --length 14 --steps 1 ${sizes.replace('--warm-up 1', '--warm-up 0')} --out even --json even.json`,
  );
  const first = 'layer 4 makes 7 rows of 14: the last one has no partner and is left out';
  expect([even.code, even.out]).toEqual([0, expect.stringContaining(first)]);
  expect((JSON.parse(readFileSync(join(cwd, 'even.json'), 'utf8')) as { notes: unknown }).notes).toEqual([first]);
});

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { parseMetrics, type LayersMetric, type StepMetric } from '../../src/train/metrics.js';
import { cli, temporaryFolder, type Ran } from './io.js';

const cwd = temporaryFolder();
const sizes = '--layers 2 --width 16 --heads 2 --length 16 --batch 2';
const on = '--device wasm --threads 1';
const run = (line: string): Promise<Ran> => cli(line.split(' '), { cwd });

beforeAll(async () => {
  writeFileSync(join(cwd, 'text.txt'), 'Call me Ishmael. Some years ago, never mind how long precisely. '.repeat(40));
  const line = `train text.txt ${sizes} --steps 6 --evaluate-every 3 --out run ${on}`;
  const made = await run(`${line} --feed-forward dense,switch:experts=4:capacity=1`);
  if (made.code !== 0) throw new Error(made.err);
});

test('what routers say is in the metrics at every evaluation, their losses in every step, and both in the report', () => {
  const metrics = parseMetrics(readFileSync(join(cwd, 'run/metrics.jsonl'), 'utf8'));
  const layers = metrics.filter((one): one is LayersMetric => one.kind === 'layers');
  expect(layers.map(({ step, steps }) => [step, steps])).toEqual([
    [3, 3],
    [6, 3],
  ]);
  for (const { values } of layers) {
    expect(Object.keys(values).sort()).toEqual(['dropped.1', 'entropy.1', 'load.1']);
    expect(values['load.1']!.reduce<number>((sum, share) => sum + share!, 0)).toBeCloseTo(1, 5);
    expect(values['dropped.1']![0]).toBeGreaterThanOrEqual(0);
    expect(values['entropy.1']![0]).toBeGreaterThan(0);
  }
  const steps = metrics.filter((one): one is StepMetric => one.kind === 'step');
  // 0.01 times a number near 1
  for (const { losses } of steps) expect(losses!['balance']).toBeGreaterThan(0.005);
  expect(readFileSync(join(cwd, 'run/report.html'), 'utf8')).toContain('Load of the busiest expert');
});

test('the model is evaluated, goes on with texts, and is planned for', async () => {
  const evaluated = await run(`evaluate run --baseline none ${on}`);
  expect(evaluated).toMatchObject({ code: 0 });
  expect(evaluated.out).toContain('feed-forward dense and switch');
  expect(await run(`generate run --prompt Call --tokens 5 ${on}`)).toMatchObject({ code: 0 });
  const planned = await run(
    `plan train ${sizes.replace('--length', '--lengths')} --feed-forward mixtral:experts=4 --no-probe`,
  );
  expect(planned).toMatchObject({ code: 0, err: '' });
});

test('a layer of experts is shown, and what cannot be is refused in a sentence', async () => {
  const { out } = await run('mechanisms --json');
  const all = JSON.parse(out) as { name: string; level: string; options: Record<string, { default: unknown }> }[];
  expect(all.find(({ name }) => name === 'switch')).toMatchObject({
    level: 'feed-forward',
    options: { experts: { default: 8 }, capacity: { default: 1.25 } },
  });
  const shown = await run('show switch:experts=16');
  expect(shown).toMatchObject({ code: 0 });
  expect(shown.out).toContain('arXiv:2101.03961');
  expect(shown.out).toContain('(here 16)');
  // 4096 rows of 768 features, 3072 hidden units, 16 logits
  expect(shown.out).toContain((4096 * 768 * (16 + 2 * 3072 + 1)).toLocaleString('en'));
  const many = await run(`train text.txt ${sizes} --steps 1 --out none --feed-forward switch:experts=17 ${on}`);
  expect(many).toMatchObject({ code: 2 });
  expect(many.err).toContain('experts must be at most the 16 tokens of a group; got 17: take fewer, or longer groups');
  const comma = await run(
    `train text.txt ${sizes} --steps 1 --out none --feed-forward switch:experts=4,capacity=1 ${on}`,
  );
  expect(comma.err).toContain('--feed-forward: unknown feed-forward "capacity=1"');
});

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseMetrics } from '../../src/train/metrics.js';
import { full } from '../support/full.js';
import { noWebGpu } from '../support/webgpu.js';
import { cli, temporaryFolder, type Ran } from './io.js';

const cwd = temporaryFolder();
const run = (line: string): Promise<Ran> => cli(line.split(' '), { cwd });
/** A software driver takes half a minute for the texts of one step. */
const wanted = full || process.env['SUBQUAD_DEVICE'] === 'webgpu';

test('doctor names the adapter, or why there is none', async () => {
  const { code, out } = await run('doctor --device wasm --threads 1 --json -');
  expect(code).toBe(0);
  const { webgpu } = JSON.parse(out) as { webgpu: string };
  if (noWebGpu === undefined) expect(webgpu).not.toMatch(/^none/);
  else expect(webgpu).toMatch(/^none: (no adapter|Node has no WebGPU)/);
});

test.skipIf(noWebGpu !== undefined || !wanted)(
  `train on WebGPU: the losses of WebAssembly, and the folder goes on there ${noWebGpu ?? ''}`,
  async () => {
    writeFileSync(join(cwd, 'text.txt'), Array.from({ length: 60 }, (_, i) => `Line ${i}, ${i * i}.\n`).join(''));
    const sizes = '--layers 1 --width 16 --heads 2 --length 16 --batch 2 --evaluate-every 2';
    const losses: number[][] = [];
    for (const [folder, device] of [
      ['gpu', 'webgpu'],
      ['cpu', 'wasm'],
    ] as const) {
      const ran = await run(`train text.txt ${sizes} --steps 2 --out ${folder} --device ${device}`);
      expect(ran.code, ran.err).toBe(0);
      const metrics = parseMetrics(readFileSync(join(cwd, folder, 'metrics.jsonl'), 'utf8'));
      losses.push(metrics.flatMap((one) => (one.kind === 'step' ? [one.loss!] : [])));
    }
    const [gpu, cpu] = losses as [number[], number[]];
    expect(gpu).toHaveLength(2);
    // to the digits that the command prints; the numbers themselves are held to budgets where models are tested
    expect(gpu.map((loss) => loss.toFixed(3))).toEqual(cpu.map((loss) => loss.toFixed(3)));
    // a folder is the same for every device
    const { code, out } = await run('evaluate gpu --device wasm --threads 1');
    expect(code).toBe(0);
    expect(out).toMatch(/bits/);
  },
);

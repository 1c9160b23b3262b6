import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { bundlers } from './bundlers.js';
import { missing, openChromium, SOFTWARE_GPU } from './chromium.js';
import { installed } from './installed.js';

const folder = installed();
const chromium = openChromium(SOFTWARE_GPU);

beforeAll(() => bundlers['esbuild']!(join(folder, 'gpu.mjs'), join(folder, 'gpu.js')));

interface Outcome {
  readonly wasm: readonly (readonly number[])[];
  readonly webgpu: readonly (readonly number[])[];
  readonly reasons: readonly string[];
}

/** A mechanism of each family that has no kernels of its own, and those that have. */
const mechanisms: Readonly<Record<string, object>> = {
  standard: {},
  longformer: { radius: 16, globals: [0] },
  linformer: { projectedLength: 24 },
  performer: { numFeatures: 32 },
  reformer: { chunkLength: 24, rounds: 2 },
};

describe.skipIf(missing)(`WebGPU in Chromium${missing === undefined ? '' : ` (${missing})`}`, () => {
  const run = async (part: string, options: object = {}, worker = false): Promise<Outcome> => {
    const argument = { part, ...options };
    const found = (await chromium.run(folder, 'gpu.js', { worker, argument })) as Outcome;
    expect(found.reasons.join(' ')).toContain('WebGPU, as asked.');
    return found;
  };
  /**
   * Both compute in f32, each within 96 · 2⁻²⁴ of the largest number: sums are over 96 positions at most. What numbers are held to in
   * float64 is told by the suites of Node.
   */
  const agree = ({ wasm, webgpu }: Outcome): void => {
    expect(webgpu.length).toBe(wasm.length);
    wasm.forEach((want, i) => {
      const largest = Math.max(...want.map(Math.abs));
      const error = Math.max(...want.map((x, at) => Math.abs(x - webgpu[i]![at]!)));
      expect(error, `result ${i} of ${wasm.length}`).toBeLessThanOrEqual(2 * 96 * 2 ** -24 * largest);
    });
  };

  test.each([false, true])('attend, forward and backward, in a worker: %s', async (worker) =>
    agree(await run('attend', {}, worker)),
  );

  test.each(Object.entries(mechanisms))('%s, forward and backward', async (name, options) =>
    agree(await run('mechanism', { name, options })),
  );

  test('three steps of training', async () => agree(await run('training')));

  test('the model of the package goes on with a text as on the processor', async () => {
    const { wasm, webgpu } = await run('generate', { weights: '/node_modules/subquad/assets/model.safetensors' });
    expect(webgpu).toEqual(wasm);
  });
});

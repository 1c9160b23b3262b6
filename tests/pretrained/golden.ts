import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { sizeOf } from '../../src/core/shape.js';
import {
  loadPretrained,
  runPretrained,
  type HostArray,
  type LoadPretrainedOptions,
} from '../../src/pretrained/index.js';
import { disposeAll } from '../../src/tensor/index.js';
import { hostTensor, inMemory, Safetensors } from '../../src/train/checkpoint/index.js';
import { readTensors } from '../../src/train/read-tensors.js';
import { budgetOf, expectClose } from '../support/compare.js';
import type { OnDevice } from '../support/devices.js';

/** Small ones lie in the repository; all of them beside it, on machines that have them. */
const places = ['../goldens/', '../../../shared/golden/hf/'].map((place) =>
  fileURLToPath(new URL(place, import.meta.url)),
);

/** The folder of a golden model; undefined where this machine has none. */
export const goldenFolder = (name: string): string | undefined =>
  places.map((place) => join(place, name)).find((folder) => existsSync(join(folder, 'golden.safetensors')));

export interface GoldenOptions extends Omit<LoadPretrainedOptions, 'device'> {
  /** Results that are not compared, and why: each a sentence. */
  readonly without?: Readonly<Record<string, string>>;
  /**
   * Largest error of the published code in float32 against its float64, where meta.json (`float32_run_gap`) does not say it. Default: 5e-6,
   * half of what steps that stayed in float32 leave there.
   */
  readonly plain?: number;
  /** Rows of a result that has fewer than tokens, of a text of so many; default all. */
  readonly rows?: (tokens: number, rows: number) => number;
}

/** The numbers of a golden file by name. */
export async function goldenOf(folder: string): Promise<ReadonlyMap<string, HostArray>> {
  const path = join(folder, 'golden.safetensors');
  const file = await Safetensors.open(inMemory(readFileSync(path)), path);
  const all = new Map<string, HostArray>();
  for (const [name, { dtype, shape }] of file.entries) {
    all.set(name, { data: hostTensor(name, await file.read(name), dtype).data, shape });
  }
  return all;
}

/**
 * Loads a golden folder, runs its `in.*` and compares every `out.*` at real tokens, each with its own budget: 2 × (error of plain float32
 * code + ε·max|out|). Then the weights go back to the published names, bit by bit.
 */
export async function checkGolden(folder: string, { device }: OnDevice, options: GoldenOptions = {}): Promise<void> {
  const { without = {}, plain, rows, ...loading } = options;
  const golden = await goldenOf(folder);
  const meta = JSON.parse(readFileSync(join(folder, 'meta.json'), 'utf8')) as { float32_run_gap?: number };
  const loaded = await loadPretrained(folder, { device, ...loading });
  const inputs = Object.fromEntries(
    [...golden].filter(([name]) => name.startsWith('in.')).map(([name, x]) => [name.slice(3), x]),
  );
  const outputs = runPretrained(loaded, inputs);
  for (const [name, want] of golden) {
    if (!name.startsWith('out.') || name.slice(4) in without) continue;
    const got = outputs[name.slice(4)];
    if (got === undefined) throw new Error(`${folder}: ${name} is not among ${Object.keys(outputs).join(', ')}`);
    const real = realRows(name.slice(4), want, inputs, rows);
    const oracle = real(want.data, want.shape);
    const error = plain ?? meta.float32_run_gap ?? 5e-6;
    const budget = budgetOf(oracle) + 2 * error;
    expectClose(`${loaded.cls.name} ${name}`, real(await got.data(), got.shape), oracle, { budget });
  }
  const file = await Safetensors.open(
    inMemory(readFileSync(join(folder, 'model.safetensors'))),
    join(folder, 'model.safetensors'),
  );
  const weights = await readTensors(file, { device });
  const back = loaded.map.toTheirs(loaded.model.stateDict());
  for (const [name, x] of back) expect(await x.data(), name).toEqual(await weights.get(name)?.data());
  disposeAll([outputs, weights, back]);
  loaded.model.dispose();
}

type Rows = (data: ArrayLike<number>, shape: readonly number[]) => number[];

/** Of results `[B, L, …]` those of real tokens; what has more rows than tokens was padded in the published code. */
function realRows(
  name: string,
  want: HostArray,
  inputs: Readonly<Record<string, HostArray | undefined>>,
  fewer?: GoldenOptions['rows'],
): Rows {
  const ofDecoder = inputs['decoder_input_ids'] !== undefined && !name.startsWith('encoder_');
  const mask = inputs[ofDecoder ? 'decoder_attention_mask' : 'attention_mask'];
  const tokens = inputs[ofDecoder ? 'decoder_input_ids' : 'input_ids'];
  const [B, L] = tokens?.shape ?? [];
  if (B === undefined || L === undefined || want.shape.length < 3 || want.shape[0] !== B) {
    return (data) => Array.from(data);
  }
  const given = want.shape[1]!;
  if (given < L) {
    if (fewer === undefined) return (data) => Array.from(data);
    return (data, shape) =>
      Array.from({ length: B }, (_, b) => {
        const real = mask ? Array.from(mask.data).slice(b * L, (b + 1) * L) : new Array<number>(L).fill(1);
        const rows = fewer(
          real.reduce((sum, one) => sum + Number(one), 0),
          given,
        );
        const per = sizeOf(shape.slice(1));
        return Array.from(data).slice(b * per, b * per + (rows * per) / given);
      }).flat();
  }
  return (data, shape) => {
    const size = sizeOf(shape.slice(2));
    return Array.from({ length: B * L }, (_, i) => i).flatMap((i) => {
      if (mask !== undefined && mask.data[i] === 0) return [];
      const at = (Math.floor(i / L) * shape[1]! + (i % L)) * size;
      return Array.from({ length: size }, (_, j) => data[at + j]!);
    });
  };
}

/** A test of a golden folder: skipped, and reported so, where this machine does not have it. */
export function testGolden(name: string, on: OnDevice, options: GoldenOptions = {}): void {
  const folder = goldenFolder(name);
  (folder === undefined ? test.skip : test)(`${name} gives every published result, and the file back`, () =>
    checkGolden(folder!, on, options),
  );
}

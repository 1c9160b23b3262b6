import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import {
  loadPretrained,
  readGolden,
  runPretrained,
  type HostArray,
  type LoadPretrainedOptions,
  type Pretrained,
} from '../../src/pretrained/index.js';
import { realRows } from '../../src/pretrained/golden.js';
import { disposeAll } from '../../src/tensor/index.js';
import { inMemory, openSafetensors, Safetensors } from '../../src/train/checkpoint/index.js';
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
   * Largest error of the published code in float32 against its float64, where meta.json (`float32_run_gap`) does not say it. A function finds
   * it by the formulas in plain float32. Default: 5e-6, so that the budget, twice that, is the noise of the golden itself: whoever made the
   * older folders kept some steps in float32 and says of them "expect up to about 1e-5 of noise" (`../shared/golden/hf/README.md`); it is
   * theirs, and was not measured here.
   */
  readonly plain?: number | ((golden: PlainCall) => Promise<number>);
}

/** What plain float32 code is run on. */
export interface PlainCall {
  readonly loaded: Pretrained;
  readonly golden: ReadonlyMap<string, HostArray>;
}

/** The numbers of a golden file by name, `in.`, `out.` and `rand.` before it. */
export async function goldenOf(folder: string): Promise<ReadonlyMap<string, HostArray>> {
  const golden = await openSafetensors(join(folder, 'golden.safetensors'));
  const { inputs, outputs, draws } = await readGolden(golden);
  await golden.close();
  const all = Object.entries({ in: Object.entries(inputs), out: [...outputs], rand: [...draws] });
  return new Map(all.flatMap(([part, own]) => own.map(([name, x]) => [`${part}.${name}`, x as HostArray] as const)));
}

/**
 * Loads a golden folder, runs its `in.*` and compares every `out.*` at real tokens, each with its own budget: 2 × (error of plain float32
 * code + ε·max|out|). Then the weights go back to the published names, bit by bit.
 */
export async function checkGolden(folder: string, { device }: OnDevice, options: GoldenOptions = {}): Promise<void> {
  const { without = {}, plain, ...loading } = options;
  const golden = await openSafetensors(join(folder, 'golden.safetensors'));
  const { inputs, outputs: wanted, draws } = await readGolden(golden);
  await golden.close();
  const meta = JSON.parse(readFileSync(join(folder, 'meta.json'), 'utf8')) as { float32_run_gap?: number };
  const loaded = await loadPretrained(folder, { device, ...loading });
  const found = typeof plain === 'function' ? await plain({ loaded, golden: await goldenOf(folder) }) : plain;
  const outputs = runPretrained(loaded, inputs, { draws: Object.fromEntries(draws) });
  for (const [name, want] of wanted) {
    if (name in without) continue;
    const got = outputs[name];
    if (got === undefined) throw new Error(`${folder}: ${name} is not among ${Object.keys(outputs).join(', ')}`);
    const real = realRows(name, want, inputs, loaded.family.pooled);
    const oracle = real(want);
    const error = found ?? meta.float32_run_gap ?? 5e-6;
    const budget = budgetOf(oracle) + 2 * error;
    expectClose(`${loaded.cls.name} ${name}`, real({ data: await got.data(), shape: got.shape }), oracle, { budget });
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

/** A test of a golden folder: skipped, and reported so, where this machine does not have it. */
export function testGolden(name: string, on: OnDevice, options: GoldenOptions = {}): void {
  const folder = goldenFolder(name);
  (folder === undefined ? test.skip : test)(`${name} gives every published result, and the file back`, () =>
    checkGolden(folder!, on, options),
  );
}

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FormatError, NumericsError, OptionError, ShapeError } from '../../src/core/errors.js';
import type { Device } from '../../src/devices/index.js';
import { createModel, readConfig, type LanguageModel } from '../../src/models/index.js';
import { transposed, weightMap } from '../../src/nn/index.js';
import { transpose } from '../../src/ops/index.js';
import { disposeAll, scope, tensor } from '../../src/tensor/index.js';
import { openSafetensors, saveCheckpoint, sourceOf } from '../../src/train/checkpoint/index.js';
import { readTensors } from '../../src/train/read-tensors.js';
import { exportModel, loadModel } from '../../src/train/model-file.js';
import { temporaryFolder } from '../data/folder.js';
import { storedAs } from '../oracles/storage.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';

const config = readConfig({ vocabulary: 7, layers: 1, width: 8, heads: 2, length: 5, dropout: 0.1 });

const made = (device: Device, seed: number): LanguageModel => createModel(config).initialise({ device, seed });

async function numbersOf(model: LanguageModel): Promise<number[]> {
  const all = await Promise.all([...model.stateDict().values()].map((one) => one.data()));
  return all.flatMap((one) => [...one]);
}

/** A folder as a run leaves it, with weights of other seeds in `checkpoint` and `best`. */
async function runFolder(device: Device, seeds: Readonly<Record<string, number>>): Promise<string> {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ model: config, note: 'mine' }));
  for (const [name, seed] of Object.entries(seeds)) {
    const model = made(device, seed);
    const tensors = [...model.stateDict()].map(([key, tensor]) => [`model.${key}`, sourceOf(tensor)] as const);
    const other = { dtype: 'f32', shape: [1], bytes: Float32Array.of(1) } as const;
    await saveCheckpoint(join(folder, name), {
      tensors: { ...Object.fromEntries(tensors), 'optimiser.x': other },
      state: 0,
    });
    model.dispose();
  }
  return folder;
}

onEveryDevice((on) => {
  const loaded = async (path: string, weights?: 'best' | 'last'): Promise<number[]> => {
    const { model, json } = await loadModel(path, { device: on.device, ...(weights && { weights }) });
    expect(json).toMatchObject({ note: 'mine' });
    const numbers = await numbersOf(model);
    model.dispose();
    return numbers;
  };
  const drawn = async (seed: number): Promise<number[]> => {
    const model = made(on.device, seed);
    const numbers = await numbersOf(model);
    model.dispose();
    return numbers;
  };

  test('the best weights of a run, or the last', async () => {
    const folder = await runFolder(on.device, { checkpoint: 1, best: 2 });
    expectSameBits('best', await loaded(folder), await drawn(2));
    expectSameBits('last', await loaded(folder, 'last'), await drawn(1));
    expectSameBits('only', await loaded(await runFolder(on.device, { checkpoint: 3 })), await drawn(3));
  });

  test('exported in f16 and loaded: every number is the nearest f16', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'small.safetensors');
    const model = made(on.device, 4);
    await exportModel(path, model, { model: config, note: 'mine' });
    model.dispose();
    expect(readdirSync(folder).sort()).toEqual(['small.json', 'small.safetensors']);
    const wanted = (await drawn(4)).map(storedAs.f16);
    expect(readFileSync(path).length).toBeLessThan(2 * wanted.length + 2000);
    expectSameBits('f16', await loaded(path), wanted);
  });

  test('weights by names and layouts of others go out, and come back, by a map', async () => {
    const path = join(temporaryFolder(), 'theirs.safetensors');
    const map = weightMap([
      ['wte.weight', 'ends.embedding.weight'],
      ['h.{i}.proj.weight', 'stack.layers.{i}.attention.out.weight', transposed],
      ['rest.{*}', '{*}'],
    ]);
    const model = made(on.device, 4);
    await exportModel(path, model, { model: config, note: 'mine' }, { map });
    const ours = await model.stateDict().get('stack.layers.0.attention.out.weight')!.data();
    model.dispose();
    const file = await openSafetensors(path);
    expect([...file.entries.keys()]).toEqual(
      expect.arrayContaining(['wte.weight', 'h.0.proj.weight', 'rest.stack.norm.weight']),
    );
    const stored = scope(() => tensor(ours, [8, 8], { device: on.device }));
    const turned = scope(() => transpose(stored));
    const theirs = await readTensors(file, { device: on.device });
    expectSameBits(
      'turned',
      Float32Array.from(await turned.data(), storedAs.f16),
      await theirs.get('h.0.proj.weight')!.data(),
    );
    disposeAll([stored, turned, theirs]);
    await file.close();
    const wanted = (await drawn(4)).map(storedAs.f16);
    const bytes = readFileSync(path);
    for (const from of [path, bytes]) {
      const { model: back } = await loadModel(from, { device: on.device, map, json: { model: config as never } });
      expectSameBits('f16', await numbersOf(back), wanted);
      back.dispose();
    }
    await expect(loadModel(path, { device: on.device })).rejects.toThrow('unexpected');
    const few = weightMap([['wte.weight', 'ends.embedding.weight']]);
    const other = made(on.device, 4);
    await expect(exportModel(path, other, { model: config }, { map: few })).rejects.toThrow(ShapeError);
    other.dispose();
  });

  test('exported weights that were changed or cut short are refused', async () => {
    const path = join(temporaryFolder(), 'small.safetensors');
    const model = made(on.device, 4);
    await exportModel(path, model, { model: config });
    model.dispose();
    const bytes = readFileSync(path);
    const cut = bytes.subarray(0, bytes.length - 2);
    writeFileSync(path, cut);
    await expect(loadModel(path, { device: on.device })).rejects.toThrow(`was cut short (${cut.length} bytes of`);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(path, bytes);
    await expect(loadModel(path, { device: on.device })).rejects.toThrow('was changed after it was saved');
  });

  test('a checksum that is only half there is refused, none at all is not', async () => {
    const path = join(temporaryFolder(), 'small.safetensors');
    const model = made(on.device, 4);
    await exportModel(path, model, { model: config, note: 'mine' });
    model.dispose();
    const json = path.replace('.safetensors', '.json');
    const { weights, ...rest } = JSON.parse(readFileSync(json, 'utf8')) as {
      weights: { bytes: number; sha256: string };
    };
    const { bytes, sha256 } = weights;
    for (const wrong of [{ sha256 }, { bytes }, { bytes: `${bytes}`, sha256 }, { bytes, sha256: 'f00' }, null, 7]) {
      writeFileSync(json, JSON.stringify({ ...rest, weights: wrong }));
      const refused = loadModel(path, { device: on.device });
      await expect(refused).rejects.toThrow(FormatError);
      await expect(refused).rejects.toThrow(`must be { "bytes": …, "sha256": … }`);
    }
    writeFileSync(json, JSON.stringify(rest));
    await loaded(path);
  });

  test('a weight that f16 does not hold is refused, and nothing is left', async () => {
    const folder = temporaryFolder();
    const model = made(on.device, 4);
    on.device.write(model.namedParameters().get('ends.embedding.weight')!.value.buffer, Float32Array.of(1e6));
    const exported = exportModel(join(folder, 'm.safetensors'), model, { model: config });
    await expect(exported).rejects.toThrow(NumericsError);
    await expect(exported).rejects.toThrow('exportModel: ends.embedding.weight holds 1000000, which f16 does not');
    expect(readdirSync(folder)).toEqual([]);
    // the nearest f16 is finite below 65520, half a step above the largest
    const weight = model.namedParameters().get('ends.embedding.weight')!.value;
    const path = join(folder, 'm.safetensors');
    for (const edge of [65520, -65520]) {
      on.device.write(weight.buffer, Float32Array.of(edge));
      await expect(exportModel(path, model, { model: config })).rejects.toThrow(`holds ${edge}`);
    }
    on.device.write(weight.buffer, Float32Array.of(65519.996));
    await exportModel(path, model, { model: config });
    expect(storedAs.f16(Math.fround(65519.996))).toBe(65504);
    model.dispose();
  });

  test('what does not fit is refused', async () => {
    const load = (path: string): Promise<unknown> => loadModel(path, { device: on.device });
    const folder = await runFolder(on.device, { checkpoint: 1 });
    const change = (json: unknown): void => writeFileSync(join(folder, 'config.json'), JSON.stringify(json));
    change({ model: { ...config, vocabulary: 8 } });
    await expect(load(folder)).rejects.toThrow(ShapeError);
    await expect(load(folder)).rejects.toThrow('ends.embedding.weight must be [8,8], not [7,8]');
    change({ model: { ...config, widht: 8 } });
    await expect(load(folder)).rejects.toThrow(OptionError);
    change([]);
    await expect(load(folder)).rejects.toThrow('must hold an object');
    writeFileSync(join(folder, 'config.json'), '{"model":');
    await expect(load(folder)).rejects.toThrow('config.json" is not JSON');
    const empty = join(temporaryFolder(), 'none');
    await expect(load(empty)).rejects.toThrow(FormatError);
    mkdirSync(empty);
    await expect(load(empty)).rejects.toThrow('has no config.json, which says what the model is');
  });
});

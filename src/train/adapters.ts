import { OptionError, ShapeError } from '../core/errors.js';
import { anything, checkValue, checkValues, plainObject, text as someText } from '../core/requirements.js';
import { adaptersOf, type LoraConfig } from '../models/adapt.js';
import type { Module } from '../nn/index.js';
import { disposeAll, type Tensor } from '../tensor/index.js';
import { loadCheckpoint, saveCheckpoint, sourceOf, type Json } from './checkpoint/index.js';
import { someModel } from './micro-batch.js';
import { readTensors } from './read-tensors.js';

/** What adapters were made with, and for. */
export interface AdapterNote {
  readonly lora: LoraConfig;
  /** The model that they are beside. */
  readonly from: string | null;
}

const checkAdapted = (who: string, model: Module): ReadonlyMap<string, Tensor> => {
  checkValue(who, 'model', model, someModel);
  const adapters = adaptersOf(model);
  if (adapters.size > 0) return adapters;
  throw new OptionError(`${who}: this model has no adapters; make it of a configuration with lora: { rank }.`);
};

/**
 * Writes a model's adapters alone, with checksums: a folder of a few megabytes beside a model of gigabytes.
 *
 * @throws OptionError for a model without; FormatError when a file cannot be written.
 */
export async function saveAdapters(folder: string, model: Module, note: AdapterNote): Promise<void> {
  checkValue('saveAdapters', 'folder', folder, someText);
  checkValues('saveAdapters: note', note, { lora: plainObject, from: anything }, ['lora', 'from']);
  const adapters = checkAdapted('saveAdapters', model);
  const tensors = Object.fromEntries([...adapters].map(([name, tensor]) => [name, sourceOf(tensor)]));
  await saveCheckpoint(folder, { tensors, state: { format: 'subquad adapters', ...note } as unknown as Json });
}

/**
 * Gives a model the adapters that `saveAdapters` wrote; its other weights stay as they are.
 *
 * @throws OptionError for a model without; FormatError for a folder that is none or damaged; ShapeError for adapters of another model.
 */
export async function loadAdapters(folder: string, model: Module): Promise<void> {
  checkValue('loadAdapters', 'folder', folder, someText);
  const adapters = checkAdapted('loadAdapters', model);
  const { device } = [...adapters.values()][0]!;
  const { tensors } = await loadCheckpoint(folder);
  try {
    const read = await readTensors(tensors, { device });
    try {
      const missing = [...adapters.keys()].filter((name) => !read.has(name));
      if (missing.length > 0) {
        throw new ShapeError(`loadAdapters: "${folder}" lacks ${missing.length} of them, such as ${missing[0]}.`);
      }
      model.load(read, { missing: 'keep' });
    } finally {
      disposeAll(read);
    }
  } finally {
    await tensors.close();
  }
}

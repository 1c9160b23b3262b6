import { callable, checkValue, checkValues, made, plainObject } from '../core/requirements.js';
import { createModel, readConfig, type LanguageModel, type ModelConfig } from '../models/index.js';
import { WeightMap } from '../nn/weight-map.js';
import { disposeAll, scope, someDevice } from '../tensor/index.js';
import type { Safetensors } from './checkpoint/safetensors.js';
import type { Json } from './checkpoint/state.js';
import { checkFinite } from './diagnose.js';
import { readTensors, type ReadTensorsOptions } from './read-tensors.js';

export interface LoadedModel {
  /** With its weights. The caller disposes of it. */
  readonly model: LanguageModel;
  readonly config: ModelConfig;
  /** All of the JSON that the model's configuration is a part of. */
  readonly json: Readonly<Record<string, Json>>;
}

export interface ModelOfOptions extends ReadTensorsOptions {
  /** Between the file's names and layouts and ours; default the names as they are. */
  readonly map?: WeightMap | undefined;
}

/** What goes between names. */
export const someMap = made('a weight map, as weightMap makes it', WeightMap);

/**
 * The model that `json.model` describes, with the weights of a file, wherever its bytes are. Weights of 16 bits are widened.
 *
 * @throws OptionError for a configuration that is none, ShapeError naming every tensor that does not fit, NumericsError naming the
 * first that holds a NaN or an infinity; what `readTensors` throws.
 */
export async function modelOf(
  json: Readonly<Record<string, Json>>,
  file: Safetensors,
  options: ModelOfOptions,
): Promise<LoadedModel> {
  checkValue('modelOf', 'json', json, plainObject);
  checkValues('modelOf', options, { device: someDevice, names: callable, map: someMap }, ['device']);
  const { map, ...reading } = options;
  const config = readConfig(json['model']);
  const model = createModel(config);
  const tensors = await readTensors(file, reading);
  try {
    scope(() => model.load(tensors, map && { map }));
  } finally {
    disposeAll(tensors);
  }
  try {
    await checkFinite(`model "${file.name}"`, model);
  } catch (error) {
    model.dispose();
    throw error;
  }
  return { model, config, json };
}

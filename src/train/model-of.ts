import { checkValue, plainObject } from '../core/requirements.js';
import { createModel, readConfig, type LanguageModel, type ModelConfig } from '../models/index.js';
import { disposeAll, scope } from '../tensor/index.js';
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

/**
 * The model that `json.model` describes, with the weights of a file, wherever its bytes are. Weights of 16 bits are widened.
 *
 * @throws OptionError for a configuration that is none, ShapeError naming every tensor that does not fit, NumericsError naming the
 * first that holds a NaN or an infinity; what `readTensors` throws.
 */
export async function modelOf(
  json: Readonly<Record<string, Json>>,
  file: Safetensors,
  options: ReadTensorsOptions,
): Promise<LoadedModel> {
  checkValue('modelOf', 'json', json, plainObject);
  const config = readConfig(json['model']);
  const model = createModel(config);
  const tensors = await readTensors(file, options);
  try {
    scope(() => model.load(tensors));
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

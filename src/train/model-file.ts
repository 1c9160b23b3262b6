import { encode } from '../core/dtype.js';
import { FormatError, NumericsError, OptionError } from '../core/errors.js';
import { readWholeText } from '../core/files/read.js';
import { replaceFile, Replacement } from '../core/files/replace.js';
import { requireNode } from '../core/node.js';
import { anything, checkValue, checkValues, oneOf, plainObject, text as someText } from '../core/requirements.js';
import { codeOf, reasonOf } from '../core/system-errors.js';
import type { Device } from '../devices/device.js';
import { readConfig, type LanguageModel, type ModelConfig } from '../models/index.js';
import {
  loadCheckpoint,
  nodeFiles,
  openSafetensors,
  type Json,
  type Safetensors,
  writeSafetensors,
  type TensorSource,
  type Written,
} from './checkpoint/index.js';
import { verify } from './checkpoint/checkpoint.js';
import type { WeightMap } from '../nn/index.js';
import { disposeAll, keep, scope, someDevice, type Tensor } from '../tensor/index.js';
import { someModel } from './micro-batch.js';
import { changesOf } from './differences.js';
import {
  beside,
  isJson,
  jsonFrom,
  type JsonObject,
  modelFrom,
  type Origin,
  parseJson,
  pathOf,
  writtenOf,
} from './model-from.js';
import { type LoadedModel, modelOf, someMap } from './model-of.js';
import { after } from './read-tensors.js';
import { PREFIX } from './trainer.js';

const { existsSync, statSync } = requireNode('node:fs');
const { basename, dirname, join } = requireNode('node:path');

export interface LoadModelOptions {
  readonly device: Device;
  /** Of a run: the weights that evaluated best, or the last; default the best if there are any. */
  readonly weights?: 'best' | 'last';
  /** What `exportModel` writes beside the weights, or where it is. Default: where they are, `.json` for `.safetensors`. */
  readonly json?: Origin | JsonObject;
  /** Between the names and layouts of the file and ours, for weights from elsewhere; default the names as they are. */
  readonly map?: WeightMap;
}

export interface ExportModelOptions {
  /** To their names and layouts; default ours. What is written so is loaded with the same map. */
  readonly map?: WeightMap;
}

/**
 * A trained model: of a run's folder, its `config.json` with the weights of `best/` or `checkpoint/`; of `NAME.safetensors`, that
 * file with the `NAME.json` beside it, as `exportModel` writes them with a checksum. Weights of 16 bits are widened.
 *
 * Instead of a path: a URL, an answer of `fetch`, a `Blob` or `File`, or the bytes of a file, as a page has them. There, a string is a
 * URL too. The model that comes with the package is `subquad/assets/model.safetensors`. A page that is not a secure context has no
 * SHA-256: it compares the length alone.
 *
 * ```ts
 * const { model } = await loadModel('https://example.org/model.safetensors', { device });
 * const dropped = await loadModel(file, { device, json: { model: { width: 128 } } }); // a File
 * ```
 *
 * @throws FormatError for a file that is missing, cannot be fetched, is damaged or no model; OptionError for another kind of value,
 * or where it is not known what `json` is; else as `modelOf`.
 */
export async function loadModel(from: Origin, options: LoadModelOptions): Promise<LoadedModel> {
  const requirements = { device: someDevice, weights: oneOf(['best', 'last']), json: anything, map: someMap };
  checkValues('loadModel', options, requirements, ['device']);
  const { device, weights, json: given, map } = options;
  const path = pathOf(from);
  if (path === undefined) {
    if (weights === undefined) return modelFrom(from, await jsonOf(given ?? beside(from)), { device, map });
    throw new OptionError(`loadModel: weights: "${weights}" is for the folder of a run; these weights are not in one.`);
  }
  const json = given === undefined ? readModelJson(path).json : await jsonOf(given);
  const single = isSingleFile(path);
  const file = single ? await exported(path, json) : await weightsOf(path, weights, json);
  try {
    return await modelOf(json, file, { device, map, names: single ? undefined : after(PREFIX.model) });
  } finally {
    await file.close();
  }
}

/** What `loadModel` reads beside the weights. @throws as it does. */
export function readModelJson(path: string): Pick<LoadedModel, 'config' | 'json'> {
  const single = isSingleFile(path);
  if (!single && !statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new FormatError(`loadModel: "${path}" is no folder of a run and no .safetensors file; name one of them.`);
  }
  const json = readJson(single ? beside(path) : join(path, 'config.json'));
  return { config: readConfig(json['model']), json };
}

const isSingleFile = (path: string): boolean => path.endsWith('.safetensors');

async function jsonOf(given: Origin | JsonObject): Promise<JsonObject> {
  if (isJson(given)) return given;
  const path = pathOf(given);
  return path === undefined ? jsonFrom(given) : readJson(path);
}

/** A file of `exportModel`, compared with the checksum in its JSON. */
function exported(path: string, json: JsonObject): Promise<Safetensors> {
  const written = writtenOf(path, json);
  return openSafetensors(path, nodeFiles, async (file) => written && verify(`loadModel: "${path}"`, file, written));
}

async function weightsOf(
  folder: string,
  weights: 'best' | 'last' | undefined,
  { model }: JsonObject,
): Promise<Safetensors> {
  const best = join(folder, 'best');
  const taken = weights === 'last' || (weights === undefined && !existsSync(best)) ? join(folder, 'checkpoint') : best;
  const { tensors, state } = await loadCheckpoint(taken);
  const { settings } = (state ?? {}) as { readonly settings?: { readonly model?: Json } };
  const changes = changesOf(settings?.model, readConfig(model) as unknown as Json).map((change) => `model.${change}`);
  if (changes.length === 0) return tensors;
  await tensors.close();
  throw new FormatError(
    `loadModel: the weights in "${taken}" were trained with another config.json: ${changes.join('; ')}. Put back the one they belong to.`,
  );
}

/** Bytes of a configuration, longer than any. */
const LONGEST = 2 ** 24;

/** The object that a JSON file holds. @throws FormatError for a file that is missing, or holds something else. */
export function readJson(path: string): JsonObject {
  let text: string;
  try {
    text = readWholeText(path, LONGEST);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' && basename(path) === 'config.json') {
      throw new FormatError(
        `"${dirname(path)}" has no config.json, which says what the model is; name the folder of a run or of a published model, or download it beside the weights.`,
        { cause: error },
      );
    }
    throw new FormatError(`"${path}" cannot be read (${reasonOf(error)}).`, { cause: error });
  }
  return parseJson(path, text);
}

/** Writes an object as JSON, in place of the file that is there in one step. @throws FormatError when that fails. */
export function writeJson(path: string, value: object): void {
  try {
    replaceFile(path, `${JSON.stringify(value, undefined, 2)}\n`);
  } catch (error) {
    throw new FormatError(`"${path}" cannot be written (${reasonOf(error)}).`, { cause: error });
  }
}

/** What is written beside exported weights. */
export interface ExportedJson {
  readonly model: ModelConfig;
  /** How it was trained, and what it reached. */
  readonly [note: string]: unknown;
}

/**
 * Whether `exportModel` would write to that path, to be asked before the work whose result it is.
 *
 * @throws OptionError for a name that does not end in .safetensors, whose JSON would take the place of the weights; FormatError where
 * the JSON would replace a file that is not what an export wrote.
 */
export function checkExport(path: string): void {
  checkValue('exportModel', 'path', path, someText);
  if (!isSingleFile(path)) {
    throw new OptionError(`exportModel: weights go to NAME.safetensors and a JSON beside them; got "${path}".`);
  }
  const json = beside(path);
  if (!existsSync(json)) return;
  let before: JsonObject = {};
  try {
    before = readJson(json);
  } catch {
    // whatever it is, it is no export
  }
  if (isGiven(before['model']) && isGiven(before['weights'])) return;
  throw new FormatError(
    `exportModel: "${json}" would be replaced, and it is no JSON of an exported model; name other weights, or move it away.`,
  );
}

const isGiven = (value: Json | undefined): boolean => typeof value === 'object' && value !== null;

/**
 * Writes the weights as `NAME.safetensors`, half the size of what is trained, and `json` as `NAME.json`. Each number becomes the
 * nearest f16.
 *
 * @throws NumericsError for a weight that f16 does not hold, FormatError when a file cannot be written; as `checkExport`.
 */
export async function exportModel(
  path: string,
  model: LanguageModel,
  json: ExportedJson,
  options: ExportModelOptions = {},
): Promise<void> {
  checkExport(path);
  checkValue('exportModel', 'model', model, someModel);
  checkValue('exportModel', 'json', json, plainObject);
  checkValue('exportModel', 'json.model', json.model, plainObject);
  checkValues('exportModel', options, { map: someMap });
  const theirs = options.map && keep(scope(() => options.map!.toTheirs(model.stateDict())));
  try {
    await writeModel(path, theirs ?? model.stateDict(), json);
  } finally {
    disposeAll(theirs);
  }
}

async function writeModel(path: string, tensors: ReadonlyMap<string, Tensor>, json: ExportedJson): Promise<void> {
  const entries = [...tensors].map(([name, tensor]): [string, TensorSource] => {
    const bytes = async (): Promise<ArrayBufferView> => {
      const numbers = await tensor.data();
      const wrong = numbers.find((x) => !(Math.abs(x) < 65520));
      if (wrong === undefined) return encode('exportModel', numbers, 'f16');
      throw new NumericsError(`exportModel: ${name} holds ${wrong}, which f16 does not; train on, with a lower rate.`);
    };
    return [name, { dtype: 'f16', shape: tensor.shape, bytes }];
  });
  let written: Written;
  let replacement: Replacement | undefined;
  try {
    replacement = new Replacement(path);
    const file = await nodeFiles.open(replacement.part, 'write');
    try {
      written = await writeSafetensors(file, Object.fromEntries(entries), { format: 'subquad model' });
      if (replacement.isFile) await file.sync();
    } finally {
      await file.close();
    }
    replacement.commit();
  } catch (error) {
    replacement?.discard();
    if (codeOf(error) === '') throw error;
    throw new FormatError(`exportModel: "${path}" cannot be written (${reasonOf(error)}).`, { cause: error });
  }
  writeJson(beside(path), { ...json, weights: written });
}

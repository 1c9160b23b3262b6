import { encode } from '../core/dtype.js';
import { FormatError, NumericsError } from '../core/errors.js';
import { requireNode } from '../core/node.js';
import { codeOf, reasonOf } from '../core/system-errors.js';
import type { Device } from '../devices/device.js';
import { readConfig, type LanguageModel, type ModelConfig } from '../models/index.js';
import {
  loadCheckpoint,
  nodeFiles,
  openSafetensors,
  type Safetensors,
  writeSafetensors,
  type Json,
  type TensorSource,
  type Written,
} from './checkpoint/index.js';
import { verify } from './checkpoint/checkpoint.js';
import { type LoadedModel, modelOf } from './model-of.js';
import { after } from './read-tensors.js';
import { PREFIX } from './trainer.js';

const { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } = requireNode('node:fs');
const { join } = requireNode('node:path');

export interface LoadModelOptions {
  readonly device: Device;
  /** Of a run: the weights that evaluated best, or the last; default the best if there are any. */
  readonly weights?: 'best' | 'last';
}

/**
 * A trained model: of a run's folder, its `config.json` with the weights of `best/` or `checkpoint/`; of `NAME.safetensors`, that
 * file with the `NAME.json` beside it, as `exportModel` writes them with a checksum. Weights of 16 bits are widened.
 *
 * @throws FormatError for a file that is missing, damaged or no model; else as `modelOf`.
 */
export async function loadModel(path: string, { device, weights }: LoadModelOptions): Promise<LoadedModel> {
  const { json } = readModelJson(path);
  const single = isSingleFile(path);
  const file = single ? await exported(path, json) : await weightsOf(path, weights);
  try {
    return await modelOf(json, file, { device, names: single ? undefined : after(PREFIX.model) });
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
  const json = readJson(single ? path.replace(/safetensors$/, 'json') : join(path, 'config.json'));
  return { config: readConfig(json['model']), json };
}

const isSingleFile = (path: string): boolean => path.endsWith('.safetensors');

/** A file of `exportModel`, compared with the checksum in its JSON; a JSON written by hand may have none. */
function exported(path: string, { weights }: Readonly<Record<string, Json>>): Promise<Safetensors> {
  if (weights === undefined) return openSafetensors(path);
  const { bytes, sha256 } = (weights ?? {}) as Partial<Written>;
  if (!Number.isSafeInteger(bytes) || !/^[0-9a-f]{64}$/.test(String(sha256))) {
    throw new FormatError(
      `loadModel: weights in the JSON of "${path}" must be { "bytes": …, "sha256": … }, as exportModel writes them; ` +
        `got ${JSON.stringify(weights)}. Restore it from a copy, or leave weights out: nothing is compared then.`,
    );
  }
  return openSafetensors(path, nodeFiles, (file) =>
    verify(`loadModel: "${path}"`, file, { bytes: bytes!, sha256: sha256! }),
  );
}

async function weightsOf(folder: string, weights: 'best' | 'last' | undefined): Promise<Safetensors> {
  const best = join(folder, 'best');
  const taken = weights === 'last' || (weights === undefined && !existsSync(best)) ? join(folder, 'checkpoint') : best;
  return (await loadCheckpoint(taken)).tensors;
}

/** The object that a JSON file holds. @throws FormatError for a file that is missing, or holds something else. */
export function readJson(path: string): Readonly<Record<string, Json>> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new FormatError(`"${path}" cannot be read (${reasonOf(error)}).`, { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`"${path}" is not JSON: ${(error as Error).message}.`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, Json>;
  throw new FormatError(`"${path}" must hold an object, such as { "model": { "width": 128 } }.`);
}

/** Writes an object as JSON, in place of the file that is there in one step. @throws FormatError when that fails. */
export function writeJson(path: string, value: object): void {
  const part = `${path}.part`;
  try {
    writeFileSync(part, `${JSON.stringify(value, undefined, 2)}\n`);
    renameSync(part, path);
  } catch (error) {
    rmSync(part, { force: true });
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
 * Writes the weights as `NAME.safetensors`, half the size of what is trained, and `json` as `NAME.json`. Each number becomes the
 * nearest f16.
 *
 * @throws NumericsError for a weight that f16 does not hold, FormatError when a file cannot be written.
 */
export async function exportModel(path: string, model: LanguageModel, json: ExportedJson): Promise<void> {
  const part = `${path}.part`;
  const entries = [...model.stateDict()].map(([name, tensor]): [string, TensorSource] => {
    const bytes = async (): Promise<ArrayBufferView> => {
      const numbers = await tensor.data();
      const wrong = numbers.find((x) => !(Math.abs(x) < 65520));
      if (wrong === undefined) return encode('exportModel', numbers, 'f16');
      throw new NumericsError(`exportModel: ${name} holds ${wrong}, which f16 does not; train on, with a lower rate.`);
    };
    return [name, { dtype: 'f16', shape: tensor.shape, bytes }];
  });
  let written: Written;
  try {
    const file = await nodeFiles.open(part, 'write');
    try {
      written = await writeSafetensors(file, Object.fromEntries(entries), { format: 'subquad model' });
      await file.sync();
    } finally {
      await file.close();
    }
    await nodeFiles.rename(part, path);
  } catch (error) {
    await nodeFiles.remove(part).catch(() => undefined);
    if (codeOf(error) === '') throw error;
    throw new FormatError(`exportModel: "${path}" cannot be written (${reasonOf(error)}).`, { cause: error });
  }
  writeJson(path.replace(/\.safetensors$/, '.json'), { ...json, weights: written });
}

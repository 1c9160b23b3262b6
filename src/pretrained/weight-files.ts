import { isPlainObject } from '../core/describe.js';
import { FormatError } from '../core/errors.js';
import { parseJson } from '../core/json.js';
import type { Safetensors, TensorEntry } from '../train/checkpoint/index.js';
import type { ModelSource } from './model-source.js';

/** The tensors of a published model, in one file or in several. */
export interface WeightFiles {
  readonly entries: ReadonlyMap<string, TensorEntry>;
  /** The stored bits of a tensor from its byte `from` on, as many as `into` takes. */
  readInto(name: string, into: Uint8Array, from?: number): Promise<void>;
  close(): Promise<void>;
}

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
/** What other libraries keep weights in. */
const foreign = [
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
  'tf_model.h5',
  'flax_model.msgpack',
  'model.onnx',
];

/** Opens the weights of a source and reads their headers. @throws FormatError for a source without weights, or with damaged ones. */
export async function openWeights(who: string, source: ModelSource): Promise<WeightFiles> {
  const index = (await source.has(SINGLE)) ? undefined : await source.text(INDEX);
  if (index !== undefined) return openShards(who, source, shardsOf(who, index));
  if (await source.has(SINGLE)) return joined(who, [await opened(source, SINGLE)]);
  for (const name of foreign) {
    if (!(await source.has(name))) continue;
    throw new FormatError(
      `${who}: its weights are in ${name}, which may run code when it is read; convert it once in Python: ` +
        'AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER, safe_serialization=True).',
    );
  }
  throw new FormatError(`${who}: it has neither ${SINGLE} nor ${INDEX}; download the weights beside config.json.`);
}

/** A file whose header is right. @throws FormatError for a damaged one. */
async function opened(source: ModelSource, name: string): Promise<Safetensors> {
  try {
    return await source.weights(name);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new FormatError(`${error.message} The file is damaged; download it again.`, { cause: error });
  }
}

/** The files of an index and the tensors that it says are in each. */
function shardsOf(who: string, text: string): ReadonlyMap<string, readonly string[]> {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    throw new FormatError(`${who}: ${INDEX} is not JSON: ${(error as Error).message}; download it again.`, {
      cause: error,
    });
  }
  const map = isPlainObject(json) ? json['weight_map'] : undefined;
  if (!isPlainObject(map) || Object.keys(map).length === 0) {
    throw new FormatError(`${who}: ${INDEX} must have a weight_map of files by names of tensors.`);
  }
  const shards = new Map<string, string[]>();
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !/^[\w][\w.-]*\.safetensors$/.test(file)) {
      throw new FormatError(
        `${who}: ${INDEX} says that ${name} is in ${JSON.stringify(file)}, which is no .safetensors file of this folder; nothing outside is read.`,
      );
    }
    shards.set(file, [...(shards.get(file) ?? []), name]);
  }
  return shards;
}

async function openShards(
  who: string,
  source: ModelSource,
  shards: ReadonlyMap<string, readonly string[]>,
): Promise<WeightFiles> {
  const names = [...shards.keys()];
  const there = await Promise.all(names.map((name) => source.has(name)));
  const absent = names.filter((_, i) => !there[i]);
  if (absent.length > 0) {
    throw new FormatError(
      `${who}: ${absent.length} of ${names.length} files are missing: ${absent.join(', ')}; download them beside ${INDEX}.`,
    );
  }
  const files: Safetensors[] = [];
  try {
    for (const name of names) files.push(await opened(source, name));
    const reasons = names.flatMap((file, i) => {
      const without = shards.get(file)!.filter((name) => !files[i]!.entries.has(name));
      return without.length > 0 ? [`${file} lacks ${without.join(', ')}`] : [];
    });
    if (reasons.length > 0) {
      throw new FormatError(`${who}: ${INDEX} names tensors that their files do not have: ${reasons.join('; ')}.`);
    }
    return joined(who, files);
  } catch (error) {
    await Promise.all(files.map((file) => file.close()));
    throw error;
  }
}

function joined(who: string, files: readonly Safetensors[]): WeightFiles {
  const entries = new Map<string, TensorEntry>();
  const places = new Map<string, Safetensors>();
  for (const file of files) {
    for (const [name, entry] of file.entries) {
      const other = places.get(name);
      if (other) throw new FormatError(`${who}: ${name} is in "${other.name}" and in "${file.name}"; keep one.`);
      entries.set(name, entry);
      places.set(name, file);
    }
  }
  return {
    entries,
    readInto: (name, into, from) => places.get(name)!.readInto(name, into, from),
    close: async () => {
      await Promise.all(files.map((file) => file.close()));
    },
  };
}

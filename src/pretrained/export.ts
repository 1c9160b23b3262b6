import { encode, isFloat, type Dtype } from '../core/dtype.js';
import { CapabilityError, FormatError, NumericsError, OptionError } from '../core/errors.js';
import { Replacement, replaceFile } from '../core/files/replace.js';
import { makeFolders } from '../core/folders.js';
import { requireNode } from '../core/node.js';
import { checkValue, checkValues, oneOf, text } from '../core/requirements.js';
import { codeOf, reasonOf } from '../core/system-errors.js';
import { readConfig, type ModelConfig } from '../models/index.js';
import { disposeAll, keep, scope, type Tensor } from '../tensor/index.js';
import { nodeFiles, writeSafetensors, type TensorSource } from '../train/checkpoint/index.js';
import { somePretrained, type Pretrained } from './loaded.js';
import { openWeights, type WeightFiles } from './weight-files.js';

const { existsSync, readdirSync } = requireNode('node:fs');
const { join } = requireNode('node:path');

export interface ExportPretrainedOptions {
  /** How weights are stored; default as they were in the file that they came from. */
  readonly dtype?: 'f32' | 'f16' | 'bf16';
}

/** What Python calls them. */
const names = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' } as const;

/**
 * Writes a model as a folder that Python's transformers loads: `model.safetensors` under the published names, and `config.json` as it was
 * read, with its class. What was loaded and not changed comes back bit by bit, tensors that the class has no use for too, while their files
 * are there.
 *
 * @throws OptionError for a folder that has files; CapabilityError for a model that is no longer what its `config.json` says; NumericsError
 * for a weight that the dtype does not hold; FormatError where the folder cannot be written.
 */
export async function exportPretrained(
  folder: string,
  loaded: Pretrained,
  options: ExportPretrainedOptions = {},
): Promise<void> {
  const who = 'exportPretrained';
  checkValue(who, 'folder', folder, text);
  checkValue(who, 'loaded', loaded, somePretrained);
  checkValues(who, options, { dtype: oneOf(['f32', 'f16', 'bf16']) });
  checkExportFolder(folder);
  const { model, map, published, cls, stored } = loaded;
  refuseChanged(who, loaded);
  const theirs = keep(scope(() => map.toTheirs(model.stateDict())));
  try {
    const dtypes = new Set<Dtype>();
    const entries = [...theirs]
      // a tensor that stands for another need not be written again, unless it was
      .filter(([name]) => map.reads(name) || stored.has(name))
      .map(([name, tensor]): [string, TensorSource] => {
        const dtype = options.dtype ?? floatOf(stored.get(name));
        dtypes.add(dtype);
        return [name, { dtype, shape: tensor.shape, bytes: () => bytesOf(who, name, tensor, dtype) }];
      });
    makeFolders(folder);
    const left = await leftOut(who, loaded);
    try {
      await writeWeights(join(folder, 'model.safetensors'), { ...Object.fromEntries(entries), ...left?.tensors });
    } finally {
      await left?.files.close();
    }
    const [only] = dtypes.size === 1 ? [...dtypes] : [];
    const { torch_dtype: _, dtype: __, architectures: ___, ...rest } = published;
    const config = {
      architectures: [cls.name],
      ...rest,
      ...(only !== undefined && { torch_dtype: names[only as 'f32'] }),
    };
    replaceFile(join(folder, 'config.json'), `${JSON.stringify(config, undefined, 2)}\n`);
  } catch (error) {
    if (codeOf(error) === '') throw error;
    throw new FormatError(`${who}: "${folder}" cannot be written (${reasonOf(error)}).`, { cause: error });
  } finally {
    disposeAll(theirs);
  }
}

/** What its files have and the class has no use for, as it is stored; nothing where they are gone. */
async function leftOut(
  who: string,
  { source, unused = [] }: Pretrained,
): Promise<{ readonly tensors: Readonly<Record<string, TensorSource>>; readonly files: WeightFiles } | undefined> {
  if (unused.length === 0) return undefined;
  const files = await openWeights(who, source).catch(() => undefined);
  if (files === undefined) return undefined;
  const tensors = unused.flatMap((name): [string, TensorSource][] => {
    const entry = files.entries.get(name);
    if (entry === undefined || !isFloat(entry.dtype as Dtype)) return [];
    const bytes = async (): Promise<ArrayBufferView> => {
      const all = new Uint8Array(entry.end - entry.begin);
      await files.readInto(name, all);
      return all;
    };
    return [[name, { dtype: entry.dtype as Dtype, shape: entry.shape, bytes }]];
  });
  return { tensors: Object.fromEntries(tensors), files };
}

/** Whether an export would go to that folder, to be asked before the work. @throws OptionError for one that has files. */
export function checkExportFolder(folder: string): void {
  if (!existsSync(folder)) return;
  let files: readonly string[];
  try {
    files = readdirSync(folder);
  } catch (error) {
    throw new FormatError(`exportPretrained: "${folder}" is no folder (${reasonOf(error)}).`, { cause: error });
  }
  if (files.length === 0) return;
  throw new OptionError(`exportPretrained: "${folder}" has files, such as ${files[0]}; name a folder that is new.`);
}

/** What changes no forward pass. */
const ofTraining = new Set(['dropout', 'lossChunk', 'residual']);

/** Only what `config.json` describes can be read again. */
function refuseChanged(who: string, { config, family, theirs, cls }: Pretrained): void {
  const was = readConfig(family.config(theirs, cls));
  const changed = Object.keys({ ...was, ...config }).filter((name) => {
    if (ofTraining.has(name) || (name === 'length' && was.position.method !== 'learned')) return false;
    const of = (one: ModelConfig): string => JSON.stringify(one[name as keyof ModelConfig]) ?? '';
    return of(was) !== of(config);
  });
  if (changed.length === 0) return;
  throw new CapabilityError(
    `${who}: the model is no longer the ${family.title} of its config.json: ${changed.join(', ')} changed. ` +
      'Keep it as a model of this library (exportModel).',
  );
}

const floatOf = (dtype: string | undefined): 'f32' | 'f16' | 'bf16' =>
  dtype === 'f16' || dtype === 'bf16' ? dtype : 'f32';

async function bytesOf(who: string, name: string, tensor: Tensor, dtype: Dtype): Promise<ArrayBufferView> {
  const numbers = await tensor.data();
  const most = dtype === 'f16' ? 65520 : Infinity;
  const wrong = numbers.find((x) => !(Math.abs(x) < most));
  if (wrong === undefined) return encode(who, numbers, dtype);
  throw new NumericsError(`${who}: ${name} holds ${wrong}, which ${dtype} does not; take dtype f32.`);
}

async function writeWeights(path: string, tensors: Readonly<Record<string, TensorSource>>): Promise<void> {
  const replacement = new Replacement(path);
  try {
    const file = await nodeFiles.open(replacement.part, 'write');
    try {
      // Python looks for it
      await writeSafetensors(file, tensors, { format: 'pt' });
      if (replacement.isFile) await file.sync();
    } finally {
      await file.close();
    }
    replacement.commit();
  } catch (error) {
    replacement.discard();
    throw error;
  }
}

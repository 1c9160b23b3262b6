import { requireNode } from '../core/node.js';
import { FormatError } from '../core/errors.js';
import type { Json } from '../train/checkpoint/index.js';
import { loadModel, readJson, readModelJson, type LoadModelOptions } from '../train/model-file.js';
import type { JsonObject } from '../train/model-from.js';
import type { LoadedModel } from '../train/model-of.js';
import { readConfig, type ModelConfig } from '../models/index.js';
import { classOf, identify } from './identify.js';
import { loadPretrained, type LoadPretrainedOptions } from './load.js';
import type { Pretrained } from './loaded.js';

const { existsSync } = requireNode('node:fs');
const { join } = requireNode('node:path');

/** A model of a run, an exported one, or a published one. */
export interface OpenedModel extends LoadedModel {
  /** Of a published model. */
  readonly published?: Pretrained;
}

/** Whether a path is a folder in Hugging Face layout: its `config.json` says a `model_type`, which that of a run does not. */
export function isPublished(path: string): boolean {
  if (!existsSync(join(path, 'config.json'))) return false;
  try {
    const json = readJson(join(path, 'config.json'));
    return typeof json['model_type'] === 'string' && typeof json['model'] !== 'object';
  } catch {
    // whoever opens it says what is wrong
    return false;
  }
}

/** What a published folder says of its model, without its weights. @throws as `loadPretrained`. */
export function readPublished(path: string): { readonly config: ModelConfig; readonly json: JsonObject } {
  const published = readJson(join(path, 'config.json'));
  const { family, theirs } = identify(`model "${path}"`, published);
  const cls = classOf(`model "${path}"`, family, { published, theirs });
  const config = readConfig(family.config(theirs, cls));
  return { config, json: jsonOf(path, { config, published, cls, family }) };
}

/** What `openModel` opens, without its weights. @throws as it does. */
export const readModel = (path: string): { readonly config: ModelConfig; readonly json: JsonObject } =>
  isPublished(path) ? readPublished(path) : readModelJson(path);

/**
 * The model at a path, for commands: as `loadModel`, or of a folder in Hugging Face layout, whose JSON then says where its tokenizer is
 * (`tokeniser`), what it was trained for (`objective`) and what it is (`published`).
 *
 * @throws as `loadModel` and `loadPretrained`.
 */
export async function openModel(
  path: string,
  options: Pick<LoadModelOptions, 'device' | 'weights'> & Pick<LoadPretrainedOptions, 'as' | 'ignoreFields' | 'dtype'>,
): Promise<OpenedModel> {
  const { device, weights, as, ignoreFields, dtype } = options;
  if (!isPublished(path)) {
    const loaded = await loadModel(path, { device, ...(weights && { weights }) });
    if (dtype !== undefined) loaded.model.store(dtype);
    return loaded;
  }
  if (weights !== undefined) {
    throw new FormatError(`"${path}" is a published model, which has weights of one kind; leave out which.`);
  }
  const published = await loadPretrained(path, {
    device,
    ...(as !== undefined && { as }),
    ...(ignoreFields && { ignoreFields }),
    ...(dtype && { dtype }),
  });
  return { model: published.model, config: published.config, json: jsonOf(path, published), published };
}

/** What hides a token: of `config.json`, or by the tokenizer's special tokens. */
function maskTokenOf(path: string, published: JsonObject): number | undefined {
  if (typeof published['mask_token_id'] === 'number') return published['mask_token_id'];
  if (!existsSync(join(path, 'tokenizer.json'))) return undefined;
  const added = readJson(join(path, 'tokenizer.json'))['added_tokens'];
  const special = (Array.isArray(added) ? added : []) as readonly {
    readonly id?: unknown;
    readonly content?: unknown;
  }[];
  const found = special.find(({ content }) => content === '[MASK]' || content === '<mask>')?.id;
  return typeof found === 'number' ? found : undefined;
}

/** What stands beside a model of a run, for a published one. */
function jsonOf(
  path: string,
  { config, published, cls, family }: Pick<Pretrained, 'config' | 'published' | 'cls' | 'family'>,
): JsonObject {
  const tokenizer = join(path, 'tokenizer.json');
  const mask = cls.task === 'fill-mask' ? maskTokenOf(path, published as JsonObject) : undefined;
  return {
    model: config as unknown as Json,
    published: { config: published as Json, class: cls.name, family: family.title },
    tokeniser: existsSync(tokenizer) ? tokenizer : null,
    // single tokens, as BERT was trained
    ...(mask !== undefined && { objective: { name: 'masked', share: 0.15, span: 1 }, maskToken: mask }),
  };
}

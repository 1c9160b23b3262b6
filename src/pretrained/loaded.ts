import type { Tokeniser } from '../data/tokenise/tokeniser.js';
import type { LanguageModel, ModelConfig } from '../models/index.js';
import { isPlainObject } from '../core/describe.js';
import type { Requirement } from '../core/requirements.js';
import { Module } from '../nn/index.js';
import { WeightMap } from '../nn/weight-map.js';
import type { Family, PublishedClass } from './family.js';
import type { Theirs } from './fields.js';
import type { ModelSource } from './model-source.js';

/** A published model, ready to run, train or export. */
export interface Pretrained {
  /** With its weights. The caller disposes of it. */
  readonly model: LanguageModel;
  readonly config: ModelConfig;
  /** Their `config.json`. */
  readonly published: Readonly<Record<string, unknown>>;
  readonly family: Family;
  readonly cls: PublishedClass;
  /** Their configuration as the family reads it, defaults filled in. */
  readonly theirs: Theirs;
  /** Between the names of the file and the model's. */
  readonly map: WeightMap;
  /** The dtypes of the tensors that the files have, by their names: `f32`, `bf16`, … */
  readonly stored: ReadonlyMap<string, string>;
  /** Names of tensors of the files that the class has no use for, such as another head's. */
  readonly unused?: readonly string[];
  /** Where it came from. */
  readonly source: ModelSource;
  /** Of its `tokenizer.json`; absent where there is none, or where it is not read: `notes` say why. */
  readonly tokenizer?: Tokeniser;
  /** What a user should know: fields that were not read, weights that were left out. One sentence each. */
  readonly notes: readonly string[];
}

/** What `loadPretrained` gives, or such a thing with another model in its place. */
export const somePretrained: Requirement = {
  must: 'a published model, as loadPretrained gives it',
  holds: (value) => {
    if (!isPlainObject(value)) return false;
    const { model, map, family, cls } = value;
    return model instanceof Module && map instanceof WeightMap && isPlainObject(family) && isPlainObject(cls);
  },
};

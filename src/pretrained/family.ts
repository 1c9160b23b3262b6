import { OptionError } from '../core/errors.js';
import {
  callable,
  checkValues,
  flag,
  listOfTexts,
  oneOf,
  plainObject,
  text,
  type Requirements,
} from '../core/requirements.js';
import type { Device } from '../devices/device.js';
import type { LanguageModel, ModelConfig } from '../models/index.js';
import type { Context, WeightMapOptions, WeightRule } from '../nn/index.js';
import type { Tensor } from '../tensor/index.js';
import type { Fields, Theirs } from './fields.js';
import type { HostArray, Inputs } from './inputs.js';

export const tasks = ['base', 'fill-mask', 'generate', 'summarise', 'classify', 'classify-tokens', 'answer'] as const;
/**
 * What a published class is for: rows of the last layer (`base`), a token for what is hidden, the next token (`generate`), a text after a
 * source (`summarise`), classes of texts and of tokens, places of an answer.
 */
export type Task = (typeof tasks)[number];

/** A class of the published code, such as `BertForMaskedLM`, which `architectures` of a `config.json` names. */
export interface ClassDefinition {
  readonly task: Task;
  /** A tensor that only files of this class hold: by it a file without `architectures` is known. `{i}` and `{*}` as in `weightMap`. */
  readonly mark?: string;
}

/** The class that is loaded. */
export interface PublishedClass {
  readonly name: string;
  readonly task: Task;
  /** What the names of the base model's tensors begin with in this file: the family's prefix, or nothing. */
  readonly prefix: string;
  /** Classes that `id2label` names, for a head. */
  readonly labels: number;
}

/** Between the names of a published file and ours. */
export interface PublishedMap extends WeightMapOptions {
  /** The first that knows a name takes it; `cls.prefix` is part of their names. */
  readonly rules: readonly WeightRule[];
  /** Their weights that this class has no use for, such as another head's: left out, and noted. (`ignored` are no weights at all.) */
  readonly unused?: readonly string[];
}

/** What `run` of a family is given. */
export interface RunCall<T = Theirs> {
  readonly model: LanguageModel;
  readonly config: ModelConfig;
  readonly theirs: T;
  readonly cls: PublishedClass;
  /** By their published names: `input_ids`, `attention_mask`, … */
  readonly inputs: Inputs;
  /** Random numbers that the published code drew: `rand.NAME` of a golden file. */
  readonly draws: Inputs;
  readonly device: Device;
  readonly family: Family;
}

/** Results by their published names: `logits`, `hidden_states.0`, … In the current scope. */
export type Outputs = Readonly<Record<string, Tensor>>;

/** A family of published models, declared. `T`: what it reads of their configuration. */
export interface FamilyDefinition<F extends Fields> {
  /** `model_type` of their `config.json`; several where they are read alike. */
  readonly modelType: string | readonly string[];
  readonly title: string;
  readonly paper: { readonly authors: string; readonly title: string; readonly year: number; readonly arxiv?: string };
  /** Of the most special first, the base model last. */
  readonly classes: Readonly<Record<string, ClassDefinition>>;
  /** What the names of the base model's tensors begin with in files of classes with heads, such as `bert.`; base files have them without. */
  readonly prefix?: string;
  /** All that its configuration may hold and that changes results; beside `commonFields`. */
  readonly fields: F;
  /** What of their configuration our model is: JSON for `readConfig`. */
  readonly config: (theirs: Theirs<F>, cls: PublishedClass) => object;
  readonly map: (theirs: Theirs<F>, cls: PublishedClass, config: ModelConfig) => PublishedMap;
  /**
   * What the last of `hidden_states` is: the rows after the norm at the end (default), or before it. A model without such a norm has
   * no choice.
   */
  readonly lastHidden?: 'normalised' | 'stream';
  /** Whether layers give fewer rows, those of a text in front: `golden.ts` compares these. */
  readonly pooled?: boolean;
  /**
   * Inputs beside tokens and their padding, by their published names, and what each is to the layers: `token_type_ids`,
   * `global_attention_mask`. Of an encoder–decoder: to the encoder.
   */
  readonly inputs?: Readonly<Record<string, (given: HostArray, call: RunCall) => Context>>;
  /** Published results of named inputs, where `runModel` of run.ts does not give them. */
  readonly run?: (call: RunCall<Theirs<F>>) => Outputs;
  /** What its tokens can at most be, and other facts that a user should know: one sentence each. */
  readonly notes?: (theirs: Theirs<F>, cls: PublishedClass) => readonly string[];
}

/** What `defineFamily` makes: the declaration with its types put away, so that families stand in one list. */
export type Family = Omit<FamilyDefinition<Fields>, 'modelType' | 'config' | 'map' | 'run' | 'notes'> & {
  readonly modelTypes: readonly string[];
  readonly config: (theirs: Theirs, cls: PublishedClass) => object;
  readonly map: (theirs: Theirs, cls: PublishedClass, config: ModelConfig) => PublishedMap;
  readonly run?: ((call: RunCall) => Outputs) | undefined;
  readonly notes?: ((theirs: Theirs, cls: PublishedClass) => readonly string[]) | undefined;
};

const declaration: Requirements = {
  modelType: { must: 'a name or names', holds: (x) => text.holds(x) || (listOfTexts.holds(x) && (x as []).length > 0) },
  title: text,
  paper: plainObject,
  classes: plainObject,
  prefix: text,
  fields: plainObject,
  config: callable,
  map: callable,
  lastHidden: oneOf(['normalised', 'stream']),
  pooled: flag,
  inputs: plainObject,
  run: callable,
  notes: callable,
};

/**
 * A family of published models. See `families/gpt2.ts` for one that is complete.
 *
 * @throws OptionError for what is no declaration, or one without classes.
 */
export function defineFamily<const F extends Fields>(definition: FamilyDefinition<F>): Family {
  checkValues('defineFamily', definition, declaration, [
    'modelType',
    'title',
    'paper',
    'classes',
    'fields',
    'config',
    'map',
  ]);
  const { modelType, classes } = definition;
  const modelTypes = [modelType].flat();
  if (Object.keys(classes).length === 0) {
    throw new OptionError(`defineFamily ${modelTypes.join()}: classes must name at least one class.`);
  }
  // what a family declares is what readFields gives it
  return { ...definition, modelTypes } as unknown as Family;
}

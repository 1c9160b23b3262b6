import { CapabilityError, FormatError } from '../core/errors.js';
import { parseJson } from '../core/json.js';
import { unknown } from '../core/names.js';
import { checkValues, listOfTexts, oneOf, refuse, text } from '../core/requirements.js';
import { isPlainObject } from '../core/describe.js';
import type { Device } from '../devices/device.js';
import { createModel, readConfig } from '../models/index.js';
import { weightMap } from '../nn/index.js';
import { someDevice } from '../tensor/index.js';
import { checkFinite } from '../train/diagnose.js';
import type { Family, PublishedClass } from './family.js';
import { readFields, type Theirs } from './fields.js';
import { loadWeights } from './load-weights.js';
import type { Pretrained } from './loaded.js';
import { matching } from './names.js';
import { familyOf } from './registry.js';
import { sourceOf, type ModelSource, type PretrainedSource } from './source.js';
import { openWeights } from './weight-files.js';

export interface LoadPretrainedOptions {
  readonly device: Device;
  /** How weights are stored. Default, and so far the only one: `'f32'`. */
  readonly dtype?: 'f32';
  /** The class to load, such as `BertForMaskedLM`; default that of `architectures`, else the one whose tensors the file has. */
  readonly as?: string;
  /** Fields of `config.json` that are unknown, or have a value that is not understood, and that you know to change nothing. */
  readonly ignoreFields?: readonly string[];
}

/**
 * A model in Hugging Face layout: `config.json` decides the class, `model.safetensors` holds the weights.
 *
 * @throws FormatError for a folder without its files, or with damaged ones; CapabilityError for an architecture that is not here;
 * OptionError naming every field of the configuration that is not understood; ShapeError naming every tensor that does not fit.
 */
export async function loadPretrained(from: PretrainedSource, options: LoadPretrainedOptions): Promise<Pretrained> {
  checkValues(
    'loadPretrained',
    options,
    { device: someDevice, dtype: oneOf(['f32']), as: text, ignoreFields: listOfTexts },
    ['device'],
  );
  const { device, as, ignoreFields = [] } = options;
  const source = sourceOf(from);
  const who = `loadPretrained: "${source.name}"`;
  const published = await configOf(who, source);
  const family = familyOf(who, published['model_type']);
  const { values, unread, reasons } = readFields(published, family.fields, ignoreFields);
  refuse(`${who}: config.json of ${family.title}`, reasons);
  const theirs = values as Theirs;
  const files = await openWeights(who, source);
  try {
    const names = [...files.entries.keys()];
    const cls = classOf(who, family, { published, names, as, theirs });
    const config = readConfig(family.config(theirs, cls));
    const { rules, unused = [], ignored = [], ties } = family.map(theirs, cls, config);
    const map = weightMap(rules, { ignored: [...ignored, ...unused], ...(ties && { ties }) });
    const left = matching(names, unused);
    const model = createModel(config);
    try {
      await loadWeights(who, model, files, { device, map });
      await checkFinite(who, model);
    } catch (error) {
      model.dispose();
      throw error;
    }
    model.eval();
    const notes = [
      ...(unread.length > 0 ? [`Fields that change no result were not read: ${unread.join(', ')}.`] : []),
      ...(ignoreFields.length > 0 ? [`Fields that were ignored as asked: ${ignoreFields.join(', ')}.`] : []),
      ...(left.length > 0 ? [`Tensors that ${cls.name} has no use for were left out: ${left.join(', ')}.`] : []),
      ...(family.notes?.(theirs, cls) ?? []),
    ];
    const stored = new Map([...files.entries.values()].map(({ name, dtype }) => [name, dtype]));
    return { model, config, published, family, cls, theirs, map, stored, notes };
  } finally {
    await files.close();
  }
}

async function configOf(who: string, source: ModelSource): Promise<Readonly<Record<string, unknown>>> {
  const text = await source.text('config.json');
  if (text === undefined) {
    throw new FormatError(
      `${who}: it has no config.json, which says what the model is; download it beside the weights.`,
    );
  }
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new FormatError(`${who}: config.json is not JSON: ${(error as Error).message}.`, { cause: error });
  }
  if (isPlainObject(value)) return value;
  throw new FormatError(`${who}: config.json must hold an object, such as { "model_type": "bert" }.`);
}

/** The class that is asked for, that the configuration names, or whose tensors the file has. @throws CapabilityError for one not here. */
function classOf(
  who: string,
  { classes, prefix = '', title }: Family,
  given: {
    readonly published: Readonly<Record<string, unknown>>;
    readonly names: readonly string[];
    readonly as: string | undefined;
    readonly theirs: Theirs;
  },
): PublishedClass {
  const { published, names, as, theirs } = given;
  const known = Object.keys(classes);
  const named = as ?? (published['architectures'] as readonly unknown[] | null | undefined)?.[0];
  if (named !== undefined && !known.includes(named as string)) {
    throw new CapabilityError(`${who}: ${title}: ${unknown('class', [named], known)}. Another is loaded by as.`);
  }
  const name =
    (named as string | undefined) ??
    known.find((one) => classes[one]!.mark !== undefined && matching(names, [classes[one]!.mark!]).length > 0) ??
    known.at(-1)!;
  return {
    name,
    task: classes[name]!.task,
    prefix: prefix !== '' && names.some((one) => one.startsWith(prefix)) ? prefix : '',
    labels: Object.keys(theirs.id2label as object).length,
  };
}

import { floatDtypes, type FloatDtype } from '../core/dtype.js';
import { FormatError } from '../core/errors.js';
import { parseJson } from '../core/json.js';
import { anything, callable, checkValues, flag, listOfTexts, oneOf, plainObject, text } from '../core/requirements.js';
import { isPlainObject } from '../core/describe.js';
import type { Device } from '../devices/device.js';
import { createModel, readConfig } from '../models/index.js';
import { weightMap } from '../nn/index.js';
import { someDevice } from '../tensor/index.js';
import { checkFinite } from '../train/diagnose.js';
import { classOf, identify } from './identify.js';
import { loadWeights } from './load-weights.js';
import type { Pretrained } from './loaded.js';
import { matching } from './names.js';
import type { ModelSource } from './model-source.js';
import { sourceOf, type PretrainedSource, type SourceOptions } from './source.js';
import { tokenizerOf } from './tokenizer.js';
import { openWeights } from './weight-files.js';

export interface LoadPretrainedOptions extends SourceOptions {
  readonly device: Device;
  /**
   * How matrices are stored, as by `model.store`: with `'f16'` or `'bf16'` rounded to the nearest, in half the memory. What is no matrix of a
   * product is f32 as ever. Default `'f32'`.
   */
  readonly dtype?: FloatDtype;
  /** The class to load, such as `BertForMaskedLM`; default that of `architectures`, else the one whose tensors the file has. */
  readonly as?: string;
  /** Fields of `config.json` that are unknown, or have a value that is not understood, and that you know to change nothing. */
  readonly ignoreFields?: readonly string[];
  /** Whether its tokenizer is read, too; default true. */
  readonly tokenizer?: boolean;
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
    {
      device: someDevice,
      dtype: oneOf(floatDtypes),
      as: text,
      ignoreFields: listOfTexts,
      tokenizer: flag,
      onProgress: callable,
      signal: anything,
      hub: plainObject,
    },
    ['device'],
  );
  const {
    device,
    dtype = 'f32',
    as,
    ignoreFields = [],
    tokenizer: withTokenizer = true,
    onProgress,
    signal,
    hub,
  } = options;
  const source = await sourceOf(from, { onProgress, signal, hub });
  const who = `loadPretrained: "${source.name}"`;
  const published = await configOf(who, source);
  const { family, theirs, unread } = identify(who, published, ignoreFields);
  const files = await openWeights(who, source);
  try {
    const names = [...files.entries.keys()];
    const cls = classOf(who, family, { published, names, as, theirs });
    const config = readConfig(family.config(theirs, cls));
    const { rules, unused = [], ignored = [], ties, own } = family.map(theirs, cls, config);
    const map = weightMap(rules, { ignored: [...ignored, ...unused], ...(ties && { ties }), ...(own && { own }) });
    const left = matching(names, unused);
    const model = createModel(config).store(dtype);
    try {
      await loadWeights(who, model, files, { device, map });
      await checkFinite(who, model);
    } catch (error) {
      model.dispose();
      throw error;
    }
    model.eval();
    const notes: string[] = [
      ...(unread.length > 0 ? [`Fields that change no result were not read: ${unread.join(', ')}.`] : []),
      ...(ignoreFields.length > 0 ? [`Fields that were ignored as asked: ${ignoreFields.join(', ')}.`] : []),
      ...(left.length > 0 ? [`Tensors that ${cls.name} has no use for were left out: ${left.join(', ')}.`] : []),
      ...(family.notes?.(theirs, cls) ?? []),
    ];
    const stored = new Map([...files.entries.values()].map(({ name, dtype }) => [name, dtype]));
    const tokenizer = withTokenizer
      ? await tokenizerOf(source).catch((error: unknown) => noted(error, notes))
      : undefined;
    return {
      model,
      config,
      published,
      family,
      cls,
      theirs,
      map,
      stored,
      unused: left,
      notes,
      source,
      ...(tokenizer && { tokenizer }),
    };
  } finally {
    await files.close();
  }
}

/** What is wrong with a tokenizer is a note: the model runs on tokens. */
function noted(error: unknown, notes: string[]): undefined {
  notes.push((error as Error).message);
}

/** Python writes infinities as words, which JSON has not; outside of its texts they become a number that is too large to be finite. */
const withInfinities = (text: string): string =>
  text.replace(/"(?:[^"\\]|\\.)*"|Infinity/g, (part) => (part === 'Infinity' ? '1e999' : part));

async function configOf(who: string, source: ModelSource): Promise<Readonly<Record<string, unknown>>> {
  const text = await source.text('config.json');
  if (text === undefined) {
    throw new FormatError(
      `${who}: it has no config.json, which says what the model is; download it beside the weights.`,
    );
  }
  let value: unknown;
  try {
    value = parseJson(withInfinities(text));
  } catch (error) {
    throw new FormatError(`${who}: config.json is not JSON: ${(error as Error).message}; download it again.`, {
      cause: error,
    });
  }
  if (isPlainObject(value)) return value;
  throw new FormatError(`${who}: config.json must hold an object, such as { "model_type": "bert" }.`);
}

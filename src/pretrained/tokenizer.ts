import { isPlainObject } from '../core/describe.js';
import { CapabilityError, FormatError } from '../core/errors.js';
import { parseJson } from '../core/json.js';
import { parseTokeniser } from '../data/tokenise/load.js';
import type { Tokeniser } from '../data/tokenise/tokeniser.js';
import type { ModelSource } from './model-source.js';

const FILE = 'tokenizer.json';
/** What other tokenizers keep their pieces in. */
const foreign = [
  'spiece.model',
  'sentencepiece.bpe.model',
  'tokenizer.model',
  'vocab.txt',
  'vocab.json',
  'vocab.spm',
  'tekken.json',
];

/**
 * The tokenizer of a published model, of its `tokenizer.json`.
 *
 * @throws FormatError for a model without that file, with the remedy, or of a kind that is not known; CapabilityError where the optional
 * package that reads it is missing.
 */
export async function tokenizerOf(source: ModelSource): Promise<Tokeniser> {
  const text = await source.text(FILE);
  if (text !== undefined) {
    try {
      return await parseTokeniser(`${source.name}/${FILE}`, text);
    } catch (error) {
      if (error instanceof CapabilityError) throw error;
      throw new FormatError(
        `pretrained: the tokenizer of "${source.name}" is not read (${(error as Error).message.replace(/\.$/, '')}). ` +
          'Its kind may not be known to @huggingface/tokenizers: tokenise the text in Python, and give tokens.',
        { cause: error },
      );
    }
  }
  for (const name of foreign) {
    if (!(await source.has(name))) continue;
    throw new FormatError(
      `pretrained: the tokenizer of "${source.name}" is in ${name}, and ${FILE} is read; make one in Python: ` +
        'AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER).',
    );
  }
  throw new FormatError(`pretrained: "${source.name}" has no ${FILE}; download it beside config.json.`);
}

/** Where `tokenizer_config.json` or `special_tokens_map.json` write a special token: as a text, or as an object. */
const places = ['tokenizer_config.json', 'special_tokens_map.json'];

/** What a special token is written as: of `mask_token`, such as `[MASK]`. */
async function writtenAs(source: ModelSource, name: string): Promise<string | undefined> {
  for (const file of places) {
    const text = await source.text(file);
    if (text === undefined) continue;
    let json: unknown;
    try {
      json = parseJson(text);
    } catch {
      // what it says is known from elsewhere, or not at all
      continue;
    }
    const value = isPlainObject(json) ? json[name] : undefined;
    if (typeof value === 'string') return value;
    if (isPlainObject(value) && typeof value['content'] === 'string') return value['content'];
  }
  return undefined;
}

/** Of models that say nothing. */
const usual: Readonly<Record<string, readonly string[]>> = {
  mask: ['[MASK]', '<mask>'],
  pad: ['[PAD]', '<pad>'],
  sep: ['[SEP]', '</s>'],
  cls: ['[CLS]', '<s>'],
};

/** The number of a special token, by what the model's files say, or by what it is usually written as. */
export async function specialToken(
  source: ModelSource,
  tokeniser: Tokeniser,
  name: 'mask' | 'pad' | 'sep' | 'cls',
): Promise<{ readonly id: number; readonly text: string } | undefined> {
  const said = await writtenAs(source, `${name}_token`);
  for (const text of said === undefined ? usual[name]! : [said]) {
    const id = tokeniser.idOf?.(text);
    if (id !== undefined) return { id, text };
  }
  return undefined;
}

import { CapabilityError, FormatError, OptionError } from '../../core/errors.js';
import { openRegular, readWholeText } from '../../core/files/read.js';
import { parseJson } from '../../core/json.js';
import { callable, checkValue, text as someText } from '../../core/requirements.js';
import { nodeModule, requireNode } from '../../core/node.js';
import { reasonOf } from '../../core/system-errors.js';
import { ByteDecoder } from '../byte-decoder.js';
import type { MarkedText, TextStream, Tokeniser } from './tokeniser.js';

const { closeSync } = requireNode('node:fs');

/** The part of a tokenizer of the library that is used here. */
interface Library {
  encode(
    text: string,
    options: { add_special_tokens: boolean; text_pair?: string | null; return_token_type_ids?: boolean },
  ): { ids: number[]; token_type_ids?: number[] };
  token_to_id(token: string): number | undefined;
  decode(ids: number[], options: { clean_up_tokenization_spaces: boolean }): string;
  get_vocab(withAdded: boolean): Map<string, number>;
}
type Load = () => Promise<{ readonly Tokenizer: new (tokenizer: object, config: object) => Library }>;

const WHO = 'loadTokeniser';
// no literal: bundlers, and the compiler, would demand the package of those who never call this
const loadPackage: Load = () => import(/* @vite-ignore */ /* webpackIgnore: true */ PACKAGE) as ReturnType<Load>;
const PACKAGE = '@huggingface/tokenizers';
/** Bytes of a file, many times those of any there is. */
const LONGEST = 2 ** 28;
/** A character has at most four bytes: when so many tokens do not complete one, they are no UTF-8. */
const MOST_HELD = 8;

/**
 * The tokeniser of a Hugging Face `tokenizer.json` file, read by the optional package `@huggingface/tokenizers`. Its
 * template of special tokens is not applied: a text is only its own tokens. Bytes that are no UTF-8 are encoded as
 * `�` (U+FFFD), as the Encoding Standard replaces them.
 *
 * `load` brings that package where its name alone does not, as in a page: `() => import('@huggingface/tokenizers')`.
 *
 * @throws CapabilityError when the package is missing, FormatError for a file that cannot be read or is no tokenizer.
 */
export async function loadTokeniser(path: string, load: Load = loadPackage): Promise<Tokeniser> {
  checkValue(WHO, 'path', path, someText);
  checkValue(WHO, 'load', load, callable);
  let text: string;
  try {
    text = readTokeniser(path);
  } catch (error) {
    throw new FormatError(`${WHO}: "${path}" cannot be read (${reasonOf(error)}); name a tokenizer.json file.`);
  }
  return parseTokeniser(path, text, load);
}

/** The same of the text of such a file; `path` is what errors call it. @throws as `loadTokeniser`. */
export async function parseTokeniser(path: string, text: string, load: Load = loadPackage): Promise<Tokeniser> {
  const wrong = (why: unknown): FormatError =>
    new FormatError(`${WHO}: "${path}" is no tokenizer (${reasonOf(why)}); name a tokenizer.json file.`, {
      cause: why,
    });
  let json: object;
  try {
    json = parseJson(text) as object;
  } catch (error) {
    throw wrong(error);
  }
  const Tokenizer = await tokenizerOf(load).catch((error: unknown) => {
    const message = String(error).split('\n', 1)[0];
    throw new CapabilityError(
      `${WHO}: the optional package ${PACKAGE} cannot be loaded (${message}); run: npm install ${PACKAGE}`,
      { cause: error },
    );
  });
  const fingerprint = await sha256Hex(new TextEncoder().encode(text));
  try {
    return new LibraryTokeniser(path.split(/[\\/]/).at(-1)!, fingerprint, new Tokenizer(json, {}));
  } catch (error) {
    throw wrong(error);
  }
}

async function sha256Hex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const node = nodeModule('node:crypto');
  if (node !== undefined) return node.createHash('sha256').update(bytes).digest('hex');
  const { subtle } = globalThis.crypto as { readonly subtle?: typeof globalThis.crypto.subtle };
  // a page that is not a secure context has no hash, and nothing that keeps one
  const digest = await subtle?.digest('SHA-256', bytes);
  return digest === undefined
    ? ''
    : Array.from(new Uint8Array(digest), (x) => x.toString(16).padStart(2, '0')).join('');
}

/** The class of the library, or what keeps it from being there. */
async function tokenizerOf(load: Load): Promise<Awaited<ReturnType<Load>>['Tokenizer']> {
  const { Tokenizer } = Object(await load()) as Partial<Awaited<ReturnType<Load>>>;
  if (Tokenizer !== undefined) return Tokenizer;
  throw new Error('load brings no Tokenizer');
}

/** It is read more than once, now and when training goes on. */
function readTokeniser(path: string): string {
  closeSync(openRegular(path));
  return readWholeText(path, LONGEST);
}

/**
 * How many tokens a `tokenizer.json` has, read without the library; undefined for a file that is none, which `loadTokeniser` refuses.
 */
export function vocabularyOf(path: string): number | undefined {
  checkValue('vocabularyOf', 'path', path, someText);
  try {
    const { model, added_tokens: added = [] } = parseJson(readTokeniser(path)) as {
      readonly model: { readonly vocab: object };
      readonly added_tokens?: readonly { readonly id: number }[];
    };
    // a list of pieces has no ids: a piece is its place
    const ids = Array.isArray(model.vocab) ? [model.vocab.length - 1] : (Object.values(model.vocab) as number[]);
    const last = [...ids, ...added.map(({ id }) => id)].reduce((most, id) => Math.max(most, id), -1);
    return Number.isSafeInteger(last) && last >= 0 ? last + 1 : undefined;
  } catch {
    return undefined;
  }
}

class LibraryTokeniser implements Tokeniser {
  readonly name: string;
  readonly vocabulary: number;
  readonly fingerprint: string;
  readonly #library: Library;

  constructor(name: string, fingerprint: string, library: Library) {
    this.name = name;
    this.fingerprint = fingerprint;
    this.#library = library;
    let last = -1;
    for (const id of library.get_vocab(true).values()) last = Math.max(last, id);
    if (last < 0) throw new Error('its vocabulary is empty');
    this.vocabulary = last + 1;
  }

  encode(text: string | Uint8Array): Int32Array {
    const whole = typeof text === 'string' ? text : new TextDecoder('utf-8', { ignoreBOM: true }).decode(text);
    if (whole === '') return new Int32Array(0);
    const ids = Int32Array.from(this.#library.encode(whole, { add_special_tokens: false }).ids, (id) => id ?? -1);
    if (ids.every((id) => id >= 0)) return ids;
    throw new FormatError(
      `tokeniser "${this.name}": there is no token for a part of the text, nor one for what is unknown.`,
    );
  }

  marked(text: string, pair?: string): MarkedText {
    const options = {
      add_special_tokens: true,
      return_token_type_ids: true,
      ...(pair !== undefined && { text_pair: pair }),
    };
    const { ids, token_type_ids: types } = this.#library.encode(text, options);
    return { ids: Int32Array.from(ids), types: Int32Array.from(types ?? ids.map(() => 0)) };
  }

  idOf(token: string): number | undefined {
    return this.#library.token_to_id(token);
  }

  decode(ids: ArrayLike<number>): string {
    const list = Array.from(ids);
    const strange = list.find((id) => !(Number.isInteger(id) && id >= 0 && id < this.vocabulary));
    if (strange !== undefined) {
      throw new OptionError(`tokeniser "${this.name}": ids must be 0 to ${this.vocabulary - 1}; got ${strange}.`);
    }
    return list.length === 0 ? '' : this.#library.decode(list, { clean_up_tokenization_spaces: false });
  }

  decoder(): TextStream {
    return new TokenStream((ids) => this.decode(ids));
  }
}

/**
 * Tokens as text, piece by piece. Tokens are decoded together with those of the piece before, since the text of a
 * token may depend on its neighbour; tokens that end within a character are kept back.
 */
class TokenStream implements TextStream {
  readonly #decode: (ids: readonly number[]) => string;
  readonly #shown = new ByteDecoder();
  #before: readonly number[] = [];
  #held: number[] = [];

  constructor(decode: (ids: readonly number[]) => string) {
    this.#decode = decode;
  }

  push(ids: ArrayLike<number>): string {
    return Array.from(ids, (id) => this.#one(id)).join('');
  }

  end(): string {
    const rest = this.#flush();
    this.#before = [];
    return rest + this.#shown.end();
  }

  #one(id: number): string {
    this.#held.push(id);
    return this.#text().endsWith('\ufffd') && this.#held.length < MOST_HELD ? '' : this.#flush();
  }

  #text(): string {
    return this.#decode([...this.#before, ...this.#held]).slice(this.#decode(this.#before).length);
  }

  #flush(): string {
    const text = this.#text();
    this.#before = this.#held;
    this.#held = [];
    return this.#shown.push(new TextEncoder().encode(text));
  }
}

import { parseJson as parseValue } from '../core/json.js';
import { FormatError, OptionError } from '../core/errors.js';
import { isNode, requireNode } from '../core/node.js';
import { inMemory } from './checkpoint/bytes.js';
import { verify } from './checkpoint/checkpoint.js';
import { type Json, Safetensors, type Written } from './checkpoint/index.js';
import { type LoadedModel, modelOf, type ModelOfOptions } from './model-of.js';

/** A `Response`, a `Blob` or a `File`. */
export interface Body {
  arrayBuffer(): Promise<ArrayBuffer>;
  /** Of a `Response`. */
  readonly ok?: boolean;
  readonly status?: number;
  readonly url?: string;
  /** Of a `File`. */
  readonly name?: string;
}

/** Where the bytes of a file are: at an address, in an answer of `fetch`, in a `Blob` or `File`, or in memory. */
export type Origin = string | { readonly href: string } | Body | ArrayBuffer | Uint8Array;

export type JsonObject = Readonly<Record<string, Json>>;

/** The path on this machine that `from` stands for, or undefined for what is fetched or is no address. */
export function pathOf(from: Origin): string | undefined {
  const address = addressOf(from);
  if (!isNode() || address === undefined) return undefined;
  if (address.startsWith('file:')) return requireNode('node:url').fileURLToPath(address);
  // one letter is a drive of Windows
  return /^[a-z][a-z\d+.-]+:/i.test(address) ? undefined : address;
}

/** The model whose weights are not at a path; see `loadModel`. */
export async function modelFrom(from: Origin, json: JsonObject, options: ModelOfOptions): Promise<LoadedModel> {
  const { name, bytes } = await contentOf(from);
  const written = writtenOf(name, json);
  if (written !== undefined) await verify(`loadModel: "${name}"`, inMemory(bytes), written);
  return modelOf(json, await Safetensors.open(bytes, name), options);
}

/** What the JSON beside weights says of them; one that was written by hand may say nothing. */
export function writtenOf(name: string, { weights }: JsonObject): Written | undefined {
  if (weights === undefined) return undefined;
  const { bytes, sha256 } = (weights ?? {}) as Partial<Written>;
  if (Number.isSafeInteger(bytes) && /^[0-9a-f]{64}$/.test(String(sha256))) return { bytes: bytes!, sha256: sha256! };
  throw new FormatError(
    `loadModel: weights in the JSON of "${name}" must be { "bytes": …, "sha256": … }, as exportModel writes them; ` +
      `got ${JSON.stringify(weights)}. Restore it from a copy, or leave weights out: nothing is compared then.`,
  );
}

/** The object of a JSON text. @throws FormatError for another text. */
export function parseJson(name: string, text: string): JsonObject {
  let value: unknown;
  try {
    value = parseValue(text);
  } catch (error) {
    throw new FormatError(
      `"${name}" is not JSON: ${(error as Error).message}; mend it, or put back the one that was saved.`,
    );
  }
  if (isJson(value)) return value;
  throw new FormatError(`"${name}" must hold an object, such as { "model": { "width": 128 } }.`);
}

export const isJson = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** The JSON that is not at a path. */
export async function jsonFrom(from: Origin): Promise<JsonObject> {
  const { name, bytes } = await contentOf(from);
  return parseJson(name, new TextDecoder().decode(bytes));
}

/** The address of what has one: an answer of `fetch` has that of what was asked for. */
function addressOf(from: Origin): string | undefined {
  if (typeof from === 'string') return from;
  const { href, url } = Object(from) as { readonly href?: string; readonly url?: string };
  // an answer that was made by hand has an empty one
  return href ?? (url || undefined);
}

/** Where the JSON beside weights is. */
export function beside(from: Origin): string {
  const ending = /\.safetensors(?=$|[?#])/;
  const address = addressOf(from);
  if (address !== undefined && ending.test(address)) return address.replace(ending, '.json');
  throw new OptionError(
    'loadModel: these weights have no address that ends in .safetensors beside which their JSON could be; hand it over as json.',
  );
}

async function contentOf(from: Origin): Promise<{ readonly name: string; readonly bytes: Uint8Array }> {
  if (from instanceof Uint8Array) return { name: 'in memory', bytes: from };
  if (from instanceof ArrayBuffer) return contentOf(new Uint8Array(from));
  const address = addressOf(from);
  const body = address !== undefined && !('arrayBuffer' in Object(from)) ? await ask(address) : (from as Body);
  if (typeof (body as Partial<Body> | null)?.arrayBuffer !== 'function') {
    throw new OptionError(
      'loadModel: takes a path, a URL, a Response, a Blob or File, an ArrayBuffer or a Uint8Array.',
    );
  }
  const name = address || body.name || 'in memory';
  if (body.ok === false) throw new FormatError(`loadModel: "${name}" cannot be fetched (status ${body.status}).`);
  return { name, bytes: new Uint8Array(await body.arrayBuffer()) };
}

async function ask(address: string): Promise<Body> {
  try {
    return await fetch(address);
  } catch (error) {
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? cause.message : message;
    throw new FormatError(`loadModel: "${address}" cannot be fetched (${why}).`, { cause: error });
  }
}

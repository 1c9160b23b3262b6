import { parseJson } from '../../core/json.js';
import { FormatError } from '../../core/errors.js';
import { requireNode } from '../../core/node.js';
import { codeOf, reasonOf } from '../../core/system-errors.js';
import type { Files } from './files.js';
import type { Json } from './state.js';
import type { Written } from './write-safetensors.js';

const { createHash } = requireNode('node:crypto');
const { join } = requireNode('node:path');

export const MANIFEST = 'checkpoint.json';

const FORMAT = 'subquad checkpoint';
const VERSION = 1;
/** Longer than any state of a training run, and short enough to be read whole. */
const LONGEST = 2 ** 28;

/** What `checkpoint.json` says: where the tensors are, their checksum, and the state. */
export interface Manifest {
  readonly tensors: Written & { readonly file: string };
  readonly state: Json;
}

/** The name of a tensor file: its content, so that a new one never replaces another. */
export const tensorFile = (sha256: string): string => `tensors-${sha256.slice(0, 32)}.safetensors`;

/** Whether a name in the folder of a checkpoint is one of ours. */
export const isTensorFile = (name: string): boolean => /^tensors-[0-9a-f]{32}\.safetensors$/.test(name);

/** The text of a manifest, which carries the checksum of itself. */
export function formatManifest(content: Manifest): Uint8Array {
  const sha256 = sha256Of(JSON.stringify(content));
  return Buffer.from(`${JSON.stringify({ format: FORMAT, version: VERSION, sha256, content }, null, 2)}\n`);
}

const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex');

/** @throws FormatError when it is missing, unreadable, of another version, or not as it was written. */
export async function readManifest(who: string, folder: string, files: Files): Promise<Manifest> {
  const path = join(folder, MANIFEST);
  let text: string;
  try {
    text = await readText(path, files);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      throw new FormatError(
        `${who}: there is no checkpoint in "${folder}" (no ${MANIFEST}); name the folder it was saved to.`,
      );
    }
    throw new FormatError(`${who}: "${path}" cannot be read (${reasonOf(error)}).`, { cause: error });
  }
  const damaged = (why: string): FormatError =>
    new FormatError(`${who}: "${path}" is damaged (${why}); restore the folder from a copy, or train anew.`);
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    throw damaged('it is not JSON: cut short, or changed');
  }
  const { format, version, sha256, content } = (value ?? {}) as Record<string, unknown>;
  if (format !== FORMAT)
    throw new FormatError(`${who}: "${path}" is not a checkpoint of subquad; name another folder.`);
  if (version !== VERSION) {
    throw new FormatError(
      `${who}: "${path}" has version ${JSON.stringify(version)}, this program reads ${VERSION}; use the program that wrote it.`,
    );
  }
  // parsing keeps the order of the members, so the same content gives the same text
  if (content === undefined || sha256 !== sha256Of(JSON.stringify(content))) {
    throw damaged('it does not have its checksum: it was changed after it was saved');
  }
  const manifest = content as Manifest | null;
  // a checksum guards against accidents; a name that leads out of the folder is none
  if (manifest === null || !isTensorFile(manifest.tensors?.file)) throw damaged('it does not name its tensor file');
  return manifest;
}

async function readText(path: string, files: Files): Promise<string> {
  const file = await files.open(path, 'read');
  try {
    const size = await file.size();
    if (size > LONGEST) throw new FormatError(`${size} bytes are too many for a checkpoint.json`);
    const bytes = new Uint8Array(size);
    return Buffer.from(bytes.subarray(0, await file.read(bytes, 0))).toString('utf8');
  } finally {
    await file.close();
  }
}

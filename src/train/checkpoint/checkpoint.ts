import { FormatError } from '../../core/errors.js';
import { requireNode } from '../../core/node.js';
import { anything, checkValue, checkValues, text } from '../../core/requirements.js';
import { codeOf, reasonOf } from '../../core/system-errors.js';
import type { ByteSource } from './bytes.js';
import { sha256Of } from './digest.js';
import { type Files, nodeFiles, type OpenFile, someFiles } from './files.js';
import { formatManifest, isTensorFile, MANIFEST, readManifest, tensorFile } from './manifest.js';
import { openSafetensors } from './open-safetensors.js';
import type { Safetensors } from './safetensors.js';
import { checkState, type Json } from './state.js';
import { checkSources, type TensorSources, writeSafetensors, type Written } from './write-safetensors.js';

const { randomBytes } = requireNode('node:crypto');
const { join } = requireNode('node:path');

/** What a checkpoint keeps: named tensors, bit by bit, and a state that JSON can hold. */
export interface CheckpointContent {
  readonly tensors: TensorSources;
  readonly state: Json;
}

export interface LoadedCheckpoint {
  /** Open; close it when the tensors have been read. */
  readonly tensors: Safetensors;
  readonly state: Json;
}

const PART = '.part';

/**
 * Saves a checkpoint in `folder`, in place of the one that is there. At every instant the folder holds a whole checkpoint, the
 * old or the new: the tensors go to a file named by their SHA-256, which `checkpoint.json` does not yet name; once that is on
 * disk, a new `checkpoint.json` replaces the old in one step; then the old tensors are removed. One process may save to a
 * folder at a time; others may load meanwhile.
 *
 * @throws OptionError for tensors or a state that cannot be stored, FormatError when the folder cannot be written (a full
 * disk, say). The checkpoint before is then still there.
 */
export async function saveCheckpoint(
  folder: string,
  content: CheckpointContent,
  files: Files = nodeFiles,
): Promise<void> {
  const who = 'saveCheckpoint';
  checkValue(who, 'folder', folder, text);
  checkValue(who, 'files', files, someFiles);
  checkValues(who, content, { tensors: anything, state: anything });
  const { tensors, state } = content;
  checkSources(who, tensors);
  checkState(who, state);
  const part = join(folder, `.${randomBytes(6).toString('hex')}${PART}`);
  let replaced = false;
  try {
    await files.makeFolder(folder);
    const written = await writeFile(part, files, (file) => writeSafetensors(file, tensors));
    const file = tensorFile(written.sha256);
    await files.rename(part, join(folder, file));
    await files.syncFolder(folder);
    await writeFile(part, files, (out) => out.write(formatManifest({ tensors: { file, ...written }, state })));
    await files.rename(part, join(folder, MANIFEST));
    replaced = true;
    await files.syncFolder(folder);
    await tidy(folder, files).catch(() => undefined);
  } catch (error) {
    await tidy(folder, files).catch(() => undefined);
    // an error of the caller's tensors, or of their device, is not one of the disk
    if (codeOf(error) === '') throw error;
    const standing = replaced
      ? 'the new checkpoint is in place, but may not survive a loss of power'
      : 'what was saved there before is untouched';
    throw new FormatError(`${who}: "${folder}" cannot be written (${reasonOf(error)}); ${standing}.`, { cause: error });
  }
}

async function writeFile<T>(path: string, files: Files, body: (file: OpenFile) => Promise<T>): Promise<T> {
  const file = await files.open(path, 'write');
  try {
    const result = await body(file);
    await file.sync();
    return result;
  } finally {
    await file.close();
  }
}

/** Removes what `checkpoint.json` does not name: older tensors, and what failed or killed saves left. */
async function tidy(folder: string, files: Files): Promise<void> {
  const names = await files.list(folder);
  const current = names.includes(MANIFEST) ? (await readManifest('tidy', folder, files)).tensors.file : undefined;
  const ours = (name: string): boolean => isTensorFile(name) || (name.startsWith('.') && name.endsWith(PART));
  for (const name of names) {
    if (ours(name) && name !== current) await files.remove(join(folder, name));
  }
}

/**
 * Opens the checkpoint of `folder` after comparing every byte with its checksums.
 *
 * @throws FormatError when there is none, or a part of it is missing, cut short or changed: it says which, and what to do.
 */
export async function loadCheckpoint(folder: string, files: Files = nodeFiles): Promise<LoadedCheckpoint> {
  checkValue('loadCheckpoint', 'folder', folder, text);
  checkValue('loadCheckpoint', 'files', files, someFiles);
  return load(folder, files, undefined);
}

async function load(folder: string, files: Files, missed: string | undefined): Promise<LoadedCheckpoint> {
  const who = 'loadCheckpoint';
  const { tensors: expected, state } = await readManifest(who, folder, files);
  const path = join(folder, expected.file);
  try {
    const tensors = await openSafetensors(path, files, (file) => verify(`${who}: "${path}"`, file, expected));
    return { tensors, state };
  } catch (error) {
    if (codeOf((error as Error).cause) !== 'ENOENT') throw error;
    // a save may just have replaced the one that was named
    if (expected.file !== missed) return load(folder, files, expected.file);
    throw new FormatError(
      `${who}: "${path}" is missing; put it back beside its ${MANIFEST}, or restore both from a copy.`,
    );
  }
}

/** @throws FormatError unless the file is the one that was written. @internal */
export async function verify(what: string, file: ByteSource, { bytes, sha256 }: Written): Promise<void> {
  const remedy = 'restore it from a copy, or train anew';
  const size = await file.size();
  if (size !== bytes) {
    const how = size < bytes ? 'was cut short' : 'is too long';
    throw new FormatError(`${what} ${how} (${size} bytes of ${bytes}); ${remedy}.`);
  }
  const found = await sha256Of(file, size);
  if (found !== undefined && found !== sha256) {
    throw new FormatError(`${what} was changed after it was saved (its SHA-256 is another); ${remedy}.`);
  }
}

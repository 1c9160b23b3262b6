import { CapabilityError, FormatError } from '../core/errors.js';
import { makeFolders } from '../core/folders.js';
import { requireNode } from '../core/node.js';
import { codeOf, reasonOf } from '../core/system-errors.js';

const { createHash } = requireNode('node:crypto');
const { createReadStream, existsSync, statSync, renameSync, rmSync, truncateSync } = requireNode('node:fs');
const { open } = requireNode('node:fs/promises');
const { dirname, join } = requireNode('node:path');

/** What is used of the optional package. */
export interface HubPackage {
  listFiles(options: {
    repo: string;
    revision?: string;
    hubUrl?: string;
    accessToken?: string;
    recursive?: boolean;
    fetch?: typeof fetch;
  }): AsyncGenerator<HubFile>;
}
export interface HubFile {
  readonly type: string;
  readonly path: string;
  readonly size: number;
  /** SHA-1 of a git blob. */
  readonly oid: string;
  /** SHA-256 of a large file. */
  readonly lfs?: { readonly oid: string; readonly size: number };
}
export type LoadHub = () => Promise<HubPackage>;

const PACKAGE = '@huggingface/hub';
export const HUB = 'https://huggingface.co';
// no literal: bundlers, and the compiler, would demand the package of those who never call this
const loadPackage: LoadHub = () => import(/* @vite-ignore */ /* webpackIgnore: true */ PACKAGE) as ReturnType<LoadHub>;

export interface DownloadProgress {
  readonly file: string;
  /** Bytes of this file, and of all that are wanted. */
  readonly loaded: number;
  readonly total: number;
  readonly loadedOfAll: number;
  readonly totalOfAll: number;
}

export interface DownloadOptions {
  /** Where it goes: `FOLDER/owner/name/revision`. */
  readonly cache: string;
  /** A branch, tag or commit; default `main`. */
  readonly revision?: string | undefined;
  /** Default `https://huggingface.co`. */
  readonly hubUrl?: string | undefined;
  readonly accessToken?: string | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Brings the package where its name alone does not. */
  readonly load?: LoadHub | undefined;
}

/** Files that a model of this library is made of. */
const wanted = (path: string): boolean =>
  /^[^/]+\.(json|txt|model)$/.test(path) || /^model(-\d+-of-\d+)?\.safetensors$/.test(path);

/**
 * Downloads the files of `owner/name` that a model is made of, and returns their folder. A file gets its name when all of it is there and
 * its checksum is right: what was interrupted goes on where it stopped, and is never taken for a model.
 *
 * @throws CapabilityError where the optional package is missing; FormatError for what the hub does not have, wrong bytes, or a full disk.
 */
export async function downloadModel(name: string, options: DownloadOptions): Promise<string> {
  const { cache, revision = 'main', hubUrl = HUB, accessToken, load = loadPackage } = options;
  const hub = await load().catch((error: unknown) => {
    throw new CapabilityError(
      `loadPretrained: "${name}" is no folder, and downloading it takes the optional package ${PACKAGE} (${String(error).split('\n', 1)[0]}); run: npm install ${PACKAGE}`,
      { cause: error },
    );
  });
  const files: HubFile[] = [];
  try {
    const list = hub.listFiles({ repo: name, revision, hubUrl, ...(accessToken !== undefined && { accessToken }) });
    for await (const file of list) if (file.type === 'file' && wanted(file.path)) files.push(file);
  } catch (error) {
    throw new FormatError(`loadPretrained: "${name}" cannot be listed at ${hubUrl} (${reasonOf(error)}).`, {
      cause: error,
    });
  }
  const folder = join(cache, ...name.split('/'), revision.replace(/[^\w.-]/g, '-'));
  const totalOfAll = files.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  for (const file of files) {
    const url = `${hubUrl}/${name}/resolve/${encodeURIComponent(revision)}/${file.path}`;
    const told = (loaded: number): void =>
      options.onProgress?.({ file: file.path, loaded, total: file.size, loadedOfAll: before + loaded, totalOfAll });
    await download(url, join(folder, file.path), file, { ...options, told });
    before += file.size;
  }
  return folder;
}

interface Transfer extends DownloadOptions {
  readonly told: (loaded: number) => void;
}

async function download(url: string, path: string, file: HubFile, options: Transfer): Promise<void> {
  const { told } = options;
  if (existsSync(path) && statSync(path).size === file.size) return told(file.size);
  const part = `${path}.part`;
  try {
    makeFolders(dirname(path));
    const there = existsSync(part) ? statSync(part).size : 0;
    if (there > file.size) truncateSync(part, 0);
    await transfer(url, part, file, options);
    if ((await digestOf(part, file)) !== (file.lfs?.oid ?? file.oid)) {
      rmSync(part, { force: true });
      throw new FormatError(
        `loadPretrained: "${url}" has other bytes than its checksum says, so they were thrown away; try again.`,
      );
    }
    renameSync(part, path);
  } catch (error) {
    if (codeOf(error) === '' || error instanceof FormatError) throw error;
    throw new FormatError(
      `loadPretrained: "${path}" cannot be written (${reasonOf(error)}); what is there is kept as ${part}, and goes on from there.`,
      { cause: error },
    );
  }
}

/** Appends what is missing of a file. */
async function transfer(
  url: string,
  part: string,
  { size }: HubFile,
  { told, signal, accessToken }: Transfer,
): Promise<void> {
  const handle = await open(part, 'a');
  try {
    let loaded = (await handle.stat()).size;
    told(loaded);
    if (loaded === size) return;
    const headers = {
      ...(loaded > 0 && { range: `bytes=${loaded}-` }),
      ...(accessToken !== undefined && { authorization: `Bearer ${accessToken}` }),
    };
    let answer: Response;
    try {
      answer = await fetch(url, { headers, ...(signal && { signal }) });
    } catch (error) {
      throw broken(url, error);
    }
    if (!answer.ok) throw new FormatError(`loadPretrained: "${url}" cannot be fetched (status ${answer.status}).`);
    if (loaded > 0 && answer.status !== 206) {
      // the host begins anew
      await handle.truncate(0);
      loaded = 0;
    }
    const reader = answer.body!.getReader();
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw broken(url, error);
      });
      if (done) break;
      await handle.appendFile(value);
      loaded += value.length;
      told(loaded);
    }
    if (loaded !== size) {
      throw new FormatError(
        `loadPretrained: "${url}" ended after ${loaded} of ${size} bytes; try again, it goes on from there.`,
      );
    }
  } finally {
    await handle.close();
  }
}

const broken = (url: string, error: unknown): FormatError => {
  const { message, cause } = error as Error;
  const why = cause instanceof Error ? cause.message : message;
  return new FormatError(`loadPretrained: "${url}" broke off (${why}); try again, it goes on from there.`, {
    cause: error,
  });
};

/** SHA-256 of a large file; of others that of a git blob, SHA-1 of `blob SIZE\0` and the bytes. */
async function digestOf(path: string, { lfs, size }: HubFile): Promise<string> {
  const hash = createHash(lfs === undefined ? 'sha1' : 'sha256');
  if (lfs === undefined) hash.update(`blob ${size}\0`);
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

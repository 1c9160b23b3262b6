import { FormatError, OptionError } from '../core/errors.js';
import { readWholeText } from '../core/files/read.js';
import { userCacheFolder } from '../core/folders.js';
import { isNode, requireNode } from '../core/node.js';
import { codeOf, reasonOf } from '../core/system-errors.js';
import { nodeFiles, openSafetensors } from '../train/checkpoint/index.js';
import { downloadModel, HUB, type DownloadOptions } from './hub.js';
import type { ModelSource } from './model-source.js';
import { urlSource } from './url-source.js';

const { existsSync, statSync } = requireNode('node:fs');
const { join } = requireNode('node:path');

/** Bytes of a text, longer than any. */
const LONGEST = 2 ** 28;

/** A folder on this machine. @throws FormatError for a path that is none. */
export function folderSource(path: string): ModelSource {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new FormatError(
      `loadPretrained: "${path}" is no folder; name one in Hugging Face layout, with config.json and model.safetensors.`,
    );
  }
  return {
    name: path,
    has: async (file) => existsSync(join(path, file)),
    text: async (file) => {
      try {
        return readWholeText(join(path, file), LONGEST);
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return undefined;
        throw new FormatError(`loadPretrained: "${join(path, file)}" cannot be read (${reasonOf(error)}).`, {
          cause: error,
        });
      }
    },
    weights: (file) => openSafetensors(join(path, file), nodeFiles),
  };
}

/** The path of a folder, an address under which the files lie, or `owner/name` of a hub. */
export type PretrainedSource = string | URL;

export interface SourceOptions {
  /** Told of bytes that are fetched, file by file. */
  readonly onProgress?: ((progress: SourceProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Of `owner/name`: where models are kept, which revision, and of which hub. */
  readonly hub?: HubOptions | undefined;
}

export interface SourceProgress {
  readonly file: string;
  /** Bytes. */
  readonly loaded: number;
  readonly total: number;
}

export interface HubOptions extends Omit<DownloadOptions, 'cache' | 'onProgress' | 'signal'> {
  /** Default: `models` in the cache folder of this user. */
  readonly cache?: string | undefined;
}

/**
 * Where a model is. `owner/name` is a folder where there is one of that path; else it is downloaded, or in a page fetched by ranges.
 *
 * @throws OptionError for what is no source; FormatError for a folder that is not there; as `downloadModel`.
 */
export async function sourceOf(source: PretrainedSource, options: SourceOptions = {}): Promise<ModelSource> {
  const { onProgress, signal, hub = {} } = options;
  const address = source instanceof URL ? source : urlOf(source);
  if (address?.protocol === 'file:') return folderSource(requireNode('node:url').fileURLToPath(address));
  if (address !== undefined) return urlSource(address, { onProgress, signal });
  if (typeof source !== 'string' || source === '') {
    throw new OptionError('loadPretrained: takes the path of a folder, a URL, or owner/name of a hub.');
  }
  const onHub = /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(source);
  if (!isNode()) {
    const { hubUrl = HUB, revision = 'main' } = hub;
    return urlSource(new URL(`${hubUrl}/${source}/resolve/${revision}/`), { onProgress, signal });
  }
  if (!onHub || existsSync(source)) return folderSource(source);
  const { cache = join(userCacheFolder(), 'models'), ...rest } = hub;
  return folderSource(await downloadModel(source, { ...rest, cache, onProgress, signal }));
}

function urlOf(text: unknown): URL | undefined {
  return typeof text === 'string' && /^(https?|file):\/\//i.test(text) ? new URL(text) : undefined;
}

import { FormatError, OptionError } from '../core/errors.js';
import { readWholeText } from '../core/files/read.js';
import { requireNode } from '../core/node.js';
import { codeOf, reasonOf } from '../core/system-errors.js';
import { nodeFiles, openSafetensors, type Safetensors } from '../train/checkpoint/index.js';

const { existsSync, statSync } = requireNode('node:fs');
const { join } = requireNode('node:path');

/** Where the files of a published model are. */
export interface ModelSource {
  /** What errors call it. */
  readonly name: string;
  /** The text of a file; undefined where it is not there. @throws FormatError for one that cannot be read. */
  text(file: string): Promise<string | undefined>;
  /** Whether there is a file of that name. */
  has(file: string): Promise<boolean>;
  /** A file of weights. @throws FormatError for one that is missing, or breaks the format. */
  weights(file: string): Promise<Safetensors>;
}

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

export type PretrainedSource = string | URL;

/** @throws OptionError for what is no source. */
export function sourceOf(source: PretrainedSource): ModelSource {
  if (typeof source === 'string' && source !== '') return folderSource(source);
  throw new OptionError('loadPretrained: takes the path of a folder.');
}

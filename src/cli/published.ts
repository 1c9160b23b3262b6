import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { SourceProgress } from '../pretrained/source.js';
import * as format from '../report/format.js';
import type { Io } from './io.js';
import type { Progress } from './progress.js';

/** Options of commands that load a published model. */
export const publishedOptions = {
  as: { takes: 'text', value: 'CLASS', help: 'of a published model: the class to load, such as BertModel' },
  'ignore-field': {
    takes: 'texts',
    value: 'NAME',
    default: [],
    help: 'a field of config.json that is not known, and that you know to change nothing',
  },
} as const;

/** What a reader need know of a published model: fields that change nothing are in the JSON only. */
export const notesToShow = (notes: readonly string[]): readonly string[] =>
  notes.filter((note) => !note.startsWith('Fields that change no result'));

/** What a word names: a folder, an address, or `owner/name` where there is no folder of that path. */
export function modelSource(name: string, { cwd }: Pick<Io, 'cwd'>): string {
  const path = resolve(cwd, name);
  const elsewhere = /^https?:\/\//.test(name) || (!existsSync(path) && /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(name));
  return elsewhere ? name : path;
}

/** Says what is being fetched. */
export const downloading =
  (progress: Progress) =>
  ({ file, loaded, total }: SourceProgress): void =>
    progress.show(`${file}: ${format.bytes(loaded)} of ${format.bytes(total)}`);

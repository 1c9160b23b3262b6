import { FormatError, OptionError } from '../core/errors.js';
import { isStream } from '../core/files/read.js';
import { requireNode } from '../core/node.js';
import { checkValue, listOfTexts } from '../core/requirements.js';
import { reasonOf } from '../core/system-errors.js';

const { readdirSync, statSync } = requireNode('node:fs');
const { extname, join, resolve } = requireNode('node:path');

const ENDINGS = ['.txt', '.md', '.text'];

/**
 * The texts that paths stand for, in the order of the paths. A file stands for itself, whatever its name; a folder
 * for the files in it and in its folders that end in `.txt`, `.md` or `.text`, sorted by path (by code units, so that
 * the order is the same everywhere). Hidden and empty files and hidden folders of a folder are left out, and links to
 * folders are not followed. A file that is named twice is taken once. A pipe, and `/dev/stdin`, stand for what they bring.
 *
 * @throws FormatError naming every path that is missing, unreadable, neither file nor folder, an empty file, or a
 * folder without texts; OptionError for no paths.
 */
export function findTexts(paths: readonly string[]): string[] {
  checkValue('findTexts', 'paths', paths, listOfTexts);
  if (paths.length === 0) throw new OptionError('findTexts: no paths; name at least one text file or folder.');
  const problems: string[] = [];
  const found = new Map<string, string>();
  for (const path of paths) {
    try {
      if (isStream(path)) {
        found.set(path, path);
        continue;
      }
      const status = statSync(path);
      const texts = status.isDirectory() ? textsIn(path).sort() : [path];
      if (texts.length === 0) problems.push(`"${path}" has no ${ENDINGS.join(', ')} files`);
      else if (!status.isDirectory() && !status.isFile()) problems.push(`"${path}" is not a regular file`);
      else if (status.isFile() && status.size === 0) problems.push(`"${path}" is empty`);
      else for (const text of texts) if (!found.has(resolve(text))) found.set(resolve(text), text);
    } catch (error) {
      const within = (error as { path?: string }).path ?? path;
      problems.push(`"${within}" cannot be opened (${reasonOf(error)})`);
    }
  }
  if (problems.length === 0) return [...found.values()];
  throw new FormatError(
    `findTexts: ${problems.length} of ${paths.length} paths cannot be used: ${problems.join('; ')}; name text files or ` +
      'folders of them.',
  );
}

function textsIn(folder: string): string[] {
  const texts: string[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) texts.push(...textsIn(path));
    else if (ENDINGS.includes(extname(entry.name).toLowerCase()) && isText(path)) texts.push(path);
  }
  return texts;
}

function isText(path: string): boolean {
  const status = statSync(path);
  return status.isFile() && status.size > 0;
}

import { FormatError } from '../../core/errors.js';
import { requireNode } from '../../core/node.js';
import type { LabelledText } from './examples.js';
import { readExamples } from './read-file.js';

const { readdirSync, statSync } = requireNode('node:fs');
const { join } = requireNode('node:path');

/**
 * Texts of a folder with a folder for each class, which is called as that: the files in it and in its folders, sorted by path. What is
 * hidden is left out.
 *
 * @throws FormatError for a folder without classes, or a file that cannot be read.
 */
export function readFolders(folder: string): LabelledText[] {
  const entries = visible(folder);
  const classes = entries.filter((name) => statSync(join(folder, name)).isDirectory());
  if (classes.length === 0) {
    throw new FormatError(
      `labels: "${folder}" has no folders, one for each class; name a folder with them, or a file with a column of labels.`,
    );
  }
  return classes.flatMap((label) =>
    filesIn(join(folder, label)).map((path): LabelledText => ({ text: readExamples(path), label })),
  );
}

const visible = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort();

function filesIn(folder: string): string[] {
  return visible(folder).flatMap((name) => {
    const path = join(folder, name);
    const status = statSync(path);
    if (status.isDirectory()) return filesIn(path);
    return status.isFile() && status.size > 0 ? [path] : [];
  });
}

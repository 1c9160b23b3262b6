import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FormatError, OptionError } from '../../src/core/errors.js';
import { findTexts } from '../../src/data/index.js';
import { fileOf, temporaryFolder } from './folder.js';

/** A folder of these files, each with its name as text. */
function folderOf(...names: readonly string[]): string {
  const folder = temporaryFolder();
  for (const name of names) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), name);
  }
  return folder;
}

describe('findTexts', () => {
  test('folders: texts of all depths, sorted; hidden and empty ones and other files are left out', () => {
    const folder = folderOf('b.txt', 'a/z.md', 'a/B.TEXT', 'c.json', '.hidden.txt', '.git/x.txt', 'a.txt', 'Z.txt');
    writeFileSync(join(folder, 'empty.txt'), '');
    mkdirSync(join(folder, 'folder.txt'));
    symlinkSync(folder, join(folder, 'loop'));
    expect(findTexts([folder])).toEqual(
      ['Z.txt', 'a.txt', 'a/B.TEXT', 'a/z.md', 'b.txt'].map((name) => join(folder, name)),
    );
  });

  test('files: whatever their names, in the order given, once', () => {
    const folder = folderOf('a.txt', 'b.txt');
    const log = fileOf('x', '.data.log');
    expect(findTexts([log, join(folder, 'b.txt'), folder, log])).toEqual([
      log,
      join(folder, 'b.txt'),
      join(folder, 'a.txt'),
    ]);
  });

  test('everything that cannot be used is named at once', () => {
    const [empty, none, folder] = [fileOf(''), folderOf('a.json'), folderOf('a.txt')];
    symlinkSync(join(folder, 'gone'), join(folder, 'b.txt'));
    const all = (): string[] => findTexts([empty, none, '/nowhere/at/all', '/dev/null', fileOf('x'), folder]);
    expect(all).toThrow(FormatError);
    expect(all).toThrow(
      `findTexts: 5 of 6 paths cannot be used: "${empty}" is empty; "${none}" has no .txt, .md, .text files; ` +
        '"/nowhere/at/all" cannot be opened (it does not exist); "/dev/null" is not a regular file; ' +
        `"${join(folder, 'b.txt')}" cannot be opened (it does not exist); name text files or folders of them.`,
    );
    expect(() => findTexts([])).toThrow(OptionError);
  });
});

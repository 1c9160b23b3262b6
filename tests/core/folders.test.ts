// of core/node

import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeFolders } from '../../src/core/folders.js';

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'subquad-test-'));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

test('makes what is missing and returns the topmost that it made', () => {
  const path = join(base, 'a', 'b', 'c');
  expect(makeFolders(path, 0o700)).toBe(join(base, 'a'));
  if (process.platform !== 'win32') expect(statSync(join(base, 'a', 'b')).mode & 0o777).toBe(0o700);
  expect(makeFolders(path)).toBeUndefined();
  expect(makeFolders(join(path, 'd'))).toBe(join(path, 'd'));
  expect(makeFolders('/')).toBeUndefined();
});

test('a link to a folder is followed, one to nothing and a file are not folders', () => {
  mkdirSync(join(base, 'real'));
  symlinkSync(join(base, 'real'), join(base, 'link'), 'junction');
  expect(makeFolders(join(base, 'link', 'a'))).toBe(join(base, 'link', 'a'));
  expect(existsSync(join(base, 'real', 'a'))).toBe(true);
  symlinkSync(join(base, 'nothing'), join(base, 'broken'), 'junction');
  expect(() => makeFolders(join(base, 'broken', 'a'))).toThrow(/EEXIST/);
  writeFileSync(join(base, 'file'), '');
  expect(() => makeFolders(join(base, 'file'))).toThrow(/EEXIST/);
  expect(() => makeFolders(join(base, 'file', 'a'))).toThrow(/ENOTDIR/);
});

test.skipIf(process.platform !== 'linux')('a place that takes no folders is an error, and soon', () => {
  expect(() => makeFolders('/proc/nope/a/b')).toThrow(/ENOENT/);
});

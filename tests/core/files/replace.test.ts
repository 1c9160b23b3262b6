// of core/files/again

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Replacement, replaceFile } from '../../../src/core/files/replace.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'subquad-files-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const posix = process.platform !== 'win32';
const modeOf = (path: string): number => statSync(path).mode & 0o7777;

test('a file is old until it is new, and what was begun leaves nothing', () => {
  const path = join(folder, 'a');
  writeFileSync(path, 'old');
  const file = new Replacement(path);
  writeFileSync(file.part, 'ne');
  expect(readFileSync(path, 'utf8')).toBe('old');
  file.discard();
  expect(readdirSync(folder)).toEqual(['a']);
  replaceFile(path, 'new');
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(readdirSync(folder)).toEqual(['a']);
});

test('a name of any length that the system takes', () => {
  const path = join(folder, 'n'.repeat(255));
  replaceFile(path, 'x');
  replaceFile(path, 'y');
  expect(readFileSync(path, 'utf8')).toBe('y');
});

describe.skipIf(!posix)('what is there stays what it is', () => {
  test.each([0o600, 0o644, 0o664, 0o755])('mode %o, also while it is written', (mode) => {
    const path = join(folder, 'a');
    writeFileSync(path, 'old');
    chmodSync(path, mode);
    const file = new Replacement(path);
    expect(modeOf(file.part)).toBe(mode);
    file.commit();
    expect(modeOf(path)).toBe(mode);
  });

  test('a new file is as accessible as any other', () => {
    writeFileSync(join(folder, 'plain'), '');
    replaceFile(join(folder, 'a'), 'x');
    expect(modeOf(join(folder, 'a'))).toBe(modeOf(join(folder, 'plain')));
  });

  test('links are followed, through folders, to what is there or not yet', () => {
    mkdirSync(join(folder, 'far'));
    writeFileSync(join(folder, 'far', 'a'), 'old');
    symlinkSync('far', join(folder, 'near'));
    symlinkSync('near/a', join(folder, 'there'));
    symlinkSync('near/b', join(folder, 'later'));
    symlinkSync(join(folder, 'later'), join(folder, 'twice'));
    replaceFile(join(folder, 'there'), 'new');
    replaceFile(join(folder, 'twice'), 'made');
    expect(readlinkSync(join(folder, 'there'))).toBe('near/a');
    expect(readlinkSync(join(folder, 'later'))).toBe('near/b');
    expect(readFileSync(join(folder, 'far', 'a'), 'utf8')).toBe('new');
    expect(readFileSync(join(folder, 'far', 'b'), 'utf8')).toBe('made');
    expect(readdirSync(join(folder, 'far'))).toEqual(['a', 'b']);
  });

  test('a device is written into, directly and through a link', () => {
    const device = statSync('/dev/null').ino;
    symlinkSync('/dev/null', join(folder, 'link'));
    for (const path of ['/dev/null', join(folder, 'link')]) {
      replaceFile(path, 'x');
      new Replacement(path).discard();
      new Replacement(path).commit();
    }
    expect(statSync('/dev/null').ino).toBe(device);
    expect(lstatSync(join(folder, 'link')).isSymbolicLink()).toBe(true);
  });

  test('a full device is told of', () => {
    if (process.platform === 'linux') expect(() => replaceFile('/dev/full', 'x')).toThrow('ENOSPC');
  });

  test('a pipe carries all of it to a reader who may come later', async () => {
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    const reader = new Worker(
      `const { readFileSync } = require('node:fs');
       const { parentPort, workerData } = require('node:worker_threads');
       setTimeout(() => parentPort.postMessage(readFileSync(workerData, 'utf8').length), 50);`,
      { eval: true, workerData: path },
    );
    const read = new Promise((resolve) => reader.once('message', resolve));
    replaceFile(path, 'x'.repeat(1_000_000));
    expect(await read).toBe(1_000_000);
    expect(statSync(path).isFIFO()).toBe(true);
  });

  test('what cannot be written throws what the system says, and changes nothing', () => {
    symlinkSync('b', join(folder, 'a'));
    symlinkSync('a', join(folder, 'b'));
    expect(() => replaceFile(join(folder, 'a'), 'x')).toThrow('ELOOP');
    expect(() => replaceFile(join(folder, 'none', 'a'), 'x')).toThrow('ENOENT');
    expect(() => replaceFile(join(folder, 'n'.repeat(256)), 'x')).toThrow('ENAMETOOLONG');
    expect(() => replaceFile(folder, 'x')).toThrow('EISDIR');
    expect(readdirSync(folder).sort()).toEqual(['a', 'b']);
  });
});

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openCache, userCacheFolder } from '../../../src/devices/cpu/cache.js';

const posix = process.platform !== 'win32';
const root = process.getuid?.() === 0;

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'subquad-test-'));
});
afterEach(() => {
  chmodSync(base, 0o700);
  rmSync(base, { recursive: true, force: true });
});

// Windows keeps no modes
const mode = (path: string): number => (posix ? statSync(path).mode & 0o777 : 0o700);

/** The folder is refused for `reason`, and a private one stands in. */
function expectPrivate(folder: string, reason: RegExp): void {
  const cache = openCache(folder);
  expect(cache.folder).not.toBe(folder);
  expect(cache.reasons).toHaveLength(1);
  expect(cache.reasons[0]).toMatch(reason);
  expect(cache.reasons[0]).toContain(folder);
  expect(statSync(cache.folder).isDirectory()).toBe(true);
  expect(mode(cache.folder)).toBe(0o700);
}

test('a missing folder is created, with its parents, for this user alone', () => {
  const folder = join(base, 'a', 'subquad');
  expect(openCache(folder)).toEqual({ folder, reasons: [] });
  expect(mode(folder)).toBe(0o700);
  expect(openCache(folder).folder).toBe(folder);
});

test.skipIf(!posix)('a folder that others may write to is not used', () => {
  const folder = join(base, 'open');
  mkdirSync(folder);
  for (const mode of [0o770, 0o702, 0o777]) {
    chmodSync(folder, mode);
    expectPrivate(folder, /may be written by other users, and what they put there would be run; delete it, or name/);
  }
  chmodSync(folder, 0o755);
  expect(openCache(folder).folder).toBe(folder);
});

test.skipIf(!root)('a folder of another user is not used (only root can set this up)', () => {
  const folder = join(base, 'theirs');
  mkdirSync(folder, { mode: 0o700 });
  chownSync(folder, 12345, 12345);
  expectPrivate(folder, /belongs to another user \(uid 12345\)/);
});

test.skipIf(!posix || root)('a read-only folder is not used (root can write anywhere)', () => {
  const folder = join(base, 'frozen');
  mkdirSync(folder, { mode: 0o500 });
  expectPrivate(folder, /is read-only; make it writable/);
});

test('a folder that cannot be created is not used', () => {
  const file = join(base, 'file');
  writeFileSync(file, '');
  expectPrivate(join(file, 'subquad'), /cannot be created \(E\w+\)/);
  expectPrivate(file, /cannot be created \(EEXIST\)/);
});

test.skipIf(!posix)('a link to a folder is not a folder', () => {
  mkdirSync(join(base, 'real'), { mode: 0o700 });
  symlinkSync(join(base, 'real'), join(base, 'link'));
  expectPrivate(join(base, 'link'), /is not a directory/);
});

test('what other processes left is removed once they are over', () => {
  const saved = process.env['TMPDIR'];
  process.env['TMPDIR'] = base;
  try {
    const { pid } = spawnSync(process.execPath, ['--version']);
    const [over, alive, own] = [pid, process.ppid, process.pid].map((id) => join(base, `subquad-kernels-${id}-abcdef`));
    const others = ['subquad-kernels-', 'subquad-kernels-x-y', 'subquad-test-1'].map((name) => join(base, name));
    for (const path of [over!, alive!, own!, ...others]) mkdirSync(path);
    writeFileSync(join(over!, 'object.so'), '');
    openCache(join(base, 'cache'));
    expect([over!, alive!, own!, ...others].map((path) => existsSync(path))).toEqual([
      false,
      true,
      true,
      true,
      true,
      true,
    ]);
  } finally {
    if (saved === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = saved;
  }
});

test.skipIf(process.platform !== 'linux')('the user cache follows XDG, ignoring relative paths', () => {
  expect(userCacheFolder({ XDG_CACHE_HOME: '/x/y' })).toBe('/x/y/subquad');
  expect(userCacheFolder({ XDG_CACHE_HOME: 'x/y' })).toBe(join(homedir(), '.cache', 'subquad'));
  expect(userCacheFolder({})).toBe(join(homedir(), '.cache', 'subquad'));
  expect(existsSync('/x/y')).toBe(false);
});

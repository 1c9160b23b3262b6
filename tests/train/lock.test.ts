import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FormatError } from '../../src/core/errors.js';
import { LOCK, lockFolder } from '../../src/train/lock.js';
import { temporaryFolder } from '../data/folder.js';

/** A process that has ended. */
const { pid: gone } = spawnSync(process.execPath, ['-e', '']);

/** What a lock of this process says, with some of it changed. */
function lockLike(folder: string, change: Readonly<Record<string, unknown>>): string {
  const lock = lockFolder(folder);
  const own = JSON.parse(readFileSync(join(folder, LOCK), 'utf8')) as Record<string, unknown>;
  lock.release();
  const text = JSON.stringify({ ...own, ...change });
  writeFileSync(join(folder, LOCK), text);
  return text;
}

test('a folder has one holder, and is free afterwards', () => {
  const folder = temporaryFolder();
  const lock = lockFolder(folder);
  expect(() => lockFolder(folder)).toThrow(FormatError);
  expect(() => lockFolder(folder)).toThrow(`is trained in by process ${process.pid}, since `);
  expect(() => lockFolder(folder)).toThrow("two would destroy each other's checkpoints. Wait for its end");
  lock.release();
  lock.release();
  expect(readdirSync(folder)).toEqual([]);
  // a lock that is another's by now is left alone
  const text = lockLike(folder, { host: 'elsewhere', place: 'boot pid:[1]' });
  lock.release();
  expect(readFileSync(join(folder, LOCK), 'utf8')).toBe(text);
});

test.each<[string, Record<string, unknown>]>([
  ['the process has ended', { pid: gone }],
  ['the process has ended, where there is no /proc', { pid: gone, place: '', began: '' }],
  ...(existsSync('/proc/self/stat')
    ? ([
        ['its number is another process by now', { pid: process.pid, began: '1' }],
        ['the machine was started again since', { place: 'an-earlier-start pid:[4026531836]' }],
      ] as [string, Record<string, unknown>][])
    : []),
])('a stale lock is taken over, and said: %s', (_, change) => {
  const folder = temporaryFolder();
  lockLike(folder, change);
  const said: string[] = [];
  const lock = lockFolder(folder, (message) => said.push(message));
  expect(said).toEqual([expect.stringMatching(/^train: the lock of process \d+, which is gone, was taken over\.$/)]);
  expect(() => lockFolder(folder)).toThrow(FormatError);
  lock.release();
  expect(readdirSync(folder)).toEqual([]);
});

test.each<[string, Record<string, unknown>, string]>([
  ['another machine', { host: 'elsewhere', place: 'boot pid:[1]', pid: gone }, ' of elsewhere, since '],
  ['another machine without /proc', { host: 'elsewhere', place: '', pid: gone }, ' of elsewhere, since '],
  ...(existsSync('/proc/self/stat')
    ? ([['another container of this machine', { pid: gone, otherContainer: true }, ` of ${hostname()}, since `]] as [
        string,
        Record<string, unknown>,
        string,
      ][])
    : []),
])('whether the process runs cannot be seen: %s', (_, { otherContainer, ...change }, who) => {
  const folder = temporaryFolder();
  const own = JSON.parse(lockLike(folder, {})) as { readonly place: string };
  writeFileSync(join(folder, LOCK), '');
  const text = JSON.stringify({
    ...own,
    ...change,
    ...(otherContainer === true ? { place: own.place.replace(/\[.*/, '[7]') } : {}),
  });
  writeFileSync(join(folder, LOCK), text);
  expect(() => lockFolder(folder)).toThrow(who);
  expect(() => lockFolder(folder)).toThrow(`if it does not, delete "${join(folder, LOCK)}"`);
  expect(readFileSync(join(folder, LOCK), 'utf8')).toBe(text);
});

test.each(['', 'x', 'null', '{"pid":1}', '[]'])('a file that is no lock is left alone: %s', (text) => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, LOCK), text);
  expect(() => lockFolder(folder)).toThrow('is no lock of this program; delete it if nobody trains there.');
  expect(readFileSync(join(folder, LOCK), 'utf8')).toBe(text);
});

test('a folder that cannot be written', () => {
  expect(() => lockFolder(join(temporaryFolder(), 'none'))).toThrow('cannot be written (it does not exist)');
});

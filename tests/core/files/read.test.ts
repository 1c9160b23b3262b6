// of core/system-errors

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openRegular, readStart, readWhole, readWholeText } from '../../../src/core/files/read.js';
import { openCorpus } from '../../../src/data/index.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'subquad-files-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('the start of a file, or all of one that is not too long', () => {
  const path = join(folder, 'a');
  writeFileSync(path, 'é'.repeat(50_000));
  expect(readStart(path, 3)).toEqual({ bytes: Uint8Array.of(0xc3, 0xa9, 0xc3), size: 100_000 });
  expect(readWholeText(path, 100_000)).toBe('é'.repeat(50_000));
  expect(() => readWhole(path, 99_999)).toThrow('it has more than 99999 bytes');
});

describe.skipIf(process.platform === 'win32')('what is no regular file', () => {
  test('is not opened: a folder, a device', () => {
    for (const read of [openRegular, (path: string) => readStart(path, 1)]) {
      expect(() => read(folder)).toThrow('it is a folder');
      expect(() => read('/dev/zero')).toThrow('it is a device');
      expect(() => read(join(folder, 'none'))).toThrow('ENOENT');
    }
  });

  test('a pipe is read to its end, whenever its writer comes, and given up where none does', () => {
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    expect(() => openRegular(path)).toThrow('it is a pipe');
    expect(() => readStart(path, 1)).toThrow('it is a pipe that nobody writes to');
    const text = 'abc'.repeat(100_000);
    writeFileSync(join(folder, 'text'), text);
    const later = 'sleep 0.2; head -c 5 text; sleep 0.2; tail -c +6 text';
    for (const read of [() => readWholeText(path, 2 ** 20), corpusText]) {
      const writer = spawn('sh', ['-c', `exec > pipe; ${later}`], { cwd: folder });
      expect(read(path)).toBe(text);
      writer.kill();
    }
  });
});

function corpusText(path: string): string {
  const corpus = openCorpus([path]);
  const bytes = new Uint8Array(corpus.size);
  corpus.slice(0, 7).read(0, bytes.subarray(0, 7));
  corpus.slice(7, corpus.size).read(0, bytes.subarray(7));
  return Buffer.from(bytes).toString();
}

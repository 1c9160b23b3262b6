import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { OutputFile } from '../../src/cli/files.js';
import { readText } from '../../src/cli/text-file.js';
import { temporaryFolder } from './io.js';

describe('OutputFile', () => {
  test('checking a path leaves nothing behind and changes nothing', () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'old.html'), 'old');
    const file = new OutputFile('x', 'report', 'old.html', { cwd });
    expect(file.path).toBe(join(cwd, 'old.html'));
    void new OutputFile('x', 'report', 'new.html', { cwd });
    expect(readdirSync(cwd)).toEqual(['old.html']);
    expect(readFileSync(join(cwd, 'old.html'), 'utf8')).toBe('old');
    file.write('new');
    expect(readFileSync(join(cwd, 'old.html'), 'utf8')).toBe('new');
    expect(readdirSync(cwd)).toEqual(['old.html']);
  });
});

describe('readText', () => {
  test('reads as many bytes as asked for; a character cut at the end is no fault', () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'a.txt'), 'ab“cd”');
    expect(readText('x', 'a.txt', 4, { cwd })).toEqual({
      name: 'a.txt',
      bytes: Uint8Array.from([97, 98, 0xe2, 0x80]),
      size: 10,
    });
    expect(readText('x', join(cwd, 'a.txt'), 100, { cwd: '/' }).bytes).toHaveLength(10);
  });

  test('a character cut at the end of the whole file is one', () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'a.txt'), Uint8Array.of(97, 0xe2, 0x80));
    expect(() => readText('x', 'a.txt', 100, { cwd })).toThrow('x: "a.txt" is not UTF-8 text');
    symlinkSync('nowhere', join(cwd, 'link'));
    expect(() => readText('x', 'link', 100, { cwd })).toThrow('x: "link" does not exist');
  });
});

// of devices/cpu/{compile,seal}

import { execFile, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DeviceError } from '../../../src/core/errors.js';
import type { Compiler } from '../../../src/devices/cpu/compiler.js';
import { Objects } from '../../../src/devices/cpu/objects.js';
import { fakeCompiler, type FakeCompiler } from './fake-compiler.js';
import { transpiled } from '../../support/transpile.js';

let folder: string;
let cache: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'subquad-test-'));
  cache = join(folder, 'cache');
  mkdirSync(cache);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function compiler(options: FakeCompiler = {}, identity = 'fake'): Compiler {
  const command = fakeCompiler(folder, options);
  return { command, flags: ['-O3'], version: 'fake', width: 4, fusedMultiplyAdd: true, identity };
}

const SOURCE = 'int kernel;';
const root = process.getuid?.() === 0;

/** What may happen to an object while nobody looks. */
type Harm = (path: string, objects: Objects) => void | Promise<void>;
const bytesOf =
  (change: (bytes: Buffer) => Uint8Array | string): Harm =>
  (path) =>
    writeFileSync(path, change(readFileSync(path)));
const faults: [string, Harm][] = [
  ...[0, 1, 11, 21].map((length): [string, Harm] => [
    `cut to ${length} bytes`,
    bytesOf((bytes) => bytes.subarray(0, length)),
  ]),
  ['the end not written', bytesOf((bytes) => bytes.fill(0, 12))],
  ['one bit', bytesOf((bytes) => bytes.map((byte, i) => (i === 13 ? byte ^ 4 : byte)))],
  ['longer', bytesOf((bytes) => `${bytes.toString()};`)],
  ['gone', (path) => rmSync(path)],
  ['no seal', (path) => rmSync(`${path}.seal`)],
  ['an empty seal', (path) => writeFileSync(`${path}.seal`, '')],
  ['a seal cut short', (path) => truncateSync(`${path}.seal`, 40)],
  [
    'an endless seal',
    (path) => {
      rmSync(`${path}.seal`);
      symlinkSync('/dev/zero', `${path}.seal`);
    },
  ],
  [
    'another kernel under its name, seal and all',
    (path, objects) => {
      const other = objects.get('other', 'int other;');
      for (const end of ['', '.seal']) copyFileSync(other + end, path + end);
    },
  ],
  [
    'a link to it',
    (path) => {
      renameSync(path, `${path}.elsewhere`);
      symlinkSync(`${path}.elsewhere`, path);
    },
  ],
  [
    'a pipe',
    (path) => {
      rmSync(path);
      execFileSync('mkfifo', [path]);
    },
  ],
  ['others may write to it', (path) => chmodSync(path, 0o620)],
  ['others may write to its seal', (path) => chmodSync(`${path}.seal`, 0o602)],
  // only root can set these up
  ...(root
    ? ['', '.seal'].map((end): [string, Harm] => [
        `it belongs to another user${end}`,
        (path) => chownSync(path + end, 12345, 12345),
      ])
    : []),
];

const calls = (): number => readFileSync(join(folder, 'cc.log'), 'utf8').trim().split('\n').length;

describe.skipIf(process.platform === 'win32')('objects', () => {
  test('a source is compiled once; the name, the source and the identity make the key', async () => {
    const objects = new Objects(compiler(), cache);
    const path = objects.get('a kernel/1', 'int x;');
    expect(readFileSync(path, 'utf8')).toBe('int x;int x;');
    expect(path).toMatch(/a-kernel-1-[0-9a-f]{40}\.\w+$/);
    expect(objects.get('a kernel/1', 'int x;')).toBe(path);
    expect(await objects.compile('a kernel/1', 'int x;')).toBe(path);
    expect(calls()).toBe(1);
    expect(objects.get('a kernel/1', 'int y;')).not.toBe(path);
    expect(new Objects(compiler({}, 'other'), cache).get('a kernel/1', 'int x;')).not.toBe(path);
    expect(await objects.compile('b', 'int z;')).toMatch(/b-[0-9a-f]{40}/);
    expect(readdirSync(cache)).toHaveLength(8);
  });

  test.each(faults)('an object that is not as it was compiled is compiled again: %s', async (_, harm) => {
    const objects = new Objects(compiler(), cache);
    const path = objects.get('kernel', SOURCE);
    for (const again of [() => objects.get('kernel', SOURCE), () => objects.compile('kernel', SOURCE)]) {
      await harm(path, objects);
      const before = calls();
      expect(await again()).toBe(path);
      expect(calls()).toBe(before + 1);
      expect(readFileSync(path, 'utf8')).toBe(SOURCE + SOURCE);
      objects.get('kernel', SOURCE);
      expect(calls()).toBe(before + 1);
    }
  });

  test('objects that anybody may write are not made, whatever the umask', () => {
    const before = process.umask(0);
    try {
      const path = new Objects(compiler(), cache).get('kernel', SOURCE);
      for (const file of [path, `${path}.seal`]) expect(statSync(file).mode & 0o777).toBe(0o600);
    } finally {
      process.umask(before);
    }
  });

  test('what was left behind is removed after a day', () => {
    const path = new Objects(compiler(), cache).get('kernel', SOURCE);
    const left = ['.1234-abcd', '.1234-abcd.seal', '.failed.c'].map((end) => path + end);
    for (const file of left) writeFileSync(file, '');
    const all = readdirSync(cache);
    const open = (): Objects => new Objects(compiler(), cache);
    open();
    expect(readdirSync(cache)).toEqual(all);
    const long = new Date(Date.now() - 25 * 3600e3);
    for (const name of all) utimesSync(join(cache, name), long, long);
    expect(open().get('kernel', SOURCE)).toBe(path);
    expect(readdirSync(cache).sort()).toEqual([basename(path), `${basename(path)}.seal`]);
    expect(calls()).toBe(1);
  });

  test('a compiler that makes nothing, or was stopped, is an error that says so', async () => {
    const idle = new Objects(compiler({ idle: true }), cache);
    const made = /^x: the C compiler failed\.\nIt reports no error, but made no object that can be kept \(.*ENOENT/;
    const long = 'int x;'.repeat(1e5);
    expect(() => idle.get('x', long)).toThrow(made);
    await expect(idle.compile('x', long)).rejects.toThrow(made);
    for (const file of readdirSync(cache)) rmSync(join(cache, file));
    const stopped = new Objects(compiler({ signal: 'SIGINT' }), cache);
    expect(() => stopped.get('x', 'int;')).toThrow(/^x: the C compiler was stopped by SIGINT; run it again\. Set CC/);
    await expect(stopped.compile('x', 'int;')).rejects.toThrow(/was stopped by SIGINT/);
    expect(readdirSync(cache)).toEqual([]);
  });

  test('Ctrl-C reaches this process, and not the compiler it waits for', async () => {
    const script = `
      process.on('SIGINT', () => {});
      const { Objects } = await import(${JSON.stringify(join(transpiled(), 'devices/cpu/objects.js'))});
      const objects = new Objects(${JSON.stringify(compiler({ pause: 500 }))}, ${JSON.stringify(cache)});
      objects.get('now', 'int x;');
      await objects.compile('soon', 'int y;');
      console.log('done');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { detached: true });
    let [out, err] = ['', ''];
    child.stdout.on('data', (text: Buffer) => (out += String(text)));
    child.stderr.on('data', (text: Buffer) => (err += String(text)));
    // a terminal signals the whole group; here once while each compiler works
    let pressed = 0;
    const presses = setInterval(() => {
      if (!existsSync(join(folder, 'cc.log')) || calls() === pressed) return;
      pressed++;
      process.kill(-child.pid!, 'SIGINT');
    }, 20);
    const code = await new Promise((resolve) => child.on('close', resolve)).finally(() => clearInterval(presses));
    expect({ code, out, err, pressed }).toEqual({ code: 0, out: 'done\n', err: '', pressed: 2 });
    expect(readdirSync(cache).filter((name) => !/\.(so|dylib)(\.seal)?$/.test(name))).toEqual([]);
    expect(readdirSync(cache)).toHaveLength(4);
  });

  test('a failing compiler is an error with its message, the command and the kept source', async () => {
    const error = ['first line', ...Array.from({ length: 30 }, (_, i) => `line ${i}`)].join('\n');
    const objects = new Objects(compiler({ error }), cache);
    for (const attempt of [() => objects.get('broken', 'int;'), () => objects.compile('broken', 'int;')]) {
      let caught: unknown;
      try {
        await attempt();
      } catch (thrown) {
        caught = thrown;
      }
      expect(caught).toBeInstanceOf(DeviceError);
      const { message } = caught as DeviceError;
      expect(message).toMatch(/^broken: the C compiler failed\.\nfirst line\nline 0\n/);
      expect(message).not.toContain('line 20');
      expect(message).toMatch(/The command was: .*cc -O3 -x c - -o .* < .*\.failed\.c\nSet CC to another compiler/);
      expect(readFileSync(/< (.*\.failed\.c)/.exec(message)![1]!, 'utf8')).toBe('int;');
    }
    expect(readdirSync(cache).filter((name) => !name.endsWith('.failed.c'))).toEqual([]);
  });

  test('a compiler that vanished, a cache folder that vanished', () => {
    const objects = new Objects({ ...compiler(), command: join(folder, 'gone') }, cache);
    expect(() => objects.get('x', 'int;')).toThrow(/x: the C compiler failed\.\n.*ENOENT/);
    expect(() => new Objects(compiler(), join(folder, 'nowhere')).get('x', 'int;')).toThrow(DeviceError);
  });

  test('processes that compile the same kernel at once never see half an object', async () => {
    const fake = compiler({ pause: 150 });
    const source = 'int shared;'.repeat(1000);
    const script = `
      const { readFileSync } = await import('node:fs');
      const { Objects } = await import(${JSON.stringify(join(transpiled(), 'devices/cpu/objects.js'))});
      const objects = new Objects(${JSON.stringify(fake)}, ${JSON.stringify(cache)});
      const path = objects.get('shared', 'int shared;'.repeat(1000));
      process.stdout.write(String(readFileSync(path).length));`;
    const run = promisify(execFile);
    const started = Array.from({ length: 4 }, () => run(process.execPath, ['--input-type=module', '-e', script]));
    const path = new Objects(fake, cache).path('shared', source);
    const finished = Promise.all(started);
    const lengths = new Set<number>();
    const watch = setInterval(() => existsSync(path) && lengths.add(readFileSync(path).length), 2);
    await finished.finally(() => clearInterval(watch));
    expect([...lengths]).toEqual([2 * source.length]);
    for (const { stdout } of await finished) expect(stdout).toBe(String(2 * source.length));
    expect(readdirSync(cache).sort()).toEqual([basename(path), `${basename(path)}.seal`]);
  });
});

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DeviceError } from '../../../src/core/errors.js';
import type { Compiler } from '../../../src/devices/cpu/compiler.js';
import { Objects } from '../../../src/devices/cpu/objects.js';
import { fakeCompiler, type FakeCompiler } from './fake-compiler.js';
import { transpile } from './transpile.js';

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
    const modules = transpile(folder);
    const fake = compiler({ pause: 150 });
    const source = 'int shared;'.repeat(1000);
    const script = `
      const { readFileSync } = await import('node:fs');
      const { Objects } = await import(${JSON.stringify(join(modules, 'src/devices/cpu/objects.js'))});
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
    expect(readdirSync(cache)).toHaveLength(1);
  });
});

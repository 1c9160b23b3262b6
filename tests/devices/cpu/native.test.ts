// of devices/cpu/memory-native

import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { renderC } from '../../../src/codegen/render/c.js';
import { CapabilityError, DeviceError } from '../../../src/core/errors.js';
import { HostMemory } from '../../../src/devices/memory/memory.js';
import { NativeBackend } from '../../../src/devices/cpu/native.js';
import { createDevice } from '../../../src/devices/index.js';
import { Ledger } from '../../../src/devices/ledger.js';
import { fakeCompiler } from './fake-compiler.js';
import { affine, CHUNK, device, floats, nativeSupport } from './fixtures.js';

const native = await nativeSupport();
const koffi = await import('koffi').then(
  () => true,
  () => false,
);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'subquad-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const objects = (): string[] => readdirSync(folder).filter((name) => /\.(so|dylib|dll)$/.test(name));

describe.skipIf(!native.available)(`native${native.reason}`, () => {
  test('the cache folder holds one object per kernel, and a second device compiles nothing', async () => {
    const run = async (): Promise<void> => {
      const d = await device({ kind: 'native', threads: 1, cacheFolder: folder });
      const x = d.allocate(4 * CHUNK, 'tensor');
      d.write(x, new Float32Array(CHUNK).fill(2));
      d.run(affine(), [x, x, 3, 1], 1);
      expect(floats(await d.read(x))[0]).toBe(7);
    };
    await run();
    const first = objects();
    expect(first).toHaveLength(2);
    await run();
    expect(objects()).toEqual(first);
  });

  test('compileAll fills the cache in the background', async () => {
    const d = await device({ kind: 'native', threads: 2, cacheFolder: folder });
    const variant = (bias: number) => ({ ...affine(String(bias)), name: `affine${bias}` });
    await d.compileAll([variant(1), variant(2), variant(3)]);
    expect(objects()).toHaveLength(4);
  });

  test('a damaged object is compiled anew', async () => {
    const { width } = (await device({ kind: 'native', threads: 1, cacheFolder: folder })).info;
    const backend = await NativeBackend.open({ cacheFolder: folder });
    const before = new Set(objects());
    const { code } = backend.compile('affine', renderC(affine(), { width }));
    const path = new TextDecoder().decode(code);
    expect(before.has(basename(path))).toBe(false);
    // a copy in another folder, because this process has the first one loaded
    const other = mkdtempSync(join(folder, 'other-'));
    const damaged = join(other, basename(path));
    const whole = readFileSync(path);
    // half of it is loaded without an error, and ends the process when it is called
    writeFileSync(damaged, whole.subarray(0, whole.length / 2));
    copyFileSync(`${path}.seal`, `${damaged}.seal`);
    const again = await NativeBackend.open({ cacheFolder: other });
    again.compile('affine', renderC(affine(), { width }));
    expect(statSync(damaged).size).toBe(whole.length);
  });

  test('a kernel may call the C library', async () => {
    const backend = await NativeBackend.open({ cacheFolder: folder });
    // `volatile`, so that no compiler works it out
    const text = `float cosf(float); void *memcpy(void *, const void *, unsigned long);
void subquad_run(char *params, char *scratch, int begin, int end) {
  volatile float x = cosf((float)begin); volatile unsigned long length = 4; float y = x; memcpy(scratch, &y, length);
}`;
    const memory = new HostMemory(backend.source, new Ledger(), false);
    const block = memory.allocate(64, 'workspace');
    backend.compile('library', text).run(0, block.address, 1, 2);
    expect(floats(memory.bytes(block, 0, 4))[0]).toBe(Math.fround(Math.cos(1)));
    memory.free(block);
  });

  test('C that does not compile is an error with the message of the compiler', async () => {
    const backend = await NativeBackend.open({ cacheFolder: folder });
    expect(() => backend.compile('broken', 'int subquad_run(')).toThrow(DeviceError);
    expect(() => backend.compile('broken', 'int subquad_run(')).toThrow(/broken: the C compiler failed\.\n.*error/s);
    expect(() => backend.compile('empty', 'int other;')).toThrow(/empty: the compiled object .* cannot be loaded/);
  });

  test('an unusable cache folder is replaced by a private one, which info names', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const d = await device({ kind: 'native', threads: 2, cacheFolder: join(file, 'cache') });
    expect(d.info.reasons.join('\n')).toMatch(
      /kept for this process only, because the cache folder .* cannot be created/,
    );
    const x = d.allocate(4 * CHUNK * 4, 'tensor');
    d.write(x, new Float32Array(4 * CHUNK).fill(2));
    d.run(affine(), [x, x, 3, 1], 4);
    expect(floats(await d.read(x)).every((value) => value === 7)).toBe(true);
  });
});

test.skipIf(process.platform === 'win32' || !koffi)(
  'a compiler that cannot compile: native is refused, auto says why',
  async () => {
    const saved = process.env['CC'];
    process.env['CC'] = fakeCompiler(folder, { error: 'fatal error: stdint.h: No such file' });
    try {
      const refused = createDevice({ kind: 'native', cacheFolder: join(folder, 'cache') });
      await expect(refused).rejects.toThrow(CapabilityError);
      await expect(refused).rejects.toThrow(/runtime: the C compiler failed\.\nfatal error: stdint\.h: No such file/);
      const d = await device({ threads: 1, cacheFolder: join(folder, 'cache') });
      expect(d.info.kind).toBe('wasm');
      expect(d.info.reasons[0]).toMatch(/WebAssembly, not native: runtime: the C compiler failed/);
    } finally {
      if (saved === undefined) delete process.env['CC'];
      else process.env['CC'] = saved;
    }
  },
);

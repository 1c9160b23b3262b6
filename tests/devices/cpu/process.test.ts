import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { nativeSupport } from './fixtures.js';
import { transpiled } from '../../support/transpile.js';

/** How a process that uses a device starts and ends; every script runs in a process of its own. */

const native = await nativeSupport();
const modules = join(transpiled(), '..');
const folder = mkdtempSync(join(tmpdir(), 'subquad-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  /** Called at each output. */
  readonly onOutput?: (kill: (signal: NodeJS.Signals) => void) => void;
  /** Nothing is imported before the script. */
  readonly bare?: boolean;
  readonly env?: NodeJS.ProcessEnv;
}

function run(script: string, { onOutput, bare = false, env = {} }: RunOptions = {}): Promise<Outcome> {
  const path = join(modules, `script-${Math.random().toString(36).slice(2)}.mjs`);
  const kernel = `const fill = (forever) => ({ name: 'fill', key: String(forever), parameters: ['pointer'], cpu: (k) => {
    const out = k.parameter(0, 'pointer');
    k.loop(k.begin, k.end, (task) => k.store(k.offset(out, task, 4), task));
    if (forever) k.while(() => k.ge(k.loadI32(out), 0), () => k.store(out, k.constant('i32', 1)));
  } });\n`;
  const preface = `import { createDevice } from './dist/devices/index.js';\n${kernel}`;
  writeFileSync(path, bare ? script : preface + script);
  const child = spawn(process.execPath, [path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 20_000,
    env: { ...process.env, ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += String(chunk);
    onOutput?.((signal) => child.kill(signal));
  });
  child.stderr.on('data', (chunk: Buffer) => (stderr += String(chunk)));
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr })));
}

describe.each(['wasm', 'native'] as const)('%s', (kind) => {
  const skip = kind === 'native' && !native.available;
  const label = skip ? native.reason : '';

  test.skipIf(skip)(`a process that forgets to dispose of its device ends by itself${label}`, async () => {
    const outcome = await run(`
      const device = await createDevice({ kind: '${kind}', threads: 3 });
      const out = device.allocate(400, 'tensor');
      device.run(fill(false), [out], 100);
      console.log(new Int32Array((await device.read(out)).buffer)[99]);`);
    expect(outcome).toEqual({ code: 0, signal: null, stdout: '99\n', stderr: '' });
  });

  test.skipIf(skip)(`process.exit works with workers asleep${label}`, async () => {
    const outcome = await run(`
      const device = await createDevice({ kind: '${kind}', threads: 3 });
      console.log(device.info.threads);
      process.exit(7);`);
    expect(outcome).toEqual({ code: 7, signal: null, stdout: '3\n', stderr: '' });
  });

  test.skipIf(skip)(`a signal ends a process whose threads are all inside a kernel${label}`, async () => {
    const outcome = await run(
      `
      const device = await createDevice({ kind: '${kind}', threads: 2 });
      const out = device.allocate(400, 'tensor');
      console.log('running');
      setTimeout(() => device.run(fill(true), [out], 100), 50);`,
      { onOutput: (kill) => setTimeout(() => kill('SIGINT'), 500) },
    );
    expect(outcome).toMatchObject({ code: null, signal: 'SIGINT' });
  });
});

test.skipIf(!native.available || process.platform !== 'linux')(
  `a worker that does not stop keeps neither its device nor the process${native.reason}`,
  async () => {
    const outcome = await run(
      `
      import { spawnWorker } from './dist/devices/cpu/host.js';
      import { COMMAND, STATE, WORD } from './dist/devices/cpu/control.js';
      import { existsSync, writeFileSync } from 'node:fs';
      // what the worker loads as koffi says so, and sleeps in native code before it can be
      writeFileSync('${join(modules, 'stuck.cjs')}', \`
        const pause = require('koffi').load('libc.so.6').func('int pause()');
        require('node:fs').writeFileSync('${join(modules, 'is-stuck')}', '');
        pause();\`);
      const control = new SharedArrayBuffer(2 ** 20);
      const code = { kind: 'native', koffi: '${join(modules, 'stuck.cjs')}' };
      const setup = { control, layout: { WORD, COMMAND, STATE, PART: { scratch: 8192 } }, index: 1, params: 0, spin: 0, code };
      const worker = spawnWorker(setup, () => {});
      while (!existsSync('${join(modules, 'is-stuck')}')) await new Promise((resolve) => setTimeout(resolve, 20));
      await worker.terminate();
      console.log('disposed');`,
      { bare: true },
    );
    expect(outcome).toEqual({ code: null, signal: 'SIGKILL', stdout: 'disposed\n', stderr: '' });
  },
);

test.skipIf(!native.available)(`the private cache folder is gone after the process${native.reason}`, async () => {
  const out = join(folder, 'private-path');
  writeFileSync(join(folder, 'file'), '');
  const outcome = await run(`
    import { openCache } from './dist/devices/cpu/cache.js';
    import { writeFileSync } from 'node:fs';
    const blocked = ${JSON.stringify(join(folder, 'file', 'cache'))};
    const device = await createDevice({ kind: 'native', threads: 2, cacheFolder: blocked });
    device.run(fill(false), [device.allocate(400, 'tensor')], 100);
    writeFileSync(${JSON.stringify(out)}, openCache(blocked).folder);`);
  expect(outcome).toMatchObject({ code: 0, stderr: '' });
  const path = readFileSync(out, 'utf8');
  expect(path).toMatch(/subquad-/);
  expect(existsSync(path)).toBe(false);
});

test.skipIf(!native.available || process.platform !== 'linux')(
  `a cache folder in a place that takes none ends in a private one, of which nothing stays${native.reason}`,
  async () => {
    const outcome = await run(
      `
      const device = await createDevice({ threads: 1 });
      console.log(device.info.kind, device.info.reasons.join(' '));`,
      { env: { XDG_CACHE_HOME: '/proc/nope', TMPDIR: folder } },
    );
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout).toMatch(
      /^native .*Compiled kernels are kept for this process only, because the cache folder \/proc\/nope\/subquad cannot be created \(ENOENT\)/,
    );
    expect(readdirSync(folder).filter((name) => name.startsWith('subquad-'))).toEqual([]);
  },
);

test('importing the device code touches nothing that a bare worker or a browser lacks', async () => {
  const path = join(modules, 'bare.mjs');
  writeFileSync(
    path,
    `for (const name of ['process', 'navigator', 'Worker', 'performance', 'SharedArrayBuffer', 'WebAssembly', 'Blob']) {
      Object.defineProperty(globalThis, name, { get() { throw new Error('touched ' + name); } });
    }
    const { createDevice } = await import('./dist/devices/index.js');
    export default typeof createDevice;`,
  );
  const outcome = await run(`console.log((await import('./bare.mjs')).default);`, { bare: true });
  expect(outcome).toMatchObject({ code: 0, stdout: 'function\n', stderr: '' });
});

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { transpiled } from '../../support/transpile.js';

/**
 * The browser's side of the device code, in a Node process that plays a page: no `process`, a `Worker` that takes a
 * blob URL, and a main thread that may not block. What a real browser does beyond that is not tested here.
 */

const modules = join(transpiled(), '..');

const STAGE = `
import { resolveObjectURL } from 'node:buffer';
import { Worker as Thread } from 'node:worker_threads';
const { exit } = process;
const log = console.log;
globalThis.Worker = class {
  onerror = null;
  messages = [];
  constructor(url, { name }) {
    this.started = resolveObjectURL(url).text().then((text) => {
      const stage = "let onmessage; require('node:worker_threads').parentPort.once('message', (data) => onmessage({ data }));";
      const hide = 'const require = undefined, process = undefined;';
      this.thread = new Thread(stage + '{' + hide + text + '}', { eval: true, name });
      this.thread.on('error', (error) => this.onerror?.(error));
    });
  }
  postMessage(message) { this.started.then(() => this.thread.postMessage(message)); }
  terminate() { this.started.then(() => this.thread.terminate()); }
};
Object.defineProperty(globalThis, 'navigator', { value: { hardwareConcurrency: 2 }, configurable: true });
delete globalThis.process;
Atomics.wait = () => { throw new TypeError('Atomics.wait cannot be called in this context'); };
const { createDevice } = await import('./dist/devices/index.js');
const kernel = { name: 'squares', key: '', parameters: ['pointer'], cpu: (k) => {
  const out = k.parameter(0, 'pointer');
  k.loop(k.begin, k.end, (task) => k.store(k.offset(out, task, 4), k.mul(task, task)));
} };
const squares = async (device) => {
  const out = device.allocate(4000, 'tensor');
  device.run(kernel, [out], 1000);
  return new Int32Array((await device.read(out)).buffer).every((value, i) => value === i * i);
};
`;

async function page(script: string): Promise<string[]> {
  const path = join(modules, `page-${script.length}.mjs`);
  writeFileSync(path, `${STAGE}${script}\nexit(0);`);
  const { stdout } = await promisify(execFile)(process.execPath, [path], { timeout: 20_000 });
  return stdout.trim().split('\n');
}

test('an isolated page runs kernels on workers, without blocking its main thread', async () => {
  const lines = await page(`
    globalThis.crossOriginIsolated = true;
    const device = await createDevice();
    log(device.info.kind, device.info.threads, device.info.reasons.join(' '));
    log(await squares(device));
    await device.dispose();
    const three = await createDevice({ threads: 3 });
    log(await squares(three));
    await createDevice({ kind: 'native' }).catch((error) => log(error.name, error.message));`);
  expect(lines).toEqual([
    expect.stringMatching(/^wasm 2 WebAssembly, not native: only Node can load native code\. .*hardwareConcurrency\./),
    'true',
    'true',
    'CapabilityError createDevice: kind "native": only Node can load native code.',
  ]);
});

test('a page that is not isolated runs on one thread, and info says why', async () => {
  const lines = await page(`
    delete globalThis.SharedArrayBuffer;
    const device = await createDevice();
    log(device.info.threads, device.info.reasons.join(' '));
    log(await squares(device));
    await createDevice({ threads: 2 }).catch((error) => log(error.name, error.message));`);
  expect(lines).toEqual([
    expect.stringMatching(/^1 .*threads: 1, because this page is not cross-origin isolated; serve it with/),
    'true',
    expect.stringMatching(/^CapabilityError createDevice: 2 threads asked; .*Cross-Origin-Opener-Policy/),
  ]);
});

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { CapabilityError, FormatError } from '../../src/core/errors.js';
import { createDevice, type Device } from '../../src/devices/index.js';
import { downloadModel, type DownloadOptions, type LoadHub } from '../../src/pretrained/hub.js';
import { loadPretrained } from '../../src/pretrained/index.js';
import { temporaryFolder } from '../data/folder.js';
import { fileOf, tinyConfig, tinyWeights } from './folder.js';

// A small server in the layout of a hub, which can be told to fail.

const files: Record<string, Uint8Array> = {
  'config.json': new TextEncoder().encode(JSON.stringify(tinyConfig)),
  'model.safetensors': fileOf(tinyWeights()),
  'README.md': new TextEncoder().encode('not wanted'),
};
let server: Server;
let hubUrl = '';
let device: Device & { dispose(): Promise<void> };
/** What goes wrong: the bytes that are sent before the connection ends, another byte, hosts without ranges. */
let fault: { readonly cut?: number; readonly other?: boolean; readonly whole?: boolean } = {};
let asked: { readonly url: string; readonly range: string | undefined }[] = [];

const digest = (name: 'sha1' | 'sha256', bytes: Uint8Array, before = ''): string =>
  createHash(name).update(before).update(bytes).digest('hex');
const tree = Object.entries(files).map(([path, bytes]) => ({
  type: 'file',
  path,
  size: bytes.length,
  oid: digest('sha1', bytes, `blob ${bytes.length}\0`),
  ...(path.endsWith('.safetensors') && { lfs: { oid: digest('sha256', bytes), size: bytes.length, pointerSize: 9 } }),
}));

beforeAll(async () => {
  device = await createDevice({ kind: 'wasm', threads: 1 });
  server = createServer((request, response) => {
    const url = request.url!;
    const { range } = request.headers;
    asked.push({ url, range });
    if (url.startsWith('/api/models/some/tiny/tree/main')) {
      response.setHeader('content-type', 'application/json');
      return response.end(JSON.stringify(tree));
    }
    const bytes = files[/^\/some\/tiny\/resolve\/main\/([\w.-]+)/.exec(url)?.[1] ?? ''];
    if (bytes === undefined) return response.writeHead(404).end();
    const [, from = '0', to = String(bytes.length - 1)] = /^bytes=(\d+)-(\d+)?$/.exec(range ?? '') ?? [];
    const sent = Uint8Array.from(fault.whole ? bytes : bytes.subarray(Number(from), Number(to) + 1));
    if (fault.other && url.endsWith('.safetensors')) sent[sent.length - 1]! ^= 1;
    response.writeHead(range !== undefined && !fault.whole ? 206 : 200, {
      'content-length': sent.length,
      ...(range !== undefined && !fault.whole && { 'content-range': `bytes ${from}-${to}/${bytes.length}` }),
    });
    if (fault.cut === undefined || !url.endsWith('.safetensors')) return response.end(sent);
    response.write(sent.subarray(0, fault.cut), () => setTimeout(() => response.destroy(), 20));
    return undefined;
  });
  await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done));
  hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => {
  fault = {};
  asked = [];
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await device.dispose();
});

/** What the package does: it asks the hub for the tree. */
const load: LoadHub = async () => ({
  async *listFiles({ repo, revision, hubUrl: url }) {
    const answer = await fetch(`${url}/api/models/${repo}/tree/${revision}?recursive=false`);
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    yield* (await answer.json()) as typeof tree;
  },
});

const download = (options: Partial<DownloadOptions> = {}): Promise<string> =>
  downloadModel('some/tiny', { cache: temporaryFolder(), hubUrl, load, ...options });

test('owner/name is downloaded once, with progress, and loaded', async () => {
  const cache = temporaryFolder();
  const told: number[] = [];
  const options = { device, hub: { cache, hubUrl, load } };
  const onProgress = ({ loaded }: { readonly loaded: number }): void => void told.push(loaded);
  const { model } = await loadPretrained('some/tiny', { ...options, onProgress });
  model.dispose();
  const folder = join(cache, 'some', 'tiny', 'main');
  expect(readdirSync(folder).sort()).toEqual(['config.json', 'model.safetensors']);
  expect(Math.max(...told)).toBe(files['model.safetensors']!.length);
  asked = [];
  (await loadPretrained('some/tiny', options)).model.dispose();
  expect(asked.map(({ url }) => url)).toEqual([expect.stringContaining('/tree/main')]);
});

test('what broke off has no final name, and goes on where it stopped', async () => {
  const cache = temporaryFolder();
  fault = { cut: 500 };
  await expect(download({ cache })).rejects.toThrow(/broke off .*goes on from there|ended after/);
  const folder = join(cache, 'some', 'tiny', 'main');
  expect(existsSync(join(folder, 'model.safetensors'))).toBe(false);
  const part = statSync(join(folder, 'model.safetensors.part')).size;
  expect(part).toBeGreaterThan(0);
  fault = {};
  asked = [];
  await download({ cache });
  expect(asked.at(-1)).toMatchObject({ range: `bytes=${part}-` });
  expect(new Uint8Array(readFileSync(join(folder, 'model.safetensors')))).toEqual(files['model.safetensors']);
  expect(existsSync(join(folder, 'model.safetensors.part'))).toBe(false);
});

test('a host without ranges begins anew', async () => {
  const cache = temporaryFolder();
  fault = { cut: 500 };
  await expect(download({ cache })).rejects.toThrow(FormatError);
  fault = { whole: true };
  const folder = await download({ cache });
  expect(new Uint8Array(readFileSync(join(folder, 'model.safetensors')))).toEqual(files['model.safetensors']);
});

test('Ctrl-C leaves no file under the final name', async () => {
  const cache = temporaryFolder();
  const stop = new AbortController();
  fault = { cut: 500 };
  const onProgress = ({ file, loaded }: { readonly file: string; readonly loaded: number }): void => {
    if (file === 'model.safetensors' && loaded > 0) stop.abort();
  };
  await expect(download({ cache, signal: stop.signal, onProgress })).rejects.toThrow();
  expect(existsSync(join(cache, 'some', 'tiny', 'main', 'model.safetensors'))).toBe(false);
});

test('other bytes than the checksum says are thrown away', async () => {
  const cache = temporaryFolder();
  fault = { other: true };
  await expect(download({ cache })).rejects.toThrow(/other bytes than its checksum says, so they were thrown away/);
  expect(readdirSync(join(cache, 'some', 'tiny', 'main'))).toEqual(['config.json']);
});

test('what the hub does not have, a missing package and a place that takes no files are said', async () => {
  const missing: LoadHub = () => Promise.reject(new Error('not found'));
  await expect(download({ load: missing })).rejects.toThrow(CapabilityError);
  await expect(download({ load: missing })).rejects.toThrow('npm install @huggingface/hub');
  const other = downloadModel('some/other', { cache: temporaryFolder(), hubUrl, load });
  await expect(other).rejects.toThrow(/"some\/other" cannot be listed .*status 404/);
  const file = join(temporaryFolder(), 'file');
  writeFileSync(file, '');
  await expect(download({ cache: file })).rejects.toThrow(/cannot be written/);
});

test('a URL is read by ranges, whole where its host has none, and never beyond what it says', async () => {
  const url = new URL(`${hubUrl}/some/tiny/resolve/main/`);
  for (const one of [url, String(url).slice(0, -1)]) {
    const { model, notes } = await loadPretrained(one, { device });
    expect(notes).toContainEqual(expect.stringContaining('has no tokenizer.json'));
    model.dispose();
  }
  expect(asked.some(({ range }) => range?.startsWith('bytes=0-'))).toBe(true);
  fault = { whole: true };
  (await loadPretrained(url, { device })).model.dispose();
  fault = {};
  await expect(loadPretrained(new URL(`${hubUrl}/none/`), { device })).rejects.toThrow(/no config\.json/);
  await expect(loadPretrained('http://127.0.0.1:9/x', { device })).rejects.toThrow(/cannot be fetched/);
  fault = { cut: 100 };
  await expect(loadPretrained(url, { device })).rejects.toThrow(/broke off while it was fetched|cannot be fetched/);
});

import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FormatError, OptionError } from '../../src/core/errors.js';
import { createDevice, type Device } from '../../src/devices/index.js';
import { createModel, readConfig } from '../../src/models/index.js';
import { exportModel, loadModel, type Origin } from '../../src/train/index.js';
import { temporaryFolder } from '../data/folder.js';
import { expectSameBits } from '../support/compare.js';
import { expectNoLeaks, held } from '../support/devices.js';

const config = readConfig({ vocabulary: 7, layers: 1, width: 8, heads: 2, length: 5 });
const folder = temporaryFolder();
const weights = join(folder, 'a.safetensors');
const json = join(folder, 'a.json');
let device: Device;
let before: ReturnType<typeof held>;
let server: Server;
let address: string;

beforeAll(async () => {
  device = await createDevice({ kind: 'wasm', threads: 1 });
  before = held(device);
  const model = createModel(config).initialise({ device, seed: 3 });
  await exportModel(weights, model, { model: config, note: 'mine' });
  model.dispose();
  server = createServer(({ url }, response) => {
    const name = url!.slice(1).split('?', 1)[0]!;
    if (name.startsWith('a.')) response.end(readFileSync(join(folder, name)));
    else response.writeHead(404).end('no');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  expectNoLeaks(device, before);
  await device.dispose();
});

async function numbersOf(from: Origin, given?: Origin | object): Promise<number[]> {
  const { model, json } = await loadModel(from, { device, ...(given && { json: given as Origin }) });
  expect(json).toMatchObject({ note: 'mine' });
  const all = await Promise.all([...model.stateDict().values()].map((one) => one.data()));
  model.dispose();
  return all.flatMap((one) => [...one]);
}

test('the same weights from a path, a URL, an answer, a Blob and bytes, wherever their JSON is', async () => {
  const want = await numbersOf(weights);
  const bytes = readFileSync(weights);
  const object = JSON.parse(readFileSync(json, 'utf8')) as object;
  const url = `${address}/a.safetensors`;
  const origins: Readonly<Record<string, readonly [Origin, (Origin | object)?]>> = {
    'a URL of a file': [pathToFileURL(weights)],
    'a URL as a string': [url],
    'a URL': [new URL(`${url}?version=2`)],
    'an answer': [await fetch(url)],
    'an answer without an address': [new Response(bytes), object],
    'a Blob, and JSON at a path': [new Blob([bytes]), json],
    'an array, and JSON at a URL': [Uint8Array.from(bytes), `${address}/a.json`],
    'an array buffer, and JSON in an answer': [Uint8Array.from(bytes).buffer, await fetch(`${address}/a.json`)],
    'a path, and JSON elsewhere': [weights, object],
  };
  for (const [name, [from, given]] of Object.entries(origins)) expectSameBits(name, await numbersOf(from, given), want);
});

test('refused: what is not there, changed, of unknown JSON, or no origin', async () => {
  const url = `${address}/a.safetensors`;
  const bytes = Uint8Array.from(readFileSync(weights));
  const object = JSON.parse(readFileSync(json, 'utf8')) as object;
  bytes[bytes.length - 1]! ^= 1;
  const refused = async (from: unknown, given: unknown, kind: new () => Error, message: RegExp): Promise<void> => {
    const outcome = loadModel(from as Origin, { device, ...(given !== undefined && { json: given as Origin }) });
    await expect(outcome, String(message)).rejects.toThrow(kind);
    await expect(outcome).rejects.toThrow(message);
  };
  await refused(`${address}/b.safetensors`, undefined, FormatError, /b\.json" cannot be fetched \(status 404\)/);
  await refused(`${address}/b.safetensors`, object, FormatError, /b\.safetensors" cannot be fetched \(status 404\)/);
  await refused('http://127.0.0.1:1/a.safetensors', undefined, FormatError, /cannot be fetched \(/);
  await refused(bytes, object, FormatError, /"in memory" was changed after it was saved/);
  await refused(bytes.subarray(1), object, FormatError, /was cut short/);
  await refused(bytes, undefined, OptionError, /hand it over as json/);
  await refused(`${address}/a.json`, undefined, OptionError, /hand it over as json/);
  await refused(url, url, FormatError, /is not JSON/);
  for (const from of [undefined, null, 3, {}, []]) await refused(from, object, OptionError, /takes a path, a URL/);
  await expect(loadModel(url, { device, weights: 'best' })).rejects.toThrow('is for the folder of a run');
});

test('the model of the package is reached by its name', async () => {
  const { model, config } = await loadModel(new URL('../../assets/model.safetensors', import.meta.url), { device });
  expect(config.width).toBe(192);
  model.dispose();
  const { exports } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
    exports: Record<string, unknown>;
  };
  expect(exports['./assets/*']).toBe('./assets/*');
});

import { build, type Plugin } from 'esbuild';
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { mechanisms } from '../../src/attention/index.js';
import { type Headers, ISOLATED, missing, openChromium, policy } from './chromium.js';
import { root, temporary } from './installed.js';
import type { Summary } from './suite/main.js';

/** The tests of what a page computes with: the same files that Node runs, operations and the gate of every mechanism. */
const folders = ['attention', 'contract', 'core', 'masks', 'models', 'nn', 'ops', 'positions', 'scores', 'tensor'];
/** Files that look at our sources, mock a module or ask the system stay in Node. */
const forPages = (text: string): boolean => !/from 'node:(?!fs')|\bvi\b.* from 'vitest'/.test(text);

const textOf = (name: string): string => readFileSync(join(root, 'tests', name), 'utf8');
const all = folders
  .flatMap((part) =>
    readdirSync(join(root, 'tests', part), { recursive: true, encoding: 'utf8' }).map((name) => join(part, name)),
  )
  .filter((name) => name.endsWith('.test.ts'))
  .sort();
const files = all.filter((name) => forPages(textOf(name)));

test('every operation and every mechanism is among them', () => {
  const operations = all.filter((name) => name.startsWith('ops/'));
  const gates = all.filter((name) => /^\s*gate\(/m.test(textOf(name)));
  expect(gates.length).toBeGreaterThanOrEqual(mechanisms.length);
  expect([...operations, ...gates].filter((name) => !files.includes(name))).toEqual([]);
});

const folder = temporary();
const chromium = openChromium();
const script = (name: string): string => `/tests/${name.replace(/ts$/, 'js')}`;

/** Files of tests know where their fixtures are by the address of their source. */
const addresses: Plugin = {
  name: 'addresses',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\/tests\/.*\.ts$/ }, ({ path }) => {
      const address = `new URL('/${relative(root, path)}', location.href).href`;
      return { loader: 'ts', contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', address) };
    });
  },
};

beforeAll(async () => {
  const suite = join(root, 'tests/browser/suite');
  await build({
    entryPoints: [join(suite, 'main.ts'), ...files.map((name) => join(root, 'tests', name))],
    outbase: root,
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    alias: { vitest: join(suite, 'vitest.ts'), 'node:fs': join(suite, 'files.ts') },
    define: { 'process.env': '{}' },
    // as package.json says of what is built; and no page looks for drivers
    external: ['*/cpu/native.js', './webgpu.js'],
    plugins: [addresses],
  });
  mkdirSync(join(folder, 'tests'), { recursive: true });
  symlinkSync(join(root, 'tests/fixtures'), join(folder, 'tests/fixtures'));
});

const strict = policy("'self' 'wasm-unsafe-eval'");
/** What differs where a page has one thread: kernels and what starts them. The full run has gates and models there too. */
const few = process.env['SUBQUAD_FULL'] ? files : files.filter((name) => !/^(attention|models|nn)\b/.test(name));
interface Place {
  readonly files: readonly string[];
  readonly headers: Headers;
  readonly worker: boolean;
}
const places: Readonly<Record<string, Place>> = {
  'in an isolated page': { files, headers: ISOLATED, worker: false },
  'in a module worker, not isolated, under a strict policy': { files: few, headers: strict, worker: true },
};

describe.skipIf(missing)(`the suite in Chromium${missing === undefined ? '' : ` (${missing})`}`, () => {
  test.concurrent.each(Object.entries(places))('%s', async (_, { files: own, ...options }) => {
    const summary = await chromium.run(folder, 'tests/browser/suite/main.js', {
      ...options,
      argument: own.map(script),
    });
    const { passed, failed } = summary as Summary;
    expect(failed).toEqual([]);
    // more than one test in every file
    expect(passed).toBeGreaterThan(2 * own.length);
  });
});

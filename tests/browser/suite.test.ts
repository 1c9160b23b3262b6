import { build, type Plugin } from 'esbuild';
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Headers, ISOLATED, missing, openChromium, policy } from './chromium.js';
import { root, temporary } from './installed.js';
import type { Summary } from './suite/main.js';

/** The tests of what a page computes with: the same files that Node runs, operations and the gate of every mechanism. */
const folders = ['attention', 'contract', 'core', 'masks', 'models', 'nn', 'ops', 'positions', 'scores', 'tensor'];
/** They look at our sources, mock a module, or collect garbage. */
const nodeOnly = new Set(['contract/mechanisms', 'attention/decoder-memory', 'tensor/tensor']);

const files = folders
  .flatMap((part) =>
    readdirSync(join(root, 'tests', part), { recursive: true, encoding: 'utf8' }).map((name) => join(part, name)),
  )
  .filter((name) => name.endsWith('.test.ts') && !nodeOnly.has(name.replace('.test.ts', '')))
  .sort();

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
    // as package.json says of what is built
    external: ['*/cpu/native.js'],
    plugins: [addresses],
  });
  mkdirSync(join(folder, 'tests'), { recursive: true });
  symlinkSync(join(root, 'tests/fixtures'), join(folder, 'tests/fixtures'));
});

const strict = policy("'self' 'wasm-unsafe-eval'");
interface Place {
  readonly headers: Headers;
  readonly worker: boolean;
}
const places: Readonly<Record<string, Place>> = {
  'in an isolated page': { headers: ISOLATED, worker: false },
  'in a module worker, not isolated, under a strict policy': { headers: strict, worker: true },
};

describe.skipIf(missing)(`the suite in Chromium${missing === undefined ? '' : ` (${missing})`}`, () => {
  test.concurrent.each(Object.entries(places))('%s', async (_, options) => {
    const summary = await chromium.run(folder, 'tests/browser/suite/main.js', {
      ...options,
      argument: files.map(script),
    });
    const { passed, failed } = summary as Summary;
    expect(failed).toEqual([]);
    // more than one test in every file
    expect(passed).toBeGreaterThan(2 * files.length);
  });
});

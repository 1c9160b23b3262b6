import { build } from 'esbuild';
import { relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { entryPoints, installed } from './installed.js';

const folder = installed();

/** What a page that uses all of an entry point loads at most: kilobytes, minified, after gzip. Raise one only for what is worth it. */
const budgets: Readonly<Record<string, number>> = {
  subquad: 214,
  'subquad/attention': 189,
  'subquad/data': 17.5,
  'subquad/masks': 23,
  'subquad/models': 267,
  'subquad/nn': 123.5,
  'subquad/positions': 72,
  'subquad/pretrained': 312,
  'subquad/scores': 12,
  'subquad/train': 289,
};

interface Loaded {
  /** What a page loads before anything runs. */
  readonly first: number;
  /** What it loads when a device on a GPU is asked for, all else that waits until then included. */
  readonly later: number;
}

async function kilobytes(source: string): Promise<Loaded> {
  const stdin = { contents: source, resolveDir: folder };
  const { outputFiles, metafile } = await build({
    stdin,
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    write: false,
    metafile: true,
    outdir: folder,
  });
  const { outputs } = metafile;
  const entry = Object.keys(outputs).find((path) => outputs[path]!.entryPoint === '<stdin>')!;
  const first = new Set([entry]);
  for (const path of first)
    for (const { path: next, kind } of outputs[path]!.imports) if (kind === 'import-statement') first.add(next);
  const of = (wanted: boolean): number =>
    outputFiles
      .filter(({ path }) => first.has(relative(process.cwd(), path)) === wanted)
      .reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length / 1000, 0);
  return { first: of(true), later: of(false) };
}

test.each(entryPoints)('%s keeps to its budget', async (name) => {
  const { first } = await kilobytes(`export * from '${name}';`);
  expect(first, `${first.toFixed(1)} kB`).toBeLessThanOrEqual(budgets[name]!);
});

test('attend alone, and everything together, keep to theirs', async () => {
  const core = await kilobytes("export { attend, createDevice, tensor } from 'subquad';");
  expect(core.first, `${core.first.toFixed(1)} kB`).toBeLessThanOrEqual(62.5);
  expect(core.later, `${core.later.toFixed(1)} kB for GPUs`).toBeLessThanOrEqual(32);
  const all = entryPoints.map((name, i) => `export * as part${i} from '${name}';`).join('\n');
  const everything = await kilobytes(all);
  expect(everything.first, `${everything.first.toFixed(1)} kB`).toBeLessThanOrEqual(365);
  expect(everything.later, `${everything.later.toFixed(1)} kB for GPUs`).toBeLessThanOrEqual(32);
});

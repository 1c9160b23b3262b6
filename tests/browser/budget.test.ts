import { build } from 'esbuild';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { entryPoints, installed } from './installed.js';

const folder = installed();

/** What a page that uses all of an entry point loads at most: kilobytes, minified, after gzip. Raise one only for what is worth it. */
const budgets: Readonly<Record<string, number>> = {
  subquad: 203,
  'subquad/attention': 178.5,
  'subquad/data': 17.5,
  'subquad/masks': 23,
  'subquad/models': 254,
  'subquad/nn': 100.5,
  'subquad/positions': 66,
  'subquad/pretrained': 300,
  'subquad/scores': 12,
  'subquad/train': 275,
};

async function kilobytes(source: string): Promise<number> {
  const stdin = { contents: source, resolveDir: folder };
  const { outputFiles } = await build({ stdin, bundle: true, minify: true, format: 'esm', write: false });
  return gzipSync(outputFiles[0]!.contents, { level: 9 }).length / 1000;
}

test.each(entryPoints)('%s keeps to its budget', async (name) => {
  const taken = await kilobytes(`export * from '${name}';`);
  expect(taken, `${taken.toFixed(1)} kB`).toBeLessThanOrEqual(budgets[name]!);
});

test('attend alone, and everything together, keep to theirs', async () => {
  const core = await kilobytes("export { attend, createDevice, tensor } from 'subquad';");
  expect(core, `${core.toFixed(1)} kB`).toBeLessThanOrEqual(56.5);
  const all = entryPoints.map((name, i) => `export * as part${i} from '${name}';`).join('\n');
  const everything = await kilobytes(all);
  expect(everything, `${everything.toFixed(1)} kB`).toBeLessThanOrEqual(350);
});

import { buildSync } from 'esbuild';
import { mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');

let made: string | undefined;

/** A folder with the program as JavaScript, types not checked, for tests that need a process of its own. Gone after the run. */
export function transpiled(): string {
  return (made ??= transpile());
}

function transpile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'subquad-build-'));
  writeFileSync(join(folder, 'package.json'), readFileSync(join(root, 'package.json')));
  for (const name of ['assets', 'node_modules']) symlinkSync(join(root, name), join(folder, name), 'junction');
  const src = join(root, 'src');
  const names = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const outdir = join(folder, 'dist');
  buildSync({
    entryPoints: names.map((name) => join(src, name)),
    outbase: src,
    outdir,
    format: 'esm',
    target: 'es2022',
  });
  return outdir;
}

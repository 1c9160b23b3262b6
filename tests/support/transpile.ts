import { mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));

let made: string | undefined;

/** A folder with the program as JavaScript, types not checked, for tests that need a process of its own. Gone after the run. */
export function transpiled(): string {
  return (made ??= transpile());
}

function transpile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'subquad-build-'));
  writeFileSync(join(folder, 'package.json'), readFileSync(join(root, 'package.json')));
  for (const name of ['assets', 'node_modules']) symlinkSync(join(root, name), join(folder, name), 'junction');
  for (const name of readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    const { outputText } = ts.transpileModule(readFileSync(join(root, 'src', name), 'utf8'), {
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
      },
    });
    const path = join(folder, 'dist', name.replace(/ts$/, 'js'));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, outputText);
  }
  return join(folder, 'dist');
}

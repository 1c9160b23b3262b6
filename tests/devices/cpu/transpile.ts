import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const repository = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * Writes the part of the library under `devices` as JavaScript below `folder`, for tests that need a process of their
 * own and must not depend on an earlier build. Returns the folder that holds `src`.
 */
export function transpile(folder: string): string {
  const target = join(folder, 'js');
  for (const part of ['core', 'codegen', 'kernels', 'devices']) {
    for (const name of readdirSync(join(repository, 'src', part), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts')) continue;
      const { outputText } = ts.transpileModule(readFileSync(join(repository, 'src', part, name), 'utf8'), {
        compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
      });
      const path = join(target, 'src', part, name.replace(/\.ts$/, '.js'));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, outputText);
    }
  }
  writeFileSync(join(target, 'package.json'), '{ "type": "module" }');
  // for koffi
  symlinkSync(join(repository, 'node_modules'), join(target, 'node_modules'), 'junction');
  return target;
}

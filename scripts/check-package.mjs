// Packs the package as npm would publish it and looks at it from outside: publint, attw, and an installed copy that is
// imported in the main thread and in a bare worker. Leaves nothing behind.
import { execFileSync } from 'node:child_process';
import { unexportedTypes } from './exported-types.mjs';
import { compileSnippets } from './snippets.mjs';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'subquad-package-'));
const run = (command, args, cwd) => {
  console.log(`$ ${command} ${args.join(' ')}`);
  execFileSync(command, args, { cwd, stdio: 'inherit', shell: process.platform === 'win32' });
};

const visit = `
import { Worker, isMainThread } from 'node:worker_threads';
const parts = ['attention', 'data', 'masks', 'models', 'nn', 'positions', 'pretrained', 'scores', 'train'];
for (const name of ['subquad', ...parts.map((part) => 'subquad/' + part)]) {
  const names = Object.keys(await import(name));
  if (names.length === 0) throw new Error(name + ' exports nothing');
  if (isMainThread) console.log(name + ': ' + names.length + ' exports');
}
if (isMainThread) new Worker(new URL(import.meta.url)).on('error', (error) => { throw error; });
`;

try {
  run('npm', ['pack', '--silent', '--pack-destination', folder]);
  const tarball = join(
    folder,
    readdirSync(folder).find((name) => name.endsWith('.tgz')),
  );
  run('npx', ['publint', 'run', '--strict', tarball]);
  run('npx', ['attw', '--profile', 'esm-only', tarball]);
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  writeFileSync(join(folder, 'visit.js'), visit);
  // without optional packages: the library must import where they are missing
  run('npm', ['install', '--silent', '--no-audit', '--omit=optional', '--ignore-scripts', tarball], folder);
  run('node', ['visit.js'], folder);
  const problems = [...unexportedTypes(join(folder, 'node_modules/subquad')), ...compileSnippets(folder)];
  if (problems.length > 0) throw new Error(problems.join('\n'));
  run('npx', ['--no-install', 'subquad', '--help'], folder);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

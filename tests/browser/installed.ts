import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** A folder that is gone after the tests of the file. */
export function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'subquad-browser-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A folder of someone who uses the package: what was built lies in its `node_modules`, beside it scripts that use it. */
export function installed(): string {
  const folder = temporary();
  const target = join(folder, 'node_modules/subquad');
  mkdirSync(target, { recursive: true });
  for (const name of ['package.json', 'dist', 'assets'])
    cpSync(join(root, name), join(target, name), { recursive: true });
  for (const name of ['app.mjs', 'gpu.mjs', 'text.mjs']) cpSync(join(root, 'tests/browser', name), join(folder, name));
  return folder;
}

/** The entry points of the package, as its users name them. */
export const entryPoints = [
  '',
  'attention',
  'data',
  'masks',
  'models',
  'nn',
  'positions',
  'pretrained',
  'scores',
  'train',
].map((part) => (part === '' ? 'subquad' : `subquad/${part}`));

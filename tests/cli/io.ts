import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { World } from '../../src/cli/io.js';
import { program } from '../../src/cli/program.js';

const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** An empty folder, removed after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'subquad-cli-'));
  folders.push(folder);
  return folder;
}

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command line in this process. */
export async function cli(argv: readonly string[], options: Partial<World> = {}): Promise<Ran> {
  let [out, err] = ['', ''];
  const world: World = {
    out: (text) => (out += text),
    err: (text) => (err += text),
    cwd: options.cwd ?? temporaryFolder(),
    env: {},
    outTerminal: false,
    errTerminal: false,
    outColumns: Infinity,
    columns: 80,
    ...options,
  };
  const code = await program(argv, world);
  return { code, out, err };
}

import type { World } from '../../src/cli/io.js';
import { commandLine } from '../../src/cli/command-line.js';
import { temporaryFolder } from '../data/folder.js';

export { temporaryFolder };

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
  const code = await commandLine(argv, world);
  return { code, out, err };
}

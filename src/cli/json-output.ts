import { printable } from './ansi.js';
import { OutputFile } from './files.js';
import type { Io } from './io.js';

export interface JsonOutput {
  /** Whether stdout is for the JSON alone. */
  readonly standard: boolean;
  write(value: unknown): void;
}

/** Names of stdout: what goes there must not meet what else does. */
const STANDARD = new Set(['-', '/dev/stdout', '/dev/fd/1', '/proc/self/fd/1']);

/** Where `--json` goes: a file, or stdout for `-`. Checked before the work. */
export function jsonOutput(who: string, path: string | undefined, io: Io): JsonOutput | undefined {
  if (path === undefined) return undefined;
  const text = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;
  if (STANDARD.has(path)) return { standard: true, write: (value) => io.data(text(value)) };
  const file = new OutputFile(who, 'json', path, io);
  return {
    standard: false,
    write(value) {
      file.write(text(value));
      io.err(`wrote ${printable(file.path)}\n`);
    },
  };
}

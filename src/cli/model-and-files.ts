import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Io, UsageError } from './io.js';
import { textPath } from './text-file.js';

/**
 * The arguments of a command that takes a model and texts: the first is a model where it can be one, else `bundled` is read.
 *
 * @throws UsageError where neither is there.
 */
export function modelAndFiles(
  who: string,
  positionals: readonly string[],
  bundled: string,
  io: Io,
): { readonly path: string; readonly files: readonly string[] } {
  const [first, ...rest] = positionals;
  const at = (file: string): string => textPath(file, io);
  if (first !== undefined && (first.endsWith('.safetensors') || existsSync(resolve(io.cwd, first, 'config.json')))) {
    return { path: first, files: rest.map(at) };
  }
  if (existsSync(bundled)) return { path: bundled, files: positionals.map(at) };
  const found = first === undefined ? '' : `; "${first}" is neither`;
  throw new UsageError(`${who}: name a model, the folder of a run or a .safetensors file${found}.`);
}

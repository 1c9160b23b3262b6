import { existsSync, readdirSync, statSync } from 'node:fs';
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
  if (first !== undefined && isBare(resolve(io.cwd, first))) {
    throw new UsageError(
      `${who}: "${first}" has neither a config.json, which a model has, nor texts (.txt, .md, .text); name a model, then files.`,
    );
  }
  if (existsSync(bundled)) return { path: bundled, files: positionals.map(at) };
  const found = first === undefined ? '' : `; "${first}" is neither`;
  throw new UsageError(`${who}: name a model, the folder of a run or a .safetensors file${found}.`);
}

/** Whether a path is a folder without any text. */
function isBare(path: string): boolean {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return false;
  return !readdirSync(path, { recursive: true }).some((name) => /\.(txt|md|text)$/.test(String(name)));
}

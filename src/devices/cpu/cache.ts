import { accessSync, constants, lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir, platform, tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** Where compiled kernels are kept. */
export interface CodeCache {
  readonly folder: string;
  /** Why the folder is not the usual one, if it is not. */
  readonly reasons: readonly string[];
}

/** The folder of this user's caches: XDG on Linux, ~/Library/Caches on macOS, %LOCALAPPDATA% on Windows. */
export function userCacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (platform() === 'win32') return join(env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), 'subquad');
  if (platform() === 'darwin') return join(homedir(), 'Library', 'Caches', 'subquad');
  const xdg = env['XDG_CACHE_HOME'];
  // the XDG specification: a relative path is to be ignored
  return join(xdg && isAbsolute(xdg) ? xdg : join(homedir(), '.cache'), 'subquad');
}

/**
 * Opens the cache folder, creating it for this user alone. Code from it is executed, so a folder that somebody else
 * owns or may write to is not used; then, and when the folder cannot be written, a private one takes its place, which
 * is removed when the process ends.
 */
export function openCache(folder: string = userCacheFolder()): CodeCache {
  const refusal = prepare(folder);
  if (refusal === undefined) return { folder, reasons: [] };
  const reason = `Compiled kernels are kept for this process only, because the cache folder ${folder} ${refusal}`;
  return { folder: privateFolder(), reasons: [reason] };
}

/** Creates and checks the folder; returns what is wrong with it as the end of a sentence. */
function prepare(folder: string): string | undefined {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    return `cannot be created (${(error as NodeJS.ErrnoException).code ?? String(error)}); name another with cacheFolder.`;
  }
  const status = lstatSync(folder);
  if (!status.isDirectory()) return 'is not a directory; move it away, or name another with cacheFolder.';
  // Windows has no owner and mode in this sense; %LOCALAPPDATA% belongs to the user
  if (process.getuid) {
    if (status.uid !== process.getuid())
      return `belongs to another user (uid ${status.uid}); name another with cacheFolder.`;
    if ((status.mode & 0o022) !== 0) return `may be written by other users; run: chmod 700 ${folder}`;
  }
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch {
    return 'is read-only; make it writable, or name another with cacheFolder.';
  }
  return undefined;
}

let shared: string | undefined;

/** One folder for this process, mode 0700, gone at exit. */
function privateFolder(): string {
  if (shared !== undefined) return shared;
  const folder = mkdtempSync(join(tmpdir(), 'subquad-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  shared = folder;
  return folder;
}

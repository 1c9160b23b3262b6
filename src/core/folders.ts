import { requireNode } from './node.js';

const { existsSync, mkdirSync, statSync } = requireNode('node:fs');
const { homedir, platform } = requireNode('node:os');
const { dirname, isAbsolute, join } = requireNode('node:path');

/**
 * Makes a folder, and those above it that are missing; returns the topmost that was made, if any. `mkdir` of Node with
 * `recursive` does the same, but never ends below a folder that takes no new ones and says that they are missing, such
 * as /proc.
 */
export function makeFolders(path: string, mode = 0o777): string | undefined {
  const above = dirname(path);
  const first = above === path || existsSync(above) ? undefined : makeFolders(above, mode);
  try {
    mkdirSync(path, mode);
  } catch (error) {
    // it was there, or somebody else made it just now
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return first;
    throw error;
  }
  return first ?? path;
}

/** The folder of this user's caches: XDG on Linux, ~/Library/Caches on macOS, %LOCALAPPDATA% on Windows. */
export function userCacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (platform() === 'win32') return join(env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), 'subquad');
  if (platform() === 'darwin') return join(homedir(), 'Library', 'Caches', 'subquad');
  const xdg = env['XDG_CACHE_HOME'];
  // the XDG specification: a relative path is to be ignored
  return join(xdg && isAbsolute(xdg) ? xdg : join(homedir(), '.cache'), 'subquad');
}

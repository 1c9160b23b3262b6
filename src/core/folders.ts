import { requireNode } from './node.js';

const { existsSync, mkdirSync, statSync } = requireNode('node:fs');
const { dirname } = requireNode('node:path');

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

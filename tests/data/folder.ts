import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** An empty folder, gone after the run (`tests/support/temporary.ts`). */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'subquad-test-'));
}

/** The path of a new file with this content, alone in its folder. */
export function fileOf(content: string | Uint8Array, name = 'a.txt'): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, content);
  return path;
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * All that a run of the tests writes lies in one folder, gone at its end. `afterAll` alone would not do: the files of one
 * process share their helpers, whose hooks only the first of them runs, and a process that is ended tidies nothing.
 */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'subquad-tests-'));
  // `tmpdir` goes by these, here and in every process that is started
  for (const name of ['TMPDIR', 'TMP', 'TEMP']) process.env[name] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}

import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from './io.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
// in the full run `npm run build` has just made it; elsewhere it may be missing or old
const built = process.env['SUBQUAD_FULL'] === '1' && existsSync(main);

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

function run(argv: string[], cwd: string, onOutput: (kill: (signal: NodeJS.Signals) => void) => void): Promise<Ended> {
  const child = spawn(process.execPath, [main, ...argv], { cwd });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data: Buffer) => {
    if (out === '') onOutput((signal) => child.kill(signal));
    out += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => (err += data.toString()));
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, out, err })));
}

describe.skipIf(!built)('the built command', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s during the work: exit code %i, nothing half-written', async (signal, code) => {
    const cwd = temporaryFolder();
    const ended = await run(['compare', '--device', 'wasm', '--json', 'c.json'], cwd, (kill) => {
      setTimeout(() => kill(signal), 500);
    });
    expect(ended).toMatchObject({ code, signal: null, err: 'stopped\n' });
    expect(readdirSync(cwd)).toEqual([]);
  });

  test('carries output and exit code', async () => {
    const ended = await run(['doctr'], temporaryFolder(), () => undefined);
    expect(ended).toMatchObject({ code: 2, out: '', err: expect.stringContaining('did you mean doctor?') });
    expect(await run(['--version'], temporaryFolder(), () => undefined)).toMatchObject({ code: 0, err: '' });
  });
});

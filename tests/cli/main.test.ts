import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fakeCompiler } from '../devices/cpu/fake-compiler.js';
import { nativeSupport } from '../devices/cpu/fixtures.js';
import { transpiled } from '../support/transpile.js';
import { temporaryFolder } from './io.js';

const native = await nativeSupport();
const program = transpiled();

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

type Meanwhile = (kill: (signal: NodeJS.Signals) => void, output: () => string) => void;

function run(argv: string[], cwd: string, meanwhile?: Meanwhile, env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child = spawn(process.execPath, [join(program, 'cli', 'main.js'), ...argv], {
    cwd,
    env: { ...process.env, ...env },
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (err += data.toString()));
  meanwhile?.(
    (signal) => child.kill(signal),
    () => out,
  );
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, out, err })));
}

/** Calls `then` once `condition` holds. */
function when(condition: () => boolean, then: () => void): void {
  const look = setInterval(() => {
    if (!condition()) return;
    clearInterval(look);
    then();
  }, 20);
}

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s during the work: exit code %i, nothing half-written', async (signal, code) => {
  const cwd = temporaryFolder();
  const ended = await run(
    ['compare', '--features', 'text', '--device', 'wasm', '--json', 'c.json'],
    cwd,
    (kill, output) =>
      when(
        () => output() !== '',
        () => setTimeout(() => kill(signal), 300),
      ),
  );
  expect(ended).toMatchObject({ code, signal: null, err: 'stopped\n' });
  expect(readdirSync(cwd)).toEqual([]);
});

test.skipIf(!native.available)(
  `a thread that does not stop is ended with the process, and leaves nothing${native.reason}`,
  async () => {
    const [cwd, tools, temporary] = [temporaryFolder(), temporaryFolder(), temporaryFolder()];
    // the thread that waits for it hears nothing
    const CC = fakeCompiler(tools, { pause: 6000 });
    const log = join(tools, 'cc.log');
    const ended = await run(
      ['bench', '--device', 'native'],
      cwd,
      (kill) =>
        when(
          () => existsSync(log) && readFileSync(log, 'utf8').includes(' -o '),
          () => kill('SIGINT'),
        ),
      { CC, TMPDIR: temporary, XDG_CACHE_HOME: join(CC, 'no-folder') },
    );
    expect(ended).toMatchObject({ code: null, signal: 'SIGINT', err: 'stopped\n' });
    expect(readdirSync(temporary)).toEqual([]);
  },
);

test('carries output and exit code', async () => {
  const ended = await run(['doctr'], temporaryFolder());
  expect(ended).toMatchObject({ code: 2, out: '', err: expect.stringContaining('did you mean "doctor"?') });
  expect(await run(['--version'], temporaryFolder())).toMatchObject({ code: 0, err: '' });
});

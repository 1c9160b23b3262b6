// of cli/{worker,worker-protocol}

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { transpiled } from '../support/transpile.js';
import { temporaryFolder } from './io.js';
import { sweep } from '../support/full.js';

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

interface How {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Where stdout goes, in place of `out`. */
  readonly stdout?: number;
  readonly stderr?: number;
  readonly input?: string | number;
  readonly begun?: (child: ChildProcess) => void;
}

const posix = process.platform !== 'win32';

describe.skipIf(!posix)('the command as a process', () => {
  const main = join(transpiled(), 'cli/main.js');

  function run(argv: readonly string[], how: How = {}): Promise<Ended> {
    const { cwd = temporaryFolder(), env = process.env, input = '', stdout = 'pipe', stderr = 'pipe', begun } = how;
    const stdio = [typeof input === 'number' ? input : 'pipe', stdout, stderr] as const;
    const child = spawn(process.execPath, [main, ...argv], { cwd, env, stdio: [...stdio] });
    let [out, err] = ['', ''];
    child.stdout?.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr?.on('data', (data: Buffer) => (err += data.toString()));
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
    begun?.(child);
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
  }

  const wasm = ['--device', 'wasm', '--threads', '1'];
  const tiny = ['--lengths', '64', '--mechanisms', 'flash', '--features', 'text', ...wasm];
  const text = 'It is a truth universally acknowledged. '.repeat(20);

  test('a full stdout is a failure that is told; a full stderr is none', async () => {
    if (process.platform !== 'linux') return;
    const full = openSync('/dev/full', 'w');
    try {
      const ended = await run(['mechanisms'], { stdout: full });
      expect(ended).toMatchObject({
        code: 1,
        err: expect.stringMatching(/^error {2}subquad: the output .*disk is full/),
      });
      expect(await run(['mechanisms'], { stderr: full })).toMatchObject({ code: 0 });
      expect(await run(['mechanismss'], { stderr: full })).toMatchObject({ code: 2 });
    } finally {
      closeSync(full);
    }
  });

  test('a reader that has seen enough is no failure', async () => {
    const ended = await run(['mechanisms', '--json'], { begun: (child) => child.stdout!.destroy() });
    expect(ended).toMatchObject({ code: 0, err: '' });
  });

  test('a folder that is gone: what needs none works, the rest says so', async () => {
    const gone = join(temporaryFolder(), 'gone');
    mkdirSync(gone);
    const shell = (argv: string): string =>
      execFileSync(
        'sh',
        ['-c', `cd '${gone}' && rmdir '${gone}' && '${process.execPath}' '${main}' ${argv} 2>&1; mkdir '${gone}'`],
        {
          encoding: 'utf8',
          cwd: temporaryFolder(),
        },
      );
    expect(shell('--version')).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(shell(`bench --json c.json`)).toMatch(/^error {2}subquad bench: --json .*no such folder/);
    expect(shell('train no.txt')).toMatch(/^error {2}.*no\.txt" cannot be opened \(it does not exist\)/);
  });

  test('neither environment nor terminal are needed', async () => {
    const { code, out, err } = await run(['mechanisms'], { env: {} });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(Math.max(...out.split('\n').map((line) => [...line].length))).toBeLessThanOrEqual(80);
    const narrow = await run(['mechanisms'], { env: { COLUMNS: '40' } });
    expect(Math.max(...narrow.out.split('\n').map((line) => [...line].length))).toBeLessThanOrEqual(40);
    expect((await run(['plan', '--no-probe', '--length', '64', ...wasm], { env: {} })).code).toBe(0);
  });

  test('texts come from a pipe, a file, or another program', async () => {
    const cwd = temporaryFolder();
    const named = await run(['compare', '-', ...tiny], { cwd, input: text });
    expect(named).toMatchObject({ code: 0, err: '' });
    expect(named.out).toMatch(/^standard input, 64 B;/);
    writeFileSync(join(cwd, 'text'), text);
    const file = openSync(join(cwd, 'text'), 'r');
    expect(await run(['compare', '/dev/stdin', ...tiny], { cwd, input: file })).toMatchObject({ code: 0, err: '' });
    closeSync(file);
    execFileSync('mkfifo', [join(cwd, 'pipe')]);
    const writer = spawn('sh', ['-c', 'cat text > pipe'], { cwd });
    expect(await run(['compare', 'pipe', ...tiny], { cwd })).toMatchObject({ code: 0, err: '' });
    writer.kill();
    const evaluated = [
      'evaluate',
      '-',
      '--max-bytes',
      '16',
      '--length',
      '16',
      '--mode',
      'separate',
      '--baseline',
      'none',
    ];
    expect(await run([...evaluated, ...wasm, '--json', '-'], { cwd, input: text })).toMatchObject({ code: 0, err: '' });
    expect((await run(['train', '-', ...wasm], { cwd, input: text })).err).toContain('"-" can be read once only');
    const empty = await run(['compare', '-', ...tiny], { cwd });
    expect(empty.err).toBe('error  subquad compare: "-" is empty; name a file with some text.\n');
    const silent = await run(['compare', 'pipe', ...tiny], { cwd });
    expect(silent.err).toContain('"pipe" cannot be read (it is a pipe that nobody writes to)');
  });

  sweep('results go into what is no regular file, and onto what stdout is already', async () => {
    const cwd = temporaryFolder();
    const json = (name: string): string[] => [
      'bench',
      'matmul',
      '--length',
      '8',
      '--rounds',
      '1',
      ...wasm,
      '--json',
      name,
    ];
    expect(await run(json('/dev/null'), { cwd })).toMatchObject({ code: 0 });
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
    expect(JSON.parse((await run(json('/dev/stdout'), { cwd })).out)).toHaveProperty('rows');
    const out = openSync(join(cwd, 'out'), 'w');
    expect(await run(json('out'), { cwd, stdout: out })).toMatchObject({ code: 0 });
    closeSync(out);
    const both = readFileSync(join(cwd, 'out'), 'utf8');
    expect(both).toContain('medians of 1 round');
    expect(JSON.parse(/^\{\n[^]*^\}\n/m.exec(both)![0])).toHaveProperty('rows');
    expect(readdirSync(cwd)).toEqual(['out']);
  });

  test('Ctrl-C ends it while it reads what does not come, or writes what nobody reads', async () => {
    const cwd = temporaryFolder();
    execFileSync('mkfifo', [join(cwd, 'pipe')]);
    const reading = openSync(join(cwd, 'pipe'), 'r+');
    try {
      const interrupted = (argv: readonly string[]): Promise<Ended> =>
        run(argv, { cwd, input: reading, begun: (child) => setTimeout(() => child.kill('SIGINT'), 1000) });
      expect(await interrupted(['compare', '-', ...tiny])).toEqual({ code: 130, out: '', err: 'stopped\n' });
      expect(await interrupted(['compare', 'pipe', ...tiny])).toEqual({ code: 130, out: '', err: 'stopped\n' });
    } finally {
      closeSync(reading);
    }
    const written = await run(['show', 'strided', '--length', '16', '--svg', 'pipe'], {
      cwd,
      begun: (child) => child.stdout!.once('data', () => setTimeout(() => child.kill('SIGINT'), 300)),
    });
    expect(written).toMatchObject({ code: 130, err: 'stopped\n' });
    rmSync(join(cwd, 'pipe'));
    expect(readdirSync(cwd)).toEqual([]);
  });
});

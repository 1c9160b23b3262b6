#!/usr/bin/env node
import { writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Worker } from 'node:worker_threads';
import { temporaries } from '../core/files/temporaries.js';
import { reasonOf } from '../core/system-errors.js';
import { removePrivateFolders } from '../devices/cpu/cache.js';
import { ASKED, type FromWorker, LISTENING, type WorkSetup } from './worker-protocol.js';

/** What some terminals and all files say is 0. */
const columnsOf = ({ columns }: NodeJS.WriteStream): number => columns || Number(process.env['COLUMNS']) || 80;

// the work is done in a thread of its own: kernels block their thread for seconds, and Ctrl-C must be heard meanwhile
const wish = new Int32Array(new SharedArrayBuffer(4));
const setup: WorkSetup = {
  argv: process.argv.slice(2),
  cwd: workingFolder(),
  outTerminal: process.stdout.isTTY,
  errTerminal: process.stderr.isTTY,
  outColumns: columnsOf(process.stdout),
  columns: columnsOf(process.stderr),
  wish,
  temporaries: temporaries().memory,
};
const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: setup });

worker.on('message', (message: FromWorker) => {
  if ('out' in message) process.stdout.write(message.out);
  else if ('err' in message) process.stderr.write(message.err);
  else finish(message.exit);
});
worker.on('error', (error) => {
  process.stderr.write(`error  subquad failed: ${String(error)}\n`);
  finish(1);
});
worker.on('exit', () => finish(1));

// the thread that made it is ended, not asked
process.once('exit', () => removePrivateFolders());

let finished = false;
/** The process ends by itself once its output is written. */
function finish(code: number): void {
  if (finished) return;
  finished = true;
  process.exitCode = code;
  void worker.terminate();
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // a reader that has seen enough, such as head, is no failure
  if (error.code === 'EPIPE') process.exit(0);
  last(`error  subquad: the output cannot be written (${reasonOf(error)}).\n`);
  process.exit(1);
});
// then nobody can be told; the work is done all the same
process.stderr.on('error', () => undefined);

for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
  ['SIGHUP', 1],
] as const) {
  process.on(signal, () => {
    if (signal === 'SIGINT' && Atomics.compareExchange(wish, 0, LISTENING, ASKED) === LISTENING) {
      const clear = setup.errTerminal ? '\r\u001b[K' : '';
      process.stderr.write(`${clear}finishing this step and saving; Ctrl-C again stops at once\n`);
      return;
    }
    last(`${setup.errTerminal ? '\r\u001b[K' : ''}stopped\n`);
    process.exit(128 + number);
  });
}

/** What is said before the process exits; a stream might be too late. */
function last(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // then nobody can be told
  }
}

/** Where the process was started, though it be gone: then paths that begin there say so. */
function workingFolder(): string {
  try {
    return process.cwd();
  } catch {
    // a thread does not start there either
    process.chdir(tmpdir());
    return process.env['PWD'] ?? '/';
  }
}

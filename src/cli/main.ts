#!/usr/bin/env node
import { writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Worker } from 'node:worker_threads';
import { temporaries } from '../core/files/temporaries.js';
import { reasonOf } from '../core/system-errors.js';
import { ASKED, type FromWorker, LISTENING, type WorkSetup } from './worker-protocol.js';

/** What some terminals and all files say is 0. */
const columnsOf = ({ columns }: NodeJS.WriteStream): number => columns || Number(process.env['COLUMNS']) || 80;

const PATIENCE_MILLISECONDS = 1000;

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
  if (finished) return;
  if ('out' in message) process.stdout.write(message.out);
  else if ('err' in message) process.stderr.write(message.err);
  else finish(message.exit);
});
worker.on('error', (error) => {
  process.stderr.write(`error  subquad failed: ${String(error)}\n`);
  finish(1);
});
worker.on('exit', () => finish(1));

let finished = false;
/**
 * The process ends by itself once its output is written and its threads have stopped. Node waits for them for ever, and
 * nothing stops one inside native code: what is still there after a while is ended by a signal, as is the process.
 */
function finish(code: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (finished) return;
  finished = true;
  process.exitCode = code;
  const patience = setTimeout(die, PATIENCE_MILLISECONDS, signal);
  void worker.terminate().then(() => clearTimeout(patience));
}

function die(signal: NodeJS.Signals): void {
  temporaries().removeAll();
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // a reader that has seen enough, such as head, is no failure
  if (error.code === 'EPIPE') return finish(0);
  last(`error  subquad: the output cannot be written (${reasonOf(error)}).\n`);
  finish(1);
});
// then no message can be printed; the work is done all the same
process.stderr.on('error', () => undefined);

for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
  ['SIGHUP', 1],
] as const) {
  process.on(signal, () => {
    if (finished) return die(signal);
    if (signal === 'SIGINT' && Atomics.compareExchange(wish, 0, LISTENING, ASKED) === LISTENING) {
      const clear = setup.errTerminal ? '\r\u001b[K' : '';
      process.stderr.write(`${clear}ending after this step; Ctrl-C again stops at once\n`);
      return;
    }
    last(`${setup.errTerminal ? '\r\u001b[K' : ''}stopped\n`);
    // none can be made any more
    temporaries().removeAll();
    finish(128 + number, signal);
  });
}

/** Writes a last message before the process exits; a stream might be too late. */
function last(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // then no message can be printed
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

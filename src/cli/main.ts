#!/usr/bin/env node
import { Worker } from 'node:worker_threads';
import { removePrivateFolders } from '../devices/cpu/cache.js';
import {
  ASKED,
  type FromWorker,
  FREE,
  LISTENING,
  STATE,
  STOPPED,
  WISH,
  type WorkSetup,
  WRITING,
} from './worker-protocol.js';

// the work is done in a thread of its own: kernels block their thread for seconds, and Ctrl-C must be heard meanwhile
const state = new Int32Array(new SharedArrayBuffer(8));
const setup: WorkSetup = {
  argv: process.argv.slice(2),
  cwd: process.cwd(),
  outTerminal: process.stdout.isTTY,
  errTerminal: process.stderr.isTTY,
  // some terminals say 0
  columns: process.stderr.columns || 80,
  state,
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

// a reader that has seen enough, such as head, is no failure
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
  ['SIGHUP', 1],
] as const) {
  process.on(signal, () => {
    if (signal === 'SIGINT' && Atomics.compareExchange(state, WISH, LISTENING, ASKED) === LISTENING) {
      const clear = setup.errTerminal ? '\r\u001b[K' : '';
      process.stderr.write(`${clear}finishing this step and saving; Ctrl-C again stops at once\n`);
      return;
    }
    // a file that is being replaced is finished first: milliseconds
    if (Atomics.compareExchange(state, STATE, FREE, STOPPED) === WRITING) Atomics.wait(state, STATE, WRITING, 5000);
    process.stderr.write(`${setup.errTerminal ? '\r\u001b[K' : ''}stopped\n`);
    process.exit(128 + number);
  });
}

import { parentPort, workerData } from 'node:worker_threads';
import { program } from './program.js';
import { type FromWorker, FREE, STOPPED, type WorkSetup, WRITING } from './worker-protocol.js';

const { argv, state, ...rest } = workerData as WorkSetup;
const send = (message: FromWorker): void => parentPort!.postMessage(message);

const exit = await program(argv, {
  ...rest,
  env: process.env,
  out: (text) => send({ out: text }),
  err: (text) => send({ err: text }),
  uninterrupted(body) {
    // once the process is stopping, nothing may be begun
    if (Atomics.compareExchange(state, 0, FREE, WRITING) === STOPPED) Atomics.wait(state, 0, STOPPED);
    try {
      body();
    } finally {
      Atomics.store(state, 0, FREE);
      Atomics.notify(state, 0);
    }
  },
});
send({ exit });

import { parentPort, workerData } from 'node:worker_threads';
import { importHere } from './import-here.js';
import { program } from './program.js';
import {
  ASKED,
  DEAF,
  type FromWorker,
  FREE,
  LISTENING,
  STATE,
  STOPPED,
  WISH,
  type WorkSetup,
  WRITING,
} from './worker-protocol.js';

const { argv, state, ...rest } = workerData as WorkSetup;
const send = (message: FromWorker): void => parentPort!.postMessage(message);

// takes time, so only for those that there are
if (argv.some((word) => /^--plugin(=|$)/.test(word))) importHere();

const exit = await program(argv, {
  ...rest,
  env: process.env,
  out: (text) => send({ out: text }),
  err: (text) => send({ err: text }),
  interruption: {
    listen: (on) => void Atomics.store(state, WISH, on ? LISTENING : DEAF),
    asked: () => Atomics.load(state, WISH) === ASKED,
  },
  uninterrupted(body) {
    // once the process is stopping, nothing may be begun
    if (Atomics.compareExchange(state, STATE, FREE, WRITING) === STOPPED) Atomics.wait(state, STATE, STOPPED);
    try {
      body();
    } finally {
      Atomics.store(state, STATE, FREE);
      Atomics.notify(state, STATE);
    }
  },
});
send({ exit });

import { parentPort, workerData } from 'node:worker_threads';
import { importHere } from './import-here.js';
import { shareTemporaries } from '../core/files/temporaries.js';
import { commandLine } from './command-line.js';
import { ASKED, DEAF, type FromWorker, LISTENING, type WorkSetup } from './worker-protocol.js';

const { argv, wish, temporaries, ...rest } = workerData as WorkSetup;
const send = (message: FromWorker): void => parentPort!.postMessage(message);

// takes time, so only for those that there are
if (argv.some((word) => /^--plugin(=|$)/.test(word))) importHere();

shareTemporaries(temporaries);
const exit = await commandLine(argv, {
  ...rest,
  env: process.env,
  out: (text) => send({ out: text }),
  err: (text) => send({ err: text }),
  interruption: {
    listen: (on) => void Atomics.store(wish, 0, on ? LISTENING : DEAF),
    asked: () => Atomics.load(wish, 0) === ASKED,
  },
});
send({ exit });

import { nodeModule } from '../../core/node.js';
import { workerMain, type WorkerSetup } from './worker.js';

/**
 * The differences between Node and browsers, looked at lazily: importing this file touches no global that one of
 * them lacks, and a bundler sees no import of a Node module.
 */

interface Scope {
  readonly navigator?: { readonly hardwareConcurrency?: number };
  readonly crossOriginIsolated?: boolean;
  readonly Worker?: new (url: string, options: { name: string }) => BrowserWorker;
}
interface BrowserWorker {
  onerror: ((event: { readonly message?: string }) => void) | null;
  postMessage(message: unknown): void;
  terminate(): void;
}

const scope = globalThis as unknown as Scope;

export interface Parallelism {
  readonly threads: number;
  /** Why, as a sentence. */
  readonly reason: string;
  /** Whether more than one thread can run at all. */
  readonly parallel: boolean;
}

/** How many threads this machine offers. */
export function parallelism(): Parallelism {
  const os = nodeModule('node:os');
  if (os) {
    const threads = os.availableParallelism();
    return { threads, reason: `threads: ${threads}, one for each core this process may use.`, parallel: true };
  }
  if (!scope.crossOriginIsolated || !scope.Worker) {
    const reason =
      'threads: 1, because this page is not cross-origin isolated; ' +
      'serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.';
    return { threads: 1, reason, parallel: false };
  }
  const threads = scope.navigator?.hardwareConcurrency ?? 1;
  return { threads, reason: `threads: ${threads}, the browser's hardwareConcurrency.`, parallel: true };
}

export interface WorkerHandle {
  /** To be called once the thread is known to live; returns whether `ended` will be able to tell. */
  ready(): boolean;
  /** Whether the thread has ended, known without the event loop. */
  ended(): boolean;
  terminate(): Promise<void>;
}

/** Starts a worker. `onEnd` hears, through the event loop, when it fails or ends. */
export function spawnWorker(setup: WorkerSetup, onEnd: (reason: string) => void): WorkerHandle {
  const node = nodeModule('node:worker_threads');
  return node ? spawnInNode(node, setup, onEnd) : spawnInBrowser(setup, onEnd);
}

/** Nothing stops a thread inside native code: after this long it is left behind. */
const STOP_MILLISECONDS = 2000;

// some transpilers wrap named functions in a helper that the worker does not have
const PRELUDE = 'const __name = (f) => f;';

function spawnInNode(
  { Worker }: typeof import('node:worker_threads'),
  setup: WorkerSetup,
  onEnd: (reason: string) => void,
): WorkerHandle {
  const source = `${PRELUDE}(${workerMain.toString()})(require('node:worker_threads').workerData, require);`;
  // no execArgv: the loaders and debuggers of the main thread are none of the worker's business
  const worker = new Worker(source, { eval: true, workerData: setup, execArgv: [], name: `subquad ${setup.index}` });
  worker.unref();
  worker.on('error', (error) => onEnd(String(error)));
  worker.on('exit', (code) => onEnd(`it ended with exit code ${code}`));
  // of a stopped thread, the idle time reads −1 or all times read 0, at once; the event 'exit' would only come when
  // this thread returns to its event loop
  const stopped = (): boolean => {
    const { idle, active } = worker.performance.eventLoopUtilization();
    return idle < 0 || active === 0;
  };
  let observable = false;
  return {
    ready: () => {
      // not so on runtimes that only imitate Node
      observable = !stopped();
      return observable;
    },
    ended: () => observable && stopped(),
    terminate: () => {
      let running = true;
      const stopped = worker.terminate().then(() => void (running = false));
      return new Promise((resolve) => {
        const patience = setTimeout(() => {
          worker.unref();
          // Node waits at its end too, for ever
          process.once('exit', () => running && process.kill(process.pid, 'SIGKILL'));
          resolve();
        }, STOP_MILLISECONDS);
        void stopped.then(() => {
          clearTimeout(patience);
          resolve();
        });
      });
    },
  };
}

function spawnInBrowser(setup: WorkerSetup, onEnd: (reason: string) => void): WorkerHandle {
  const source = `${PRELUDE}onmessage = (event) => (${workerMain.toString()})(event.data, undefined);`;
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  const worker = new scope.Worker!(url, { name: `subquad ${setup.index}` });
  worker.onerror = (event) =>
    onEnd(event.message ?? 'the browser gave no reason; a content security policy has to allow worker-src blob:');
  worker.postMessage(setup);
  return {
    ready: () => false,
    ended: () => false,
    terminate: () => {
      worker.terminate();
      URL.revokeObjectURL(url);
      return Promise.resolve();
    },
  };
}

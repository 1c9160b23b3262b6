import { spawn, spawnSync } from 'node:child_process';
import { platform } from 'node:os';
import { codeOf } from '../../core/system-errors.js';

const LONGEST_COMPILE = 120_000;
const LONGEST_MESSAGE = 2 ** 26;
/** A group of its own: Ctrl-C is for this process, which may finish its step first. On Windows it would open a window. */
const detached = platform() !== 'win32';

/** How a call of the compiler ended. */
export interface Ended {
  /** What went wrong, if anything did. */
  readonly failure?: unknown;
  /** The signal that somebody else ended it with. */
  readonly signal?: string | null;
  /** What it said, or else what went wrong in words. */
  readonly message: string;
}

/** Calls a compiler with a source as its input. */
export function compileNow(command: string, args: readonly string[], source: string): Ended {
  const limits = { timeout: LONGEST_COMPILE, maxBuffer: LONGEST_MESSAGE, detached };
  const { error, pid, status, signal, stderr } = spawnSync(command, args, { ...limits, input: source });
  if (codeOf(error) === 'ETIMEDOUT') stop(pid);
  // of a compiler that does not read its input, the exit code tells more
  return ended(codeOf(error) === 'EPIPE' ? undefined : error, status, signal, String(stderr ?? ''));
}

/** The same, without blocking this thread. */
export function compileSoon(command: string, args: readonly string[], source: string): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { detached, stdio: ['pipe', 'ignore', 'pipe'] });
    let [error, stderr]: [Error | undefined, string] = [undefined, ''];
    const timer = setTimeout(() => {
      error = Object.assign(new Error(), { code: 'ETIMEDOUT' });
      stop(child.pid);
    }, LONGEST_COMPILE);
    const end = (status: number | null, signal: string | null): void => {
      clearTimeout(timer);
      resolve(ended(error, status, signal, stderr));
    };
    child.stderr
      .setEncoding('utf8')
      .on('data', (text: string) => (stderr += stderr.length < LONGEST_MESSAGE ? text : ''));
    child.stdin.on('error', () => {});
    child.stdin.end(source);
    child.on('close', end);
    child.on('error', (thrown) => {
      error = thrown;
      end(null, null);
    });
  });
}

function ended(error: Error | undefined, status: number | null, signal: string | null, stderr: string): Ended {
  if (codeOf(error) === 'ETIMEDOUT') {
    return { failure: error, message: `It did not end within ${LONGEST_COMPILE / 1000} s.\n${stderr}` };
  }
  if (error) return { failure: error, message: stderr || String(error) };
  if (status === 0) return { message: stderr };
  return { failure: `exit code ${status}`, signal, message: stderr || `It ended with exit code ${status}.` };
}

/** Ends a compiler and what it started. */
function stop(pid: number | undefined): void {
  try {
    if (pid) process.kill(detached ? -pid : pid, 'SIGTERM');
  } catch {
    // it has ended
  }
}

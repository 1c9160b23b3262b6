import { codeOf } from '../system-errors.js';

/** Milliseconds between two tries. */
const PAUSE = 10;
/** Nothing to be read yet, or no room to write. */
const NOT_YET = ['EAGAIN', 'EINTR'] as const;

export const pause = (): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE);

/** Repeats a call of the system that does not wait, while it says `notYet`. */
export function again<T>(call: () => T, notYet: readonly string[] = NOT_YET): T {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (!notYet.includes(codeOf(error))) throw error;
      pause();
    }
  }
}

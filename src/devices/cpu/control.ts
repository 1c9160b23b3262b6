/**
 * The control block: one shared Int32Array through which the caller and the workers speak. Workers block in
 * Atomics.wait between dispatches and so cannot receive messages; everything they need passes through here.
 *
 * A dispatch: the caller writes the fields, sets `open` to a new generation, bumps `generation` and wakes workers.
 * A worker that sees a new generation adds itself to `joined`, and works only if `open` still names that generation;
 * it leaves by subtracting itself again. The caller takes tasks too, closes (`open` = 0) when none is left, and waits
 * for `joined` to reach 0. So a worker that wakes too late costs nothing, and fields are only rewritten when no
 * worker reads them.
 */
export const WORD = {
  // words that many threads write stand on cache lines of their own
  generation: 0,
  open: 16,
  joined: 32,
  /** The next chunk of `grain` tasks that nobody has taken. */
  next: 48,
  arrived: 64,
  /** 0, or 1 + the index of the first worker that failed in this dispatch; its message is in `PART.error`. */
  failed: 80,
  command: 96,
  program: 97,
  tasks: 98,
  grain: 99,
  /** Code of a program arrives in pieces: bytes of the whole, offset and length of this piece. */
  codeLength: 100,
  pieceOffset: 101,
  pieceLength: 102,
  errorLength: 103,
  chunks: 104,
  /** Index of the first worker's state. */
  states: 112,
} as const;

export const COMMAND = { run: 1, load: 2, exit: 3 } as const;
export const STATE = { starting: 0, ready: 1, gone: 2 } as const;

export const MAX_THREADS = 256;

/** Byte offsets of the parts of the block that are not words. */
export const PART = {
  /** Two f64: address of thread 0's scratch, bytes from one thread's scratch to the next. */
  scratch: 4 * (WORD.states + MAX_THREADS),
  /** UTF-8 text of `errorLength` bytes. */
  error: 2048,
  mailbox: 8192,
} as const;

/** One piece of a program's code; longer code takes several rounds. */
export const MAILBOX_BYTES = 256 * 1024;
export const CONTROL_BYTES = PART.mailbox + MAILBOX_BYTES;

/** The layout travels with the worker's start-up data, because the worker's source may not refer to this module. */
export const LAYOUT = { WORD, COMMAND, STATE, PART } as const;
export type Layout = typeof LAYOUT;

/** What the process and the thread that does a command's work say to each other. */
export interface WorkSetup {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly outTerminal: boolean;
  readonly errTerminal: boolean;
  readonly columns: number;
  /** Two words: FREE, WRITING or STOPPED; and DEAF, LISTENING or ASKED. */
  readonly state: Int32Array;
}

export type FromWorker = { readonly out: string } | { readonly err: string } | { readonly exit: number };

/** Nobody needs the process to live on. */
export const FREE = 0;
/** A file is being replaced. */
export const WRITING = 1;
/** The process is about to exit. */
export const STOPPED = 2;

/** The words of `state`. */
export const STATE = 0;
export const WISH = 1;

/** Ctrl-C ends the process. */
export const DEAF = 0;
/** The command will end by itself when asked to. */
export const LISTENING = 1;
/** It was asked; another Ctrl-C ends the process. */
export const ASKED = 2;

/** What the process and the thread that does a command's work say to each other. */
export interface WorkSetup {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly outTerminal: boolean;
  readonly errTerminal: boolean;
  readonly outColumns: number;
  readonly columns: number;
  /** One word: DEAF, LISTENING or ASKED. */
  readonly wish: Int32Array;
  /** What the process removes when it ends, whatever the thread does then. */
  readonly temporaries: SharedArrayBuffer;
}

export type FromWorker = { readonly out: string } | { readonly err: string } | { readonly exit: number };

/** Ctrl-C ends the process. */
export const DEAF = 0;
/** The command will end by itself when asked to. */
export const LISTENING = 1;
/** It was asked; another Ctrl-C ends the process. */
export const ASKED = 2;

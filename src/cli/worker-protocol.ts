/** What the process and the thread that does a command's work say to each other. */
export interface WorkSetup {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly outTerminal: boolean;
  readonly errTerminal: boolean;
  readonly columns: number;
  /** One word: FREE, WRITING or STOPPED. */
  readonly state: Int32Array;
}

export type FromWorker = { readonly out: string } | { readonly err: string } | { readonly exit: number };

/** Nobody needs the process to live on. */
export const FREE = 0;
/** A file is being replaced. */
export const WRITING = 1;
/** The process is about to exit. */
export const STOPPED = 2;

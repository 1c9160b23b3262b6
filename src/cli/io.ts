/** What the program sees of the world, so that tests can call it in-process. What it writes goes out as it is. */
export interface World {
  out(text: string): void;
  err(text: string): void;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly outTerminal: boolean;
  readonly errTerminal: boolean;
  /** Columns that stdout has, or is to be read in. */
  readonly outColumns: number;
  /** Columns of the terminal that stderr goes to. */
  readonly columns: number;
  /** By which a command ends its work itself: while it listens, the first Ctrl-C only makes `asked` true. */
  readonly interruption?: { listen(on: boolean): void; asked(): boolean };
}

/** The world as a command sees it: nothing that it prints does anything to a terminal, whatever names and texts have in them. */
export interface Io extends World {
  /** Prints what programs read, such as JSON: as it is, unless it goes to a terminal. */
  data(text: string): void;
}

/** A command line that asks for something undefined: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A wish that cannot be met in this world (a file, a device): exit code 1. */
export class FailureError extends Error {
  override readonly name = 'FailureError';
}

/** An error that no check of this package foresaw. */
export const isFault = (error: Error): boolean =>
  /^(Error|TypeError|RangeError|ReferenceError|SyntaxError|URIError)$/.test(error.name);

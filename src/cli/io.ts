/** What a command sees of the world, so that tests can call it in-process. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly outTerminal: boolean;
  readonly errTerminal: boolean;
  /** Columns of the terminal that stderr goes to. */
  readonly columns: number;
  /** By which a command ends its work itself: while it listens, the first Ctrl-C only makes `asked` true. */
  readonly interruption?: { listen(on: boolean): void; asked(): boolean };
  /** Runs `body` so that Ctrl-C waits for its end. */
  uninterrupted(body: () => void): void;
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

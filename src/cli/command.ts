import type { HelpText } from './help.js';
import type { Io } from './io.js';

/** A command of the program. */
export interface Command {
  readonly summary: string;
  readonly help: HelpText;
  /** Help of what its first word may choose. */
  readonly variants?: Readonly<Record<string, HelpText>>;
  /** Returns the exit code. */
  run(argv: readonly string[], io: Io): Promise<number>;
}

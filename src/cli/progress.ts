import { CLEAR, printable } from './ansi.js';
import type { Io } from './io.js';

/** One line on stderr that is overwritten; silent where stderr is no terminal. */
export class Progress {
  #shown = false;

  constructor(readonly io: Io) {}

  show(text: string): void {
    if (!this.io.errTerminal) return;
    const whole = printable(text);
    const line = whole.length < this.io.columns ? whole : `${whole.slice(0, this.io.columns - 2)}…`;
    this.io.err(`${CLEAR}${line}`);
    this.#shown = true;
  }

  clear(): void {
    if (this.#shown) this.io.err(CLEAR);
    this.#shown = false;
  }
}

import type { Io } from './io.js';

/** One line on stderr that is overwritten; silent where stderr is no terminal. */
export class Progress {
  #shown = false;

  constructor(readonly io: Io) {}

  show(text: string): void {
    if (!this.io.errTerminal) return;
    const line = text.length < this.io.columns ? text : `${text.slice(0, this.io.columns - 2)}…`;
    this.io.err(`\r\u001b[K${line}`);
    this.#shown = true;
  }

  clear(): void {
    if (this.#shown) this.io.err('\r\u001b[K');
    this.#shown = false;
  }
}

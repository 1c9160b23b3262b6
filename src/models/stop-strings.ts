/**
 * Text that comes in pieces, up to the first of some strings: what may be the beginning of one is held back until it is known.
 */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = '';
  #stopped: string | undefined;

  /** None of the strings is empty. */
  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** The string that ended the text. */
  get stopped(): string | undefined {
    return this.#stopped;
  }

  /** What of the text is certain with this piece; after the end, nothing. */
  push(piece: string): string {
    if (this.#stopped !== undefined) return '';
    const text = this.#held + piece;
    const found = this.#stops
      .map((stop) => ({ stop, at: text.indexOf(stop) }))
      .filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at || b.stop.length - a.stop.length)[0];
    if (found !== undefined) {
      this.#stopped = found.stop;
      this.#held = '';
      return text.slice(0, found.at);
    }
    const held = Math.max(0, ...this.#stops.map((stop) => overlap(text, stop)));
    this.#held = text.slice(text.length - held);
    return text.slice(0, text.length - held);
  }

  /** What was held back. */
  end(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }
}

/** How many characters at the end of a text are the beginning of a string, but not all of it. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (stop.startsWith(text.slice(text.length - length))) return length;
  }
  return 0;
}

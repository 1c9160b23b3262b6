import { checkValue, listOfNumbers } from '../core/requirements.js';

/** Control characters but tab and line feed: in a terminal they would move the cursor, change colours, or ring. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** The picture of a control character, `␛` for escape; those without one become `�`. */
function picture(character: string): string {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '\u2421' : '\ufffd';
}

/**
 * Bytes as text that is safe to show in a terminal, piece by piece as they are generated. A character whose bytes have not all
 * arrived is kept back; bytes that are no UTF-8 become `�`, as the Encoding Standard replaces them; control characters become
 * visible, but tabs and line ends stay (`\r\n` as `\n`).
 */
export class ByteDecoder {
  // a byte order mark in the middle of a text is a character like any other
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #held = '';

  /** The text that is complete with these bytes; other numbers are taken modulo 256. @throws OptionError for what is not a list of numbers. */
  push(bytes: ArrayLike<number>): string {
    checkValue('ByteDecoder', 'bytes', bytes, listOfNumbers);
    return this.#show(this.#decoder.decode(Uint8Array.from(bytes), { stream: true }), false);
  }

  /** What was kept back; after it, a new text begins. */
  end(): string {
    return this.#show(this.#decoder.decode(), true);
  }

  #show(text: string, last: boolean): string {
    const whole = this.#held + text;
    // the line feed may be the next to come
    const cut = !last && whole.endsWith('\r') ? whole.length - 1 : whole.length;
    this.#held = whole.slice(cut);
    return whole.slice(0, cut).replaceAll('\r\n', '\n').replace(CONTROL, picture);
  }
}

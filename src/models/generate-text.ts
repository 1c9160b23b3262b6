import { OptionError } from '../core/errors.js';
import { checkValues, having, listOf, text as someText } from '../core/requirements.js';
import { generate, ofText, type GenerateOptions } from './generate.js';
import { StopStrings } from './stop-strings.js';
import type { TextSession } from './text-session.js';

/** What text is to a model and back, such as a tokeniser of `subquad/data`. */
export interface TextCoder {
  encode(text: string): ArrayLike<number>;
  /** Text of tokens that come piece by piece; what is no whole character yet is kept back until it is, or until `end`. */
  decoder(): { push(tokens: ArrayLike<number>): string; end(): string };
}

export interface GenerateTextOptions extends Omit<GenerateOptions, 'prompt' | 'until'> {
  readonly prompt: string;
  readonly tokeniser: TextCoder;
  /** Strings before the first of which the text ends, whatever tokens they are made of. Default none. */
  readonly stop?: readonly string[];
}

/** How a text ended: by a string of `stop` or a token of `stopTokens`, or with as many tokens as were asked for. */
export interface TextEnd {
  readonly by: 'string' | 'token' | 'length';
  /** The string of `stop`. */
  readonly string?: string;
  /** Tokens that were generated. */
  readonly tokens: number;
}

const nonEmpty = { must: 'a string that is not empty', holds: (x: unknown) => typeof x === 'string' && x !== '' };
const ofTokens = Object.fromEntries(Object.entries(ofText).filter(([name]) => name !== 'prompt' && name !== 'until'));
const requirements = {
  ...ofTokens,
  prompt: someText,
  tokeniser: having('a tokeniser, with encode and decoder', 'encode', 'decoder'),
  stop: listOf('strings that are not empty', nonEmpty),
};

/**
 * The text that follows a prompt, in pieces of whole characters as their tokens are drawn; returns how it ended. What may be the
 * beginning of a string of `stop` waits until it is known; the token of `stopTokens` that ends the text is no part of it.
 *
 * ```ts
 * const session = openSession(model, { maxLength: 512 });
 * const pieces = generateText(session, { tokeniser: byteTokeniser, prompt: 'Once', tokens: 200, stop: ['\n\n'] });
 * for await (const piece of pieces) console.log(piece);
 * ```
 *
 * @throws OptionError for a prompt without tokens, or options out of range; what `step` of the session throws; the reason of `signal`.
 */
export async function* generateText(
  session: TextSession,
  options: GenerateTextOptions,
): AsyncGenerator<string, TextEnd> {
  checkValues('generateText', options, requirements, ['prompt', 'tokeniser', 'tokens']);
  const { prompt, tokeniser, stop = [], stopTokens = [], ...rest } = options;
  const given = tokeniser.encode(prompt);
  if (given.length === 0) throw new OptionError('generateText: the prompt must give at least one token.');
  const [decoder, strings] = [tokeniser.decoder(), new StopStrings(stop)];
  const stops = new Set(Array.from(stopTokens));
  let tokens = 0;
  // a prompt may end within a character
  decoder.push(given);
  let ended: TextEnd['by'] = 'length';
  let piece = '';
  const until = (token: number): boolean => {
    tokens++;
    ended = stops.has(token) ? 'token' : 'length';
    piece = ended === 'token' ? '' : strings.push(decoder.push([token]));
    if (strings.stopped !== undefined) ended = 'string';
    return ended !== 'length';
  };
  for await (const token of generate(session, { ...rest, prompt: given, until })) {
    void token;
    if (piece !== '') yield piece;
  }
  const last = strings.push(decoder.end()) + strings.end();
  if (strings.stopped !== undefined) ended = 'string';
  if (last !== '') yield last;
  return { by: ended, tokens, ...(strings.stopped !== undefined && { string: strings.stopped }) };
}

import { OptionError } from '../core/errors.js';

export interface TokenRule {
  readonly vocabulary: number;
  /** Tokens of the text so far, and at most. */
  readonly length: number;
  readonly maxLength: number;
}

/**
 * The tokens that a text goes on with, all looked at before anything is computed.
 *
 * @throws OptionError for no tokens, more than there is room for, and the first that is none of the vocabulary.
 */
export function nextTokens(tokens: ArrayLike<number>, { vocabulary, length, maxLength }: TokenRule): Int32Array {
  const given: unknown = typeof tokens === 'object' ? (tokens as ArrayLike<number> | null)?.length : undefined;
  const count = Number.isSafeInteger(given) ? (given as number) : 0;
  if (count < 1) {
    throw new OptionError('session: a step takes a list of at least one token.');
  }
  if (length + count > maxLength) {
    throw new OptionError(
      `session: ${length} tokens and ${count} more exceed its maxLength of ${maxLength}; make one with more.`,
    );
  }
  const all = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const token: unknown = tokens[i];
    if (!Number.isInteger(token) || (token as number) < 0 || (token as number) >= vocabulary) {
      const got = typeof token === 'number' ? token : `a value of type ${typeof token}`;
      throw new OptionError(
        `session: tokens must be whole numbers from 0 to ${vocabulary - 1}; got ${got} as number ${i} of ${count}.`,
      );
    }
    all[i] = token as number;
  }
  return all;
}

/** Pieces of at most `most` tokens. */
export const pieces = (tokens: Int32Array, most: number): readonly Int32Array[] =>
  Array.from({ length: Math.ceil(tokens.length / most) }, (_, i) => tokens.subarray(i * most, (i + 1) * most));

/** Tokens of a prompt that go through the layers at a time. */
export const PREFILL = 512;

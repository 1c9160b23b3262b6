import { OptionError } from '../core/errors.js';
import type { Device } from '../devices/device.js';
import { concat, slice } from '../ops/index.js';
import { tensor, type Tensor } from '../tensor/index.js';

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
function nextTokens(who: string, tokens: unknown, { vocabulary, length, maxLength }: TokenRule): Int32Array {
  const count = countOf(tokens);
  if (count < 1) {
    throw new OptionError(`${who}: a step takes a list of at least one token.`);
  }
  if (length + count > maxLength) {
    throw new OptionError(
      `${who}: ${length} tokens and ${count} more exceed its maxLength of ${maxLength}; make one with more.`,
    );
  }
  return tokensOf(who, tokens, vocabulary);
}

/** @throws OptionError for an empty list, and the first that is none of the vocabulary. */
export function tokensOf(who: string, tokens: unknown, vocabulary: number): Int32Array {
  const count = countOf(tokens);
  if (count < 1) throw new OptionError(`${who}: must be a list of at least one token.`);
  const all = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const token = (tokens as ArrayLike<unknown>)[i];
    if (!Number.isInteger(token) || (token as number) < 0 || (token as number) >= vocabulary) {
      const got = typeof token === 'number' ? token : `a value of type ${typeof token}`;
      throw new OptionError(
        `${who}: tokens must be whole numbers from 0 to ${vocabulary - 1}; got ${got} as number ${i} of ${count}.`,
      );
    }
    all[i] = token as number;
  }
  return all;
}

/** Tokens of a list; 0 of what is none. */
function countOf(tokens: unknown): number {
  const given = lengthOf(tokens);
  return Number.isSafeInteger(given) ? (given as number) : 0;
}

const lengthOf = (list: unknown): unknown =>
  typeof list === 'object' && list !== null && 'length' in list ? list.length : undefined;

/** What the rows of a session go on with. */
export interface NextTokens {
  readonly lists: readonly Int32Array[];
  /** Whether the only row was given without a list of rows. */
  readonly single: boolean;
}

/**
 * What all rows go on with, a list of tokens for each; or for the only one, its tokens.
 *
 * @throws OptionError for another number of lists, and as for the tokens of each.
 */
export function tokensOfRows(
  tokens: unknown,
  { lengths, ...rule }: Omit<TokenRule, 'length'> & { readonly lengths: readonly number[] },
): NextTokens {
  const rows = lengths.length;
  const first = lengthOf(tokens) === 0 ? undefined : (tokens as Partial<ArrayLike<unknown>> | null | undefined)?.[0];
  const nested = typeof first === 'object' && first !== null;
  if (!nested && rows === 1) {
    return { lists: [nextTokens('session', tokens, { ...rule, length: lengths[0]! })], single: true };
  }
  const count = nested ? lengthOf(tokens) : undefined;
  if (count !== rows) {
    throw new OptionError(
      `session: a step takes a list of tokens for each of its ${rows} rows; got ${nested ? `${count as number} lists` : 'another value'}.`,
    );
  }
  const all = tokens as ArrayLike<unknown>;
  const name = (row: number): string => (rows === 1 ? 'session' : `session: row ${row}`);
  const lists = lengths.map((length, row) => nextTokens(name(row), all[row], { ...rule, length }));
  return { lists, single: false };
}

/** Rows, those of one key together. */
export function rowsBy(count: number, keyOf: (row: number) => unknown): number[][] {
  const groups = new Map<unknown, number[]>();
  for (let row = 0; row < count; row++) {
    const key = keyOf(row);
    const rows = groups.get(key);
    if (rows === undefined) groups.set(key, [row]);
    else rows.push(row);
  }
  return [...groups.values()];
}

/** What groups of rows gave, `[rows, …]` each, as one tensor in the order of all rows. */
export function inOrder(parts: readonly { readonly rows: readonly number[]; readonly x: Tensor }[]): Tensor {
  if (parts.length === 1) return parts[0]!.x;
  const each = parts.flatMap(({ rows, x }) => rows.map((row, i) => ({ row, x: slice(x, { start: i, end: i + 1 }) })));
  return concat(each.sort((a, b) => a.row - b.row).map(({ x }) => x));
}

/** Tokens `start … end − 1` of lists of one length, as `[lists, tokens]`. */
export function tokensBetween(lists: readonly Int32Array[], start: number, end: number, device: Device): Tensor {
  const pieces = lists.map((list) => list.subarray(start, end));
  const count = pieces[0]!.length;
  const all = new Int32Array(pieces.length * count);
  pieces.forEach((piece, i) => all.set(piece, i * count));
  return tensor(all, [pieces.length, count], { device });
}

/** Tokens of each prompt that go through the layers at a time. */
export const PREFILL = 512;

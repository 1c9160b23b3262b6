import { OptionError } from '../core/errors.js';
import { uniform } from '../core/random.js';
import {
  callable,
  checkValue,
  checkValues,
  having,
  list,
  listOf,
  listOfNumbers,
  wholeFrom,
  wholeNumber,
  wholeNumbers,
  type Requirements,
} from '../core/requirements.js';
import { Penalties, penalties, type PenaltyOptions } from './penalties.js';
import { sample, sampling, samplingOf, type SampleOptions } from './sample.js';
import type { TextSession } from './text-session.js';

export interface GenerateRowsOptions extends SampleOptions, PenaltyOptions {
  /** Tokens that each row begins with, at least one. */
  readonly prompts: readonly ArrayLike<number>[];
  /** Tokens to generate for each row. */
  readonly tokens: number;
  /** One for all rows, or one for each; default 0. Token `i` is drawn by number `i` of the stream (seed, "generate"). */
  readonly seed?: number | readonly number[];
  /** Tokens that end a row; they are given as its last. Default none. */
  readonly stopTokens?: ArrayLike<number>;
  /** Asked about each token of a row that was drawn; where true, the row ends with it. */
  readonly until?: (token: number, row: number) => boolean;
  /** Asked before each token; where true, generation ends. */
  readonly stopping?: () => boolean;
  /** Where it is aborted, generation rejects with its reason before the next token. */
  readonly signal?: AbortSignal;
}

export interface GenerateOptions extends Omit<GenerateRowsOptions, 'prompts' | 'seed'> {
  /** Tokens to begin with, at least one. */
  readonly prompt: ArrayLike<number>;
  /** Default 0. */
  readonly seed?: number;
}

const who = 'generate';
const aSession = having('a session, as openSession makes it', 'step');
/** What options must be, of one text and of several. */
const shared: Requirements = {
  ...sampling,
  ...penalties,
  tokens: wholeFrom(1),
  stopTokens: listOfNumbers,
  until: callable,
  stopping: callable,
  signal: having('an AbortSignal', 'throwIfAborted'),
};
export const ofText: Requirements = { ...shared, prompt: list, seed: wholeNumber };
const ofRows: Requirements = { ...shared, prompts: listOf('lists of tokens', list), seed: wholeNumbers };

/** In place of the token of a row that has ended. */
const ENDED = -1;

/** Random numbers that are drawn at a time. */
const DRAWN = 256;

/** Number `i` of the stream of a seed, as they are asked for in turn. */
function drawing(seed: number): (i: number) => number {
  let numbers: Float32Array = new Float32Array(0);
  return (i) => {
    // a longer draw begins with the shorter one
    if (i >= numbers.length) numbers = uniform(seed, 'generate', 2 * numbers.length + DRAWN);
    return numbers[i]!;
  };
}

/**
 * The tokens that follow the prompt, one by one as they are drawn. The same seed gives the same tokens.
 *
 * @throws OptionError for an empty prompt, or options out of range; what `step` of the session throws; the reason of `signal`.
 */
export async function* generate(session: TextSession, options: GenerateOptions): AsyncGenerator<number, void> {
  checkValues(who, options, ofText, ['prompt', 'tokens']);
  const { prompt, ...rest } = options;
  for await (const [token] of generateRows(session, { ...rest, prompts: [prompt] })) yield token!;
}

/**
 * The tokens that follow several prompts, one for each row at a time. A row's tokens are those that its prompt and seed alone give; of a
 * row that has ended, −1. When all have ended, generation does.
 *
 * ```ts
 * const session = openSession(model, { maxLength: 512, rows: 3 });
 * const prompts = [[72, 105], [72], [72]];
 * for await (const tokens of generateRows(session, { prompts, tokens: 100, seed: [0, 0, 1] })) console.log(tokens);
 * ```
 *
 * @throws OptionError for another number of prompts or seeds than the session has rows, for an empty prompt, or options out of range;
 * what `step` of the session throws.
 */
export async function* generateRows(
  session: TextSession,
  options: GenerateRowsOptions,
): AsyncGenerator<readonly number[], void> {
  checkValue(who, 'session', session, aSession);
  checkValues(who, options, ofRows, ['prompts', 'tokens']);
  const { prompts, tokens, seed = 0, stopping, signal, until } = options;
  const { rows } = session;
  const seeds = typeof seed === 'number' ? prompts.map(() => seed) : Array.from(seed);
  if (prompts.length !== rows || seeds.length !== rows) {
    throw new OptionError(
      `${who}: the session has ${rows} rows; got ${prompts.length} prompts and ${seeds.length} seeds. Open it with as many rows.`,
    );
  }
  if (prompts.some((prompt) => prompt.length === 0)) {
    throw new OptionError(`${who}: ${rows === 1 ? 'the' : 'every'} prompt must hold at least one token.`);
  }
  const draws = seeds.map(drawing);
  const stops = new Set(Array.from(options.stopTokens ?? []));
  const texts = prompts.map((prompt) => ({ ended: false, last: 0, penalties: new Penalties(prompt, options) }));
  let next = prompts;
  for (let i = 0; i < tokens; i++) {
    if (stopping?.()) return;
    signal?.throwIfAborted();
    const logits = session.step(next);
    let drawn: number[];
    try {
      const numbers = await logits.data();
      const vocabulary = numbers.length / rows;
      drawn = texts.map((text, row) => {
        if (text.ended) return ENDED;
        const own = text.penalties.of(numbers.subarray(row * vocabulary, (row + 1) * vocabulary) as Float32Array);
        return sample(own, samplingOf(options), draws[row]!(i));
      });
    } finally {
      logits.dispose();
    }
    for (const [row, text] of texts.entries()) {
      const token = drawn[row]!;
      if (text.ended) continue;
      text.last = token;
      text.penalties.add(token);
      text.ended = stops.has(token) || until?.(token, row) === true;
    }
    yield drawn;
    if (texts.every(({ ended }) => ended)) return;
    // rows that have ended go on with those that have not, and nobody looks
    next = texts.map(({ last }) => [last]);
  }
}

import { OptionError } from '../core/errors.js';
import { uniform } from '../core/random.js';
import {
  callable,
  checkValue,
  checkValues,
  having,
  list,
  listOf,
  wholeFrom,
  wholeNumber,
  wholeNumbers,
  type Requirements,
} from '../core/requirements.js';
import { sample, sampling, samplingOf, type SampleOptions } from './sample.js';
import type { TextSession } from './text-session.js';

export interface GenerateRowsOptions extends SampleOptions {
  /** Tokens that each row begins with, at least one. */
  readonly prompts: readonly ArrayLike<number>[];
  /** Tokens to generate for each row. */
  readonly tokens: number;
  /** One for all rows, or one for each; default 0. Token `i` is drawn by number `i` of the stream (seed, "generate"). */
  readonly seed?: number | readonly number[];
  /** Asked before each token; where true, generation ends. */
  readonly stopping?: () => boolean;
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
const shared: Requirements = { ...sampling, tokens: wholeFrom(1), stopping: callable };
const ofText: Requirements = { ...shared, prompt: list, seed: wholeNumber };
const ofRows: Requirements = { ...shared, prompts: listOf('lists of tokens', list), seed: wholeNumbers };

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
 * @throws OptionError for an empty prompt, or options out of range; what `step` of the session throws.
 */
export async function* generate(session: TextSession, options: GenerateOptions): AsyncGenerator<number, void> {
  checkValues(who, options, ofText, ['prompt', 'tokens']);
  const { prompt, ...rest } = options;
  for await (const [token] of generateRows(session, { ...rest, prompts: [prompt] })) yield token!;
}

/**
 * The tokens that follow several prompts, one for each row at a time. A row's tokens are those that its prompt and seed alone give.
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
  const { prompts, tokens, seed = 0, stopping } = options;
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
  let next = prompts;
  for (let i = 0; i < tokens; i++) {
    if (stopping?.()) return;
    const logits = session.step(next);
    let drawn: number[];
    try {
      const numbers = await logits.data();
      const vocabulary = numbers.length / rows;
      drawn = draws.map((draw, row) =>
        sample(numbers.subarray(row * vocabulary, (row + 1) * vocabulary), samplingOf(options), draw(i)),
      );
    } finally {
      logits.dispose();
    }
    yield drawn;
    next = drawn.map((token) => [token]);
  }
}

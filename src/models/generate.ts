import { OptionError } from '../core/errors.js';
import { uniform } from '../core/random.js';
import { checkSampling, sample, samplingOf, type SampleOptions } from './sample.js';
import type { TextSession } from './session.js';

export interface GenerateOptions extends SampleOptions {
  /** Tokens to begin with, at least one. */
  readonly prompt: ArrayLike<number>;
  /** Tokens to generate. */
  readonly tokens: number;
  /** Default 0. Token `i` is drawn by number `i` of the stream (seed, "generate"). */
  readonly seed?: number;
  /** Asked before each token; where true, generation ends. */
  readonly stopping?: () => boolean;
}

/** Random numbers that are drawn at a time. */
const DRAWN = 256;

/**
 * The tokens that follow the prompt, one by one as they are drawn. The same seed gives the same tokens.
 *
 * @throws OptionError for an empty prompt, or options out of range; what `Session.step` throws.
 */
export async function* generate(session: TextSession, options: GenerateOptions): AsyncGenerator<number, void> {
  const { prompt, tokens, seed = 0, stopping } = options;
  checkSampling('generate', options);
  if (prompt.length === 0) throw new OptionError('generate: the prompt must hold at least one token.');
  if (!Number.isSafeInteger(tokens) || tokens < 1) {
    throw new OptionError(`generate: tokens must be a whole number of at least 1; got ${tokens}.`);
  }
  let numbers: Float32Array = new Float32Array(0);
  let next: ArrayLike<number> = prompt;
  for (let i = 0; i < tokens; i++) {
    if (stopping?.()) return;
    const logits = session.step(next);
    let token: number;
    try {
      // a longer draw begins with the shorter one
      if (i >= numbers.length) numbers = uniform(seed, 'generate', 2 * numbers.length + DRAWN);
      token = sample(await logits.data(), samplingOf(options), numbers[i]!);
    } finally {
      logits.dispose();
    }
    yield token;
    next = [token];
  }
}

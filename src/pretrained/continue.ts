import { CapabilityError, OptionError } from '../core/errors.js';
import { generate, openSession, type TextSession } from '../models/index.js';
import type { Pretrained } from './loaded.js';
import { boundOf } from './task-windows.js';

export interface ContinueOptions {
  /** Of a decoder: what it goes on with. Of an encoder–decoder: what it reads. */
  readonly ids: Int32Array;
  /** At most so many; it ends with a token that ends a text. */
  readonly tokens: number;
  readonly temperature?: number;
  readonly topK?: number | undefined;
  readonly topP?: number | undefined;
  readonly seed?: number;
  readonly stopping?: () => boolean;
}

/**
 * The tokens that a decoder goes on with, or an encoder–decoder makes of a source, one by one; the token that ends a text ends it and is
 * not among them.
 *
 * @throws CapabilityError for a model that goes on with nothing; OptionError for a text beyond the positions that it learned.
 */
export async function* continued(loaded: Pretrained, options: ContinueOptions): AsyncGenerator<number, void> {
  const { model, config, theirs } = loaded;
  const { ids, tokens, temperature = 0, topK, topP, seed = 0, stopping } = options;
  const pair = config.kind === 'encoder-decoder';
  if (config.kind === 'encoder' || config.head !== undefined) {
    throw new CapabilityError(
      `generate: ${loaded.cls.name} goes on with no text; its tasks are fill-mask, classify and embed.`,
    );
  }
  const first = pair ? beginningOf(theirs) : undefined;
  if (pair && first === undefined) {
    throw new OptionError('generate: config.json has no decoder_start_token_id, with which the decoder begins.');
  }
  const prompt = pair ? Int32Array.of(first!) : ids;
  const bound = boundOf(loaded);
  if (!pair && bound !== undefined && ids.length + tokens > bound) {
    throw new OptionError(
      `generate: ${ids.length} tokens and ${tokens} more are beyond the ${bound} positions that the model learned; take fewer (--tokens ${Math.max(1, bound - ids.length)}), ` +
        'a shorter text, or make a model for longer ones (subquad convert).',
    );
  }
  const ends = new Set<unknown>([theirs.eos_token_id].flat());
  let session: TextSession | undefined;
  try {
    session = openSession(model, { maxLength: prompt.length + tokens, ...(pair && { sources: [ids] }) });
    const sampling = { temperature, ...(topK !== undefined && { topK }), ...(topP !== undefined && { topP }) };
    for await (const token of generate(session, { prompt, tokens, seed, ...sampling, ...(stopping && { stopping }) })) {
      if (ends.has(token)) return;
      yield token;
    }
  } finally {
    session?.dispose();
  }
}

/** The token that a decoder begins with. */
const beginningOf = (theirs: Pretrained['theirs']): number | undefined =>
  [theirs.decoder_start_token_id, theirs.bos_token_id, theirs.pad_token_id].find((one) => typeof one === 'number');

import type { Tokeniser } from '../data/index.js';
import type { ModelConfig } from '../models/index.js';
import { UsageError } from './io.js';

/** What stands for a span that is to be told. */
export const HOLE = '___';

/** A text that lacks spans, as a model of `--objective spans` is given it. */
export interface Holed {
  /** Tokens of the text, with sentinel i in the place of hole i. */
  readonly source: Int32Array;
  /** What the decoder begins with: the first sentinel. */
  readonly start: readonly number[];
  /** The hole that a token begins, or as many as there are where it ends the last one; undefined for a token of a text. */
  holeOf(token: number): number | undefined;
  readonly holes: number;
}

/** Without a hole, one is put at the end. @throws UsageError for more holes than the model knows. */
export function holed(who: string, text: string, tokeniser: Tokeniser, config: ModelConfig): Holed {
  const first = tokeniser.vocabulary;
  const parts = text.includes(HOLE) ? text.split(HOLE) : [text, ''];
  const holes = parts.length - 1;
  const most = config.vocabulary - first - 1;
  if (holes > most) {
    throw new UsageError(`${who}: the prompt lacks ${holes} spans (${HOLE}), and this model knows at most ${most}.`);
  }
  const source = parts.flatMap((part, i) => [
    ...(i === 0 ? [] : [first + i - 1]),
    ...Array.from(tokeniser.encode(part)),
  ]);
  return {
    source: Int32Array.from(source),
    start: [first],
    holeOf: (token) => (token < first ? undefined : token - first),
    holes,
  };
}

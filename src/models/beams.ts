import { NumericsError, OptionError } from '../core/errors.js';
import { checkValue, checkValues, flag, having, list, listOfNumbers, finite, wholeFrom } from '../core/requirements.js';
import type { TextSession } from './text-session.js';

export interface BeamOptions {
  /** Tokens to begin with, at least one. */
  readonly prompt: ArrayLike<number>;
  /** Tokens to generate at most. */
  readonly tokens: number;
  /** Texts that are gone on with at a time. */
  readonly beams: number;
  /** p of `score`; default 1. Above 0 longer texts gain, below 0 they lose. */
  readonly lengthPenalty?: number;
  /** Whether the search ends when it has as many ended texts as beams; default false: when no other text can be among the best any more. */
  readonly earlyStopping?: boolean;
  /** Tokens that end a text, as its last. Default none. */
  readonly stopTokens?: ArrayLike<number>;
  /** Texts that are given, at most `beams`; default 1. */
  readonly results?: number;
  readonly signal?: AbortSignal;
}

export interface Beam {
  /** What follows the prompt, with the token that ended it. */
  readonly tokens: readonly number[];
  /** The sum of the logarithms of their probabilities. */
  readonly logProbability: number;
  /** `logProbability / tokens^p`. */
  readonly score: number;
  /** Whether it ended by a token of `stopTokens`, and not with as many as were asked for. */
  readonly ended: boolean;
}

const requirements = {
  prompt: list,
  tokens: wholeFrom(1),
  beams: wholeFrom(1),
  lengthPenalty: finite,
  earlyStopping: flag,
  stopTokens: listOfNumbers,
  results: wholeFrom(1),
  signal: having('an AbortSignal', 'throwIfAborted'),
};

/** A text that is gone on with: that of row `from` of the step before, and a token more. */
interface Live {
  readonly from: number;
  readonly tokens: readonly number[];
  readonly sum: number;
}

/**
 * The likeliest texts that follow a prompt, best first, by a search that goes on with the `beams` likeliest at every length. Equal ones
 * are ordered by the beam they come from, then by token. Probabilities are worked out in float64 from the logits.
 * (Length penalty: Wu et al. 2016, arXiv 1609.08144, section 7, as the plain power of the length that implementations use.)
 *
 * The session has one row; it goes on with the prompt, and the texts with copies of it, which are gone at the end.
 *
 * @throws OptionError for a session of several rows, an empty prompt, more results than beams, or options out of range; NumericsError for
 * logits that are no numbers; what `step` of the session throws; the reason of `signal`.
 */
export async function beamSearch(session: TextSession, options: BeamOptions): Promise<readonly Beam[]> {
  const who = 'beamSearch';
  checkValue(who, 'session', session, having('a session, as openSession makes it', 'step'));
  checkValues(who, options, requirements, ['prompt', 'tokens', 'beams']);
  const { prompt, tokens, beams, lengthPenalty = 1, earlyStopping = false, results = 1, signal } = options;
  if (session.rows !== 1) throw new OptionError(`${who}: takes a session of one row; got ${session.rows}.`);
  if (prompt.length === 0) throw new OptionError(`${who}: the prompt must hold at least one token.`);
  if (results > beams) throw new OptionError(`${who}: results must be at most beams; got ${results} of ${beams}.`);
  const stops = new Set(Array.from(options.stopTokens ?? []));
  const scoreOf = (sum: number, length: number): number => sum / length ** lengthPenalty;
  const done: Beam[] = [];
  const end = (live: Live, ended: boolean): void => {
    const { tokens: own, sum } = live;
    done.push({ tokens: own, logProbability: sum, score: scoreOf(sum, own.length), ended });
    // a stable order: of equal scores the one that ended first
    done.sort((a, b) => b.score - a.score);
    done.length = Math.min(done.length, beams);
  };
  /** Whether no text that goes on from here can be among the best. */
  const settled = (live: readonly Live[], length: number): boolean => {
    if (done.length < beams || earlyStopping) return done.length >= beams;
    const reach = lengthPenalty > 0 ? tokens : length;
    return live.every(({ sum }) => scoreOf(sum, reach) <= done.at(-1)!.score);
  };
  let current = session;
  let live: readonly Live[] = [{ from: 0, tokens: [], sum: 0 }];
  try {
    for (let length = 1; length <= tokens; length++) {
      signal?.throwIfAborted();
      const next = length === 1 ? [prompt] : live.map((text) => [text.tokens.at(-1)!]);
      const found = expanded(live, await logarithms(current, next), beams + beams * stops.size);
      const going: Live[] = [];
      for (const [rank, text] of found.entries()) {
        if (going.length === beams) break;
        if (!stops.has(text.tokens.at(-1)!)) going.push(text);
        // what the other beams are likelier than has not won
        else if (rank < beams) end(text, true);
      }
      live = going;
      if (length === tokens) for (const text of live) end(text, false);
      if (length === tokens || live.length === 0 || settled(live, length)) break;
      const forked = current.fork(live.map(({ from }) => from));
      if (current !== session) current.dispose();
      current = forked;
    }
    return done.slice(0, results);
  } finally {
    if (current !== session) current.dispose();
  }
}

/** The likeliest texts with one token more. */
function expanded(live: readonly Live[], logs: readonly Float64Array[], count: number): readonly Live[] {
  const all = live.flatMap(({ sum }, from) =>
    likeliest(logs[from]!, count).map((token) => ({ from, token, sum: sum + logs[from]![token]! })),
  );
  all.sort((a, b) => b.sum - a.sum || a.from - b.from || a.token - b.token);
  return all.slice(0, count).map(({ from, token, sum }) => ({ from, tokens: [...live[from]!.tokens, token], sum }));
}

function likeliest(logs: Float64Array, count: number): readonly number[] {
  const order = Array.from(logs, (_, token) => token);
  return order.sort((a, b) => logs[b]! - logs[a]! || a - b).slice(0, count);
}

/** Logarithms of the probabilities of each row's next token. */
async function logarithms(
  session: TextSession,
  tokens: readonly ArrayLike<number>[],
): Promise<readonly Float64Array[]> {
  const logits = session.step(tokens);
  try {
    const numbers = await logits.data();
    const vocabulary = numbers.length / tokens.length;
    return tokens.map((_, row) => {
      const own = Float64Array.from(numbers.subarray(row * vocabulary, (row + 1) * vocabulary));
      const wrong = own.findIndex((logit) => !Number.isFinite(logit));
      if (wrong >= 0) {
        throw new NumericsError(
          `beamSearch: the logit of token ${wrong} is ${own[wrong]}; the model's weights are damaged.`,
        );
      }
      const most = own.reduce((a, b) => Math.max(a, b));
      const total = own.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
      return own.map((logit) => logit - most - Math.log(total));
    });
  } finally {
    logits.dispose();
  }
}

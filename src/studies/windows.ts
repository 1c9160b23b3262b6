import { OptionError } from '../core/errors.js';
import { reasonsAgainst, wholeFrom } from '../core/requirements.js';
import type { TokenSource } from '../data/tokens.js';

export interface WindowOptions {
  /** Tokens that the model sees at a time, L. */
  readonly length: number;
  /** `'separate'`: windows lie side by side. `'sliding'`: they overlap, and every token is scored in one. */
  readonly mode: 'separate' | 'sliding';
  /** Tokens from one sliding window to the next, from 1 to L; default half of L. */
  readonly stride?: number | undefined;
  /** Tokens that are scored at most; fewer windows then lie evenly over the text. Default all. */
  readonly maxTokens?: number | undefined;
}

/** Inputs `start … start + L − 1`; the last `scores` of their targets count. */
export interface Window {
  readonly start: number;
  readonly scores: number;
}

export interface Windows {
  readonly list: readonly Window[];
  readonly stride: number;
  /** Targets that count, of all windows. */
  readonly tokens: number;
}

/**
 * The windows of a text of N tokens, which has N − 1 targets. Side by side: `⌊(N − 1) / L⌋`, all targets of each; the rest of
 * the text is left out. Sliding: the first scores all, each further one its last `stride`, and the last window ends with the text and
 * scores what is left. Where `maxTokens` allows fewer, each sliding window scores its last `stride` only.
 *
 * @throws OptionError with every reason at once.
 */
export function windowsOf(source: Pick<TokenSource, 'size' | 'unit'>, options: WindowOptions): Windows {
  const { length, mode, stride = Math.ceil(length / 2), maxTokens } = options;
  const whole = wholeFrom(1);
  const reasons = [
    ...reasonsAgainst({ length, stride, maxTokens }, { length: whole, stride: whole, maxTokens: whole }),
  ];
  if (reasons.length === 0) {
    if (stride > length) {
      reasons.push(`stride must be at most the length, or tokens would be left out; got ${stride} of ${length}`);
    }
    if (source.size <= length) {
      const { size, unit } = source;
      reasons.push(
        `a window of length ${length} takes ${length + 1} ${unit}s, the text has ${size}: give more text, or a smaller length`,
      );
    }
    const least = mode === 'separate' ? length : stride;
    if (maxTokens !== undefined && maxTokens < least) {
      reasons.push(`one window scores ${least} tokens; allow as many, not ${maxTokens}, or shorten the windows`);
    }
  }
  if (reasons.length > 0) throw new OptionError(`perplexity: ${reasons.join('; ')}.`);
  const targets = source.size - 1;
  const all = mode === 'separate' ? sideBySide(targets, length) : sliding(targets, length, stride);
  const step = mode === 'separate' ? length : stride;
  const list = total(all) <= (maxTokens ?? Infinity) ? all : spread(all, Math.floor(maxTokens! / step), step);
  return { list, stride: step, tokens: total(list) };
}

const total = (windows: readonly Window[]): number => windows.reduce((sum, { scores }) => sum + scores, 0);

const sideBySide = (targets: number, length: number): Window[] =>
  Array.from({ length: Math.floor(targets / length) }, (_, i) => ({ start: i * length, scores: length }));

function sliding(targets: number, length: number, stride: number): Window[] {
  const rest = targets - length;
  return [
    { start: 0, scores: length },
    ...Array.from({ length: Math.ceil(rest / stride) }, (_, i) => {
      const start = Math.min((i + 1) * stride, rest);
      return { start, scores: start - i * stride };
    }),
  ];
}

/** `count` of the windows, evenly over the text, each of which scores at most `scores`. */
function spread(all: readonly Window[], count: number, scores: number): Window[] {
  return Array.from({ length: count }, (_, i) => {
    const { start, scores: own } = all[Math.floor((i * all.length) / count)]!;
    return { start, scores: Math.min(own, scores) };
  });
}

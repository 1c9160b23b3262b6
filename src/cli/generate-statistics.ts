import * as format from '../report/format.js';

/** Times and bytes of texts that were generated side by side. */
export interface Statistics {
  /** Of each text. */
  readonly tokens: number;
  /** Of the longest prompt. */
  readonly promptTokens: number;
  /** Until the first token was there, prompt included. */
  readonly firstMilliseconds: number;
  /** Medians of the tokens around some positions. */
  readonly milliseconds: readonly { readonly position: number; readonly median: number }[];
  /** Of all texts together. */
  readonly tokensPerSecond: number;
  readonly peakBytes: number;
  readonly cacheBytes: number;
}

const POSITIONS = [100, 300, 1000, 3000, 10_000, 30_000, 100_000];

export function statistics(
  times: readonly number[],
  promptTokens: number,
  { texts, peak, cache }: { readonly texts: number; readonly peak: number; readonly cache: number },
): Statistics {
  const rest = times.slice(1);
  const medianOf = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? 0;
  const around = (position: number): readonly number[] => {
    const at = position - promptTokens;
    return times.slice(Math.max(1, at - Math.ceil(position / 10)), at);
  };
  return {
    tokens: times.length,
    promptTokens,
    firstMilliseconds: times[0] ?? 0,
    milliseconds: POSITIONS.filter(
      (position) => position <= promptTokens + times.length && around(position).length > 0,
    ).map((position) => ({ position, median: medianOf(around(position)) })),
    tokensPerSecond:
      (1000 * texts * rest.length) /
      Math.max(
        1e-9,
        rest.reduce((sum, time) => sum + time, 0),
      ),
    peakBytes: peak,
    cacheBytes: cache,
  };
}

/** One line for a person. */
export function statisticsText(found: Statistics): string {
  const { tokens, tokensPerSecond, milliseconds, firstMilliseconds, promptTokens, peakBytes, cacheBytes } = found;
  const at = milliseconds.map(({ position, median }) => `${format.integer(position)}: ${format.milliseconds(median)}`);
  return [
    `${format.count(tokens, 'token')}, ${tokensPerSecond.toFixed(0)} tokens/s`,
    `prompt of ${promptTokens} ${format.milliseconds(firstMilliseconds)}`,
    ...(at.length > 0 ? [`time per token at position ${at.join(', ')}`] : []),
    `memory ${format.bytes(peakBytes)}, of it caches ${format.bytes(cacheBytes)}`,
  ]
    .join('; ')
    .concat('\n');
}

import type { Comparison, CompareRow } from '../studies/compare.js';
import * as format from './format.js';

/** What people came for, in plain sentences; only what was measured. */
export function findings(rows: readonly CompareRow[], lengths: readonly number[]): string[] {
  const timed = (name: string, length: number): CompareRow | undefined =>
    rows.find((row) => row.mechanism === name && row.length === length && row.milliseconds !== null);
  const out: string[] = [];
  const shared = [...lengths].reverse().find((n) => timed('standard', n) && timed('exact', n));
  if (shared !== undefined) out.push(exactSentence(timed('standard', shared)!, timed('exact', shared)!));
  const longest = lengths.at(-1)!;
  const stopped = rows.find(({ mechanism, length }) => mechanism === 'standard' && length === longest)?.skipped ?? null;
  if (stopped !== null) out.push(`At ${format.integer(longest)} positions standard attention was not run: ${stopped}.`);
  const masks = rows.filter(
    ({ kind, length, overExact, target }) =>
      kind === 'sparse' && length === longest && overExact !== null && target === 'full',
  );
  const nearest = best(masks, (row) => -row.error!.relative);
  if (nearest !== undefined) {
    const fastest = best(masks, (row) => row.overExact!)!;
    out.push(
      `At ${format.integer(longest)} positions the mask nearest to full attention is ${maskPart(nearest)}` +
        (fastest === nearest ? '; it is also the fastest.' : `; the fastest is ${maskPart(fastest)}.`),
    );
  }
  return out;
}

function exactSentence(standard: CompareRow, exact: CompareRow): string {
  const { speedup, length } = exact;
  const speed =
    speedup! >= 1.05
      ? `is ${format.times(speedup!)} as fast as`
      : speedup! > 0.95
        ? 'is as fast as'
        : 'takes longer than';
  return (
    `At ${format.integer(length)} positions exact fused attention ${speed} standard attention, with ` +
    `${format.bytes(exact.workspaceBytes!)} of workspace instead of ${format.bytes(standard.workspaceBytes!)}.`
  );
}

function maskPart({ mechanism, overExact, pairsShare, error }: CompareRow): string {
  const speed =
    overExact! >= 0.95 ? `${format.times(overExact!)} as fast as exact attention` : 'slower than exact attention';
  return `${mechanism} (${speed}, ${format.percent(pairsShare!)} of the pairs, error ${format.error(error!.relative)})`;
}

function best(rows: readonly CompareRow[], score: (row: CompareRow) => number): CompareRow | undefined {
  return [...rows].sort((a, b) => score(b) - score(a))[0];
}

/** Which lengths were left out, and why. */
export const omissions = ({ omitted }: Comparison): string[] =>
  omitted.map(({ length, why }) => `n = ${format.integer(length)} was not run: ${why}.`);

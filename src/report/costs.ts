import * as format from './format.js';
import type { CompareRow } from '../studies/compare.js';
import type { SwapComparison, SwapCost } from '../studies/swap-row.js';

/** What each mechanism costs a trained model, by name: after adaptation where there was one. */
export const costsOf = (swaps: SwapComparison | undefined): ReadonlyMap<string, SwapCost> =>
  new Map(swaps?.rows.map((row) => [row.name, row.adapted ?? row]));

/** `bits per byte`, or of those that are hidden. */
export const unitOf = ({ masked }: Pick<SwapComparison, 'masked'>): string =>
  masked ? 'bits per masked byte' : 'bits per byte';

/** Bits that are lost, with a sign; what is within its standard error, or rounding, is 0. */
export function bits({ change, changeError }: SwapCost): string {
  const text = Math.abs(change).toFixed(Math.abs(change) < 0.0995 ? 3 : 2);
  if (Number(text) === 0 || Math.abs(change) < (changeError ?? 0)) return '0';
  return `${change < 0 ? '−' : '+'}${text}`;
}

/** The same for a row of a comparison; an exact mechanism loses nothing, and is not measured. */
export function costOf(costs: ReadonlyMap<string, SwapCost>, { name, exactness }: CompareRow): string | undefined {
  const cost = costs.get(name);
  return cost ? bits(cost) : exactness === 'exact' ? '0' : undefined;
}

/** What the losses are, for readers. */
export function qualityNote({ masked, rows, adaptedSteps }: SwapComparison): string {
  const { tokens, windows, length, bitsPerByte, accuracy } = rows.find(({ trained }) => trained)!;
  const found = accuracy === null ? '' : ` and finds ${format.percent(accuracy)} of them`;
  const own = masked
    ? `the model has ${bitsPerByte.toFixed(3)} bits for each of ${format.integer(tokens)} hidden bytes${found}`
    : `the model has ${bitsPerByte.toFixed(3)} bits per byte`;
  const how = adaptedSteps === null ? 'untrained' : `after ${adaptedSteps} steps in which attention alone is trained`;
  return (
    `Bits lost: every layer of the model attends by the mechanism instead, ${how}, on ${format.count(windows, 'window')} of ` +
    `${format.integer(length)} of this text; with its own attention ${own}.`
  );
}

import type { Comparison, CompareRow } from '../studies/compare.js';
import type { SwapComparison, SwapCost } from '../studies/swap-row.js';
import type { Looking } from '../studies/looking.js';
import { bits, costsOf, unitOf } from './costs.js';
import * as format from './format.js';

/** Attention in one direction: what mechanisms take at a text, and what they cost a model that was trained in that direction. */
export interface Direction {
  readonly comparison: Comparison;
  /** Undefined where there is no such model. */
  readonly swaps: SwapComparison | undefined;
  /** Where one byte of the text looks. */
  readonly looking?: Looking | undefined;
}

/** A mechanism at one length, with its cost at the model's. */
export interface Judged {
  readonly row: CompareRow;
  readonly cost: SwapCost;
}

/** What to take at a length. */
export interface Choice {
  readonly length: number;
  /** The fastest of those that cost little; undefined: flash, as nothing faster costs so little. */
  readonly use: Judged | undefined;
  /** The one that costs least of those faster than flash. */
  readonly nearest: Judged | undefined;
  /** Those that cost much, the worst last. */
  readonly costly: readonly Judged[];
  /** Those that are not faster than flash. */
  readonly slow: readonly CompareRow[];
  /** Those that training would have to fit to the model, or the model to them. */
  readonly untrained: readonly CompareRow[];
  /** Those that are faster, and whose cost was not measured. */
  readonly unknown: readonly CompareRow[];
}

/** Bits per byte that are little, and that are much. */
export const LITTLE = 0.05;
export const MUCH = 0.5;

/** What to take at each length that was measured; nothing where no model says what a mechanism costs. */
export function choices({ comparison, swaps }: Direction): Choice[] {
  if (swaps === undefined) return [];
  const costs = costsOf(swaps);
  const adapted = swaps.adaptedSteps !== null;
  return comparison.lengths.map((length) => {
    const rows = comparison.rows.filter(
      // flash is the best of the exact ones, or close
      (row) => row.length === length && row.overFlash !== null && row.exactness !== 'exact',
    );
    const isUntrained = (row: CompareRow): boolean =>
      !adapted && (row.exactness === 'learned' || row.level === 'mixer');
    const slow = rows.filter(({ overFlash }) => overFlash! <= 1);
    const faster = rows.filter((row) => !slow.includes(row));
    const judged = faster.flatMap((row) => {
      const cost = costs.get(row.name);
      return cost === undefined || isUntrained(row) ? [] : [{ row, cost }];
    });
    const byCost = [...judged].sort((a, b) => a.cost.change - b.cost.change);
    const cheap = judged.filter(({ cost }) => cost.change <= LITTLE);
    return {
      length,
      use: cheap.sort((a, b) => b.row.overFlash! - a.row.overFlash!)[0],
      nearest: byCost[0],
      costly: byCost.filter(({ cost }) => cost.change > MUCH),
      slow,
      untrained: faster.filter(isUntrained),
      unknown: faster.filter((row) => !isUntrained(row) && !costs.has(row.name)),
    };
  });
}

/**
 * The choice in plain sentences: at the length of the model, and at the longest. Without a model that says what a mechanism costs, there is
 * nothing but the error of the call to go by.
 */
export function headline(direction: Direction): string[] {
  const { comparison, swaps } = direction;
  if (swaps === undefined) return byError(comparison);
  const all = choices(direction);
  const { length: trained } = swaps.config;
  const longest = all.at(-1)!;
  const own = [...all].reverse().find(({ length }) => length <= trained);
  const shown = own === undefined || own === longest ? [longest] : [own, longest];
  const unit = unitOf(swaps);
  const where = comparison.causal ? 'causal' : 'all pairs';
  return [
    ...shown.map((choice) => `${capital(where)}, at ${format.integer(choice.length)}: ${take(choice, unit)}`),
    ...avoid(longest, unit),
    ...fit(longest),
    ...missing(longest, swaps.refused),
  ];
}

function take({ use, nearest, untrained, unknown }: Choice, unit: string): string {
  if (nearest === undefined) {
    return untrained.length + unknown.length > 0
      ? 'flash, as far as is known.'
      : 'flash; nothing that leaves something out is faster.';
  }
  const near = `nearest to exact of those faster than flash: ${part(nearest)}`;
  if (use === undefined) {
    return `flash; what is faster costs more than ${LITTLE} ${unit}, ${near}.`;
  }
  const { row, cost } = use;
  const first =
    `${row.name} is ${format.times(row.overFlash!)} as fast as flash, with ${format.bytes(row.workspaceBytes!)} of ` +
    `workspace, and costs ${bits(cost)} ${unit}`;
  // what cannot be told apart by its bits is no nearer
  return bits(cost) === bits(nearest.cost) ? `${first}; nothing faster than flash costs less.` : `${first}; ${near}.`;
}

function avoid({ costly, slow }: Choice, unit: string): string[] {
  const parts = [
    ...(costly.length > 0
      ? [
          `${list(costly.map(({ row, cost }) => `${row.name} (${bits(cost)})`))} in a model that was not trained with it: so many ${unit} are lost`,
        ]
      : []),
    ...(slow.length > 0 ? [`${list(slow.map(({ name }) => name))}, not faster than flash at this length`] : []),
  ];
  return parts.length === 0 ? [] : [`Do not take ${parts.join('; ')}.`];
}

const fit = ({ untrained }: Choice): string[] =>
  untrained.length === 0
    ? []
    : [
        `Not judged: ${list(untrained.map(({ name }) => name))}, which a model has to be trained with; --adapt 100 trains its attention.`,
      ];

function missing({ unknown }: Choice, refused: SwapComparison['refused']): string[] {
  const reasons = new Map<string, string[]>();
  for (const { name } of unknown) {
    const why = refused.find((one) => one.name === name)?.why ?? 'it was not measured';
    reasons.set(why, [...(reasons.get(why) ?? []), name]);
  }
  return [...reasons].map(
    ([why, names]) => `What ${list(names)} cost${names.length === 1 ? 's' : ''} is not known: ${why}.`,
  );
}

const part = ({ row, cost }: Judged): string => `${row.name} (${bits(cost)}, ${format.times(row.overFlash!)} as fast)`;

const list = (names: readonly string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

const capital = (text: string): string => text[0]!.toUpperCase() + text.slice(1);

function byError({ rows, lengths, causal, errorsAt = lengths.at(-1)! }: Comparison): string[] {
  const judged = rows.filter(
    (row) =>
      row.length === errorsAt &&
      row.exactness !== 'exact' &&
      row.overFlash !== null &&
      // another target is another question
      row.causal === causal &&
      row.level === 'attention',
  );
  if (judged.length === 0) return [];
  const faster = judged.filter(({ overFlash }) => overFlash! > 1);
  const at = `at ${format.integer(errorsAt)} positions`;
  if (faster.length === 0) return [`None that leaves something out is faster than flash ${at}.`];
  const nearest = best(faster, (row) => -row.error!.relative);
  const fastest = best(faster, (row) => row.overFlash!);
  return [
    `Of those faster than flash ${at} the nearest to softmax attention is ${withError(nearest)}` +
      (fastest === nearest ? '; it is also the fastest.' : `; the fastest is ${withError(fastest)}.`),
  ];
}

const withError = ({ name, overFlash, error, exactness }: CompareRow): string =>
  `${name} (${format.times(overFlash!)} as fast, error ${format.error(error!.relative)}${exactness === 'learned' ? ', untrained' : ''})`;

const best = (rows: readonly CompareRow[], score: (row: CompareRow) => number): CompareRow =>
  [...rows].sort((a, b) => score(b) - score(a))[0]!;

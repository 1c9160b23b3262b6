import type { Extrapolation } from './extrapolate.js';
import type { ExtrapolationRow } from './extrapolate-evaluate.js';

type Mode = ExtrapolationRow['mode'];

/** A method at one length, over all seeds that are done. */
export interface Summary {
  readonly method: string;
  readonly mode: Mode;
  readonly times: number;
  readonly length: number;
  readonly seeds: number;
  /** Means over the seeds; null where the method is not defined. */
  readonly bitsPerByte: number | null;
  readonly lowest: number | null;
  readonly highest: number | null;
  /** Perplexity per byte over that at the trained length: mean over seeds; null without that. */
  readonly ratio: number | null;
}

/** All methods at all lengths, in the order of the study. */
export function summarise({
  methods,
  times,
  rows,
  length,
}: Pick<Extrapolation, 'methods' | 'times' | 'rows' | 'length'>): Summary[] {
  return (['separate', 'sliding'] as const).flatMap((mode) =>
    methods.flatMap(({ name }) => times.map((factor) => of(rows, name, mode, factor, factor * length))),
  );
}

function of(rows: readonly ExtrapolationRow[], method: string, mode: Mode, times: number, length: number): Summary {
  const own = rows.filter((row) => row.method === method && row.mode === mode && row.times === times);
  const bits = own.flatMap(({ bitsPerByte }) => (bitsPerByte === null ? [] : [bitsPerByte]));
  const ratios = own.flatMap(({ seed, perplexityPerByte }) => {
    const start = rows.find(
      (row) => row.method === method && row.mode === mode && row.seed === seed && row.times === 1,
    );
    const first = start?.perplexityPerByte ?? null;
    return first === null || perplexityPerByte === null ? [] : [perplexityPerByte / first];
  });
  const some = bits.length > 0;
  return {
    method,
    mode,
    times,
    length,
    seeds: own.length,
    bitsPerByte: some ? mean(bits) : null,
    lowest: some ? Math.min(...bits) : null,
    highest: some ? Math.max(...bits) : null,
    ratio: ratios.length > 0 ? mean(ratios) : null,
  };
}

const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;

/** What the figure shows, in sentences: windows side by side, as in the paper. */
export function extrapolationFindings(study: Extrapolation): string[] {
  const { methods, times, length } = study;
  const farthest = times.includes(8) ? 8 : times.at(-1)!;
  const all = summarise(study).filter(({ mode, times: factor }) => mode === 'separate' && factor === farthest);
  const known = all.filter(({ ratio }) => ratio !== null).sort((a, b) => a.ratio! - b.ratio!);
  if (farthest === 1 || known.length === 0) return [];
  const name = (method: string): string => methods.find((one) => one.name === method)!.label;
  const group = (title: string, some: readonly Summary[]): string[] =>
    some.length === 0
      ? []
      : [`${title}: ${some.map(({ method, ratio }) => `${name(method)} (${change(ratio!)})`).join(', ')}.`];
  const lost = all
    .filter(({ seeds, bitsPerByte }) => seeds > 0 && bitsPerByte === null)
    .map(({ method }) => name(method));
  return [
    `Trained on windows of ${length} bytes, read in windows of ${(farthest * length).toLocaleString('en')}; the change of perplexity per byte, side by side:`,
    ...group(
      'Within 3 % or better',
      known.filter(({ ratio }) => ratio! <= 1.03),
    ),
    ...group(
      'Worse, by less than 20 %',
      known.filter(({ ratio }) => ratio! > 1.03 && ratio! < 1.2),
    ),
    ...group(
      'Worse by 20 % or more',
      known.filter(({ ratio }) => ratio! >= 1.2),
    ),
    ...(lost.length === 0 ? [] : [`Not defined beyond the trained length: ${lost.join(', ')}.`]),
  ];
}

/** A ratio as a change: `+50 %`, `−1.4 %`. */
export function change(ratio: number): string {
  const percent = 100 * (ratio - 1);
  const digits = Math.abs(percent) < 10 ? 1 : 0;
  const sign = percent < 0 ? '−' : '+';
  return `${sign}${Math.abs(percent).toFixed(digits)} %`;
}

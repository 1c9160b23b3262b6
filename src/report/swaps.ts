import { layerNames } from '../models/config-layers.js';
import type { ModelConfig } from '../models/index.js';
import type { SwapComparison, SwapRow } from '../studies/swap-row.js';
import { unitOf } from './costs.js';
import * as format from './format.js';

/** Which model, on which text. */
export interface Subject {
  readonly model: string;
  readonly document: string;
  /** Whether the model has seen the text, as far as is known. */
  readonly provenance: string;
  /** Something readers must know about the lengths. */
  readonly note: string | undefined;
}

export type Swaps = SwapComparison & Subject;

/** The model in a few words. */
export const modelWords = (config: ModelConfig): string => {
  const { kind, layers, width, heads, position, length } = config;
  return (
    `${kind}, ${format.count(layers, 'layer')} of ${width}, ${format.count(heads, 'head')}, ${layerNames(config).join(', ')}, ` +
    `${position.method}, trained at length ${format.integer(length)}`
  );
};

/** With a sign; what does not change to four digits is 0. */
export function change(value: number): string {
  const text = Math.abs(value).toFixed(4);
  return Number(text) === 0 ? text : `${value < 0 ? '−' : '+'}${text}`;
}

/** What a row must not keep to itself. */
export function swapRemark({ trained, drawn, unused }: SwapRow): string {
  const tensors = (list: readonly string[], what: string): string =>
    list.length === 0 ? '' : `${format.count(list.length, 'tensor')} ${what}`;
  return [trained ? 'as trained' : '', tensors(drawn, 'drawn'), tensors(unused, 'without use')]
    .filter((part) => part !== '')
    .join(', ');
}

/** What came out, in plain sentences. */
export function swapFindings(found: Pick<Swaps, 'rows' | 'lengths' | 'config' | 'masked'>): string[] {
  const { rows, lengths, config } = found;
  return lengths.map((length) => {
    const own = rows.filter((row) => row.length === length);
    const trained = own.find((row) => row.trained)!;
    const others = own.filter((row) => !row.trained && row.exactness !== 'exact');
    const longer = length > config.length ? `, longer than the ${format.integer(config.length)} it was trained at` : '';
    const first =
      `In windows of ${format.integer(length)}${longer}, the model has ${trained.bitsPerByte.toFixed(3)} ${unitOf(found)} ` +
      `with its own attention${trained.accuracy === null ? '' : ` and finds ${format.percent(trained.accuracy)} of the masked bytes`}.`;
    if (others.length === 0) return first;
    const [best, worst] = [others[0]!, others.at(-1)!];
    const labelled = (row: SwapRow): string => `${row.name} (${change(row.change)})`;
    const rest = best === worst ? '' : `, ${labelled(worst)} worst`;
    return `${first} Of what leaves pairs out or approximates, swapped in without training, ${labelled(best)} predicts best${rest}.`;
  });
}

/** Why mechanisms are not in the table, those with one reason together. */
export function refusals({ refused }: Pick<Swaps, 'refused'>): string[] {
  const reasons = new Map<string, string[]>();
  for (const { name, length, why } of refused) {
    const label = length === null ? name : `${name} at length ${format.integer(length)}`;
    reasons.set(why, [...(reasons.get(why) ?? []), label]);
  }
  return [...reasons].map(([why, names]) => `${names.join(', ')}: ${why}`);
}

import type { DeviceInfo } from '../devices/device.js';
import { mechanismNames } from '../models/config-layers.js';
import type { ModelConfig } from '../models/index.js';
import type { PerplexityComparison, SwapRow } from '../studies/compare-perplexity.js';
import { printable, type Style } from './ansi.js';
import * as format from './format.js';
import { table } from './table.js';

/** Which model, on which text. */
export interface Subject {
  readonly model: string;
  readonly document: string;
  /** Whether the model has seen the text, as far as is known. */
  readonly provenance: string;
  /** Something readers must know about the lengths. */
  readonly note: string | undefined;
}

export type Swaps = PerplexityComparison & Subject;

/** The model in a few words. */
export const modelWords = (config: ModelConfig): string => {
  const { kind, layers, width, heads, position, length } = config;
  return (
    `${kind}, ${format.count(layers, 'layer')} of ${width}, ${format.count(heads, 'head')}, ${mechanismNames(config)}, ` +
    `${position.method}, trained at length ${format.integer(length)}`
  );
};

export function subjectText(config: ModelConfig, subject: Subject, info: DeviceInfo, style: Style): string {
  const { model, document, provenance, note } = subject;
  return (
    `${style.bold(printable(model))}: ${modelWords(config)}; ${info.kind}, ${format.count(info.threads, 'thread')}\n` +
    `${style.dim(printable(`on ${document}. ${provenance}`))}\n${note === undefined ? '' : `${note}\n`}\n`
  );
}

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

/** The rows of one length, the best first. */
export function swapTable({ rows, lengths }: Swaps, length: number, style: Style): string {
  const own = rows.filter((row) => row.length === length);
  const { tokens, windows } = own[0]!;
  const title =
    lengths.length === 1
      ? `${format.integer(tokens)} tokens in ${format.count(windows, 'window')} of ${format.integer(length)}`
      : `n = ${format.integer(length)}: ${format.integer(tokens)} tokens in ${format.count(windows, 'window')}`;
  const shown = table<SwapRow>(
    [
      { title: 'attention', width: 24, cell: ({ name, trained }) => (trained ? style.bold(name) : name) },
      { title: 'bits per byte', align: 'right', cell: ({ bitsPerByte }) => bitsPerByte.toFixed(4) },
      { title: 'change', width: 7, align: 'right', cell: (row) => (row.trained ? '–' : change(row.change)) },
      {
        title: '±',
        spare: 2,
        width: 6,
        align: 'right',
        cell: ({ changeError, trained }) => (trained || changeError === null ? '–' : changeError.toFixed(4)),
      },
      { title: 'perplexity', spare: 4, align: 'right', cell: ({ perplexityPerByte }) => perplexityPerByte.toFixed(3) },
      {
        title: 'tokens/s',
        spare: 3,
        align: 'right',
        cell: ({ tokensPerSecond }) => format.operations(tokensPerSecond),
      },
      { title: 'exactness', spare: 1, cell: ({ exactness }) => exactness },
      { title: '', remark: true, cell: (row) => style.dim(swapRemark(row)) },
    ],
    own,
    style,
  );
  return `${style.bold(title)}\n${shown}\n`;
}

/** What came out, in plain sentences. */
export function swapFindings({ rows, lengths, config }: Pick<Swaps, 'rows' | 'lengths' | 'config'>): string[] {
  return lengths.map((length) => {
    const own = rows.filter((row) => row.length === length);
    const trained = own.find((row) => row.trained)!;
    const others = own.filter((row) => !row.trained && row.exactness !== 'exact');
    const longer = length > config.length ? `, longer than the ${format.integer(config.length)} it was trained at` : '';
    const first =
      `In windows of ${format.integer(length)}${longer}, the model has ${trained.bitsPerByte.toFixed(3)} bits per byte ` +
      'with its own attention.';
    if (others.length === 0) return first;
    const [best, worst] = [others[0]!, others.at(-1)!];
    const told = (row: SwapRow): string => `${row.name} (${change(row.change)})`;
    const rest = best === worst ? '' : `, ${told(worst)} worst`;
    return `${first} Of what leaves pairs out or approximates, swapped in without training, ${told(best)} predicts best${rest}.`;
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

export function swapClosing(found: Swaps, style: Style): string {
  const list = refusals(found);
  const out = list.length === 0 ? '' : `not swapped in\n${list.map((line) => `  ${line}\n`).join('')}\n`;
  const notes =
    'change: of bits per byte, against the attention the model was trained with, on the same windows, side by side; ±: its standard\n' +
    'error over the windows, taken for independent. perplexity: per byte. tokens/s: of the whole model, forward. drawn: parameters\n' +
    'that the mechanism brings, from the seed; without use: parameters of the model. Nothing was trained again.\n';
  return `${out}${swapFindings(found).join('\n')}\n\n${style.dim(notes)}\n`;
}

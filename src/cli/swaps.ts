import type { DeviceInfo } from '../devices/device.js';
import type { ModelConfig } from '../models/index.js';
import type { SwapRow } from '../studies/swap-row.js';
import { printable, type Style } from './ansi.js';
import { unitOf } from '../report/costs.js';
import * as format from '../report/format.js';
import { change, modelWords, refusals, swapFindings, swapRemark, type Subject, type Swaps } from '../report/swaps.js';
import { table } from './table.js';

export function subjectText(config: ModelConfig, subject: Subject, info: DeviceInfo, style: Style): string {
  const { model, document, provenance, note } = subject;
  return (
    `${style.bold(printable(model))}: ${modelWords(config)}; ${format.place(info)}\n` +
    `${style.dim(printable(`on ${document}. ${provenance}`))}\n${note === undefined ? '' : `${note}\n`}\n`
  );
}

/** The rows of one length, the best first. */
export function swapTable(found: Swaps, length: number, style: Style): string {
  const { rows, lengths, masked } = found;
  const own = rows.filter((row) => row.length === length);
  const { tokens, windows } = own[0]!;
  const title =
    lengths.length === 1
      ? `${format.integer(tokens)} ${masked ? 'masked ' : ''}tokens in ${format.count(windows, 'window')} of ${format.integer(length)}`
      : `n = ${format.integer(length)}: ${format.integer(tokens)} ${masked ? 'masked ' : ''}tokens in ${format.count(windows, 'window')}`;
  const shown = table<SwapRow>(
    [
      { title: 'attention', width: 24, cell: ({ name, trained }) => (trained ? style.bold(name) : name) },
      { title: unitOf(found), align: 'right', cell: ({ bitsPerByte }) => bitsPerByte.toFixed(4) },
      { title: 'change', width: 7, align: 'right', cell: (row) => (row.trained ? '–' : change(row.change)) },
      {
        title: '±',
        spare: 2,
        width: 6,
        align: 'right',
        cell: ({ changeError, trained }) => (trained || changeError === null ? '–' : changeError.toFixed(4)),
      },
      ...(masked
        ? [{ title: 'found', align: 'right', cell: ({ accuracy }: SwapRow) => format.percent(accuracy ?? 0) } as const]
        : []),
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

export function swapClosing(found: Swaps, style: Style): string {
  const list = refusals(found);
  const out = list.length === 0 ? '' : `not swapped in\n${list.map((line) => `  ${line}\n`).join('')}\n`;
  const notes =
    (found.masked ? 'found: share of the masked bytes that are the likeliest. ' : '') +
    'change: of these bits, against the attention the model was trained with, on the same windows, side by side; ±: its standard\n' +
    'error over the windows, taken for independent. perplexity: per byte. tokens/s: of the whole model, forward. drawn: parameters\n' +
    'that the mechanism brings, from the seed; without use: parameters of the model. Nothing was trained again.\n';
  return `${out}${swapFindings(found).join('\n')}\n\n${style.dim(notes)}\n`;
}

import type { MaskedEvaluation } from '../../studies/evaluate-masked.js';
import type { MaskedScores } from '../../studies/masked.js';
import * as format from '../../report/format.js';
import type { Style } from '../ansi.js';
import { table } from '../table.js';

/** A row for each length. */
export function renderMasked({ rows, unit, objective, machine }: MaskedEvaluation, style: Style): string {
  const error = (row: MaskedScores): number => ((row.standardError ?? 0) * row.bitsPerByte) / row.natsPerToken;
  const text = table<MaskedScores>(
    [
      { title: 'length', align: 'right', cell: ({ length }) => format.integer(length) },
      { title: 'accuracy', align: 'right', cell: ({ accuracy }) => `${(100 * accuracy).toFixed(2)} %` },
      { title: 'bits per masked byte', align: 'right', cell: ({ bitsPerByte }) => bitsPerByte.toFixed(4) },
      {
        title: '±',
        spare: 1,
        align: 'right',
        cell: (row) => (row.standardError === null ? '–' : error(row).toFixed(4)),
      },
      { title: `masked ${unit}s`, spare: 2, align: 'right', cell: ({ tokens }) => format.integer(tokens) },
      { title: 'windows', spare: 3, align: 'right', cell: ({ windows }) => format.integer(windows) },
      { title: 'time', spare: 4, align: 'right', cell: ({ seconds }) => format.milliseconds(1000 * seconds) },
    ],
    rows,
    style,
  );
  const { share, span, words } = objective;
  const what = words ? 'whole words' : span === 1 ? `single ${unit}s` : `spans of ${span} ${unit}s in the mean`;
  const notes = [
    `${format.percent(share)} of the ${unit}s are masked, ${what}; the same with every model.`,
    '± is one standard error over windows, taken for independent.',
    `${format.place(machine.device)}.`,
  ];
  return `${text}\n${style.dim(notes.join(' '))}\n`;
}

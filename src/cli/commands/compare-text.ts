import type { DeviceInfo } from '../../devices/device.js';
import { type Direction, headline } from '../../report/choice.js';
import { costOf, costsOf, qualityNote, unitOf } from '../../report/costs.js';
import type { Comparison, CompareRow } from '../../studies/compare.js';
import type { SwapComparison } from '../../studies/swap-row.js';
import { baselines } from '../../studies/mechanisms.js';
import { printable, type Style } from '../ansi.js';
import { beyond, bySpeed, findings, foreseen, likeness, omissions, remark } from '../../report/findings.js';
import * as format from '../../report/format.js';
import { type Column, table } from '../table.js';

/** The lengths that a text of `size` bytes has; in place of longer ones, once, the whole text. */
export function fitLengths(
  wanted: readonly number[],
  size: number,
): { readonly lengths: number[]; readonly note: string | undefined } {
  const all = [...new Set(wanted)].sort((a, b) => a - b);
  const fitting = all.filter((length) => length <= size);
  const missing = all.filter((length) => length > size);
  if (missing.length === 0) return { lengths: fitting, note: undefined };
  const lengths = fitting.at(-1) === size ? fitting : [...fitting, size];
  const list = missing.map(format.integer).join(', ');
  const note = `The text has ${format.integer(size)} bytes: its whole length takes the place of ${list}.`;
  return { lengths, note };
}

interface Heading {
  readonly document: string;
  readonly size: number;
  readonly training: boolean;
  readonly note: string | undefined;
}

export function heading(info: DeviceInfo, { document, size, training, note }: Heading, style: Style): string {
  const reason = info.kind === 'wasm' ? `${style.dim(info.reasons[0]!)}\n` : '';
  const pass = training ? 'forward and backward' : 'forward';
  return (
    `${style.bold(printable(document))}, ${format.bytes(size)}; ${pass}; ${format.place(info)}\n` +
    `${reason}${note === undefined ? '' : `${note}\n`}\n`
  );
}

interface DirectionHeading {
  readonly causal: boolean;
  readonly heads: number;
  readonly headDim: number;
  /** What queries, keys and values are. */
  readonly features: string;
}

export const directionHeading = ({ causal, heads, headDim, features }: DirectionHeading, style: Style): string =>
  `${style.bold(causal ? 'Causal attention' : 'Attention over all pairs')}; ${format.count(heads, 'head')} of ${headDim}, f32\n` +
  `${style.dim(features)}\n\n`;

/** What the bits are that a mechanism loses. */
export const qualityLine = (swaps: SwapComparison, style: Style): string => `${style.dim(qualityNote(swaps))}\n\n`;

const dash = '–';
const or = <T>(value: T | null, show: (value: T) => string): string => (value === null ? dash : show(value));

type Context = Pick<Comparison, 'causal' | 'training' | 'trainedTo'> & { readonly swaps: SwapComparison | undefined };

function columns(context: Context, style: Style): readonly Column<CompareRow>[] {
  const { swaps } = context;
  const costs = costsOf(swaps);
  const lost: Column<CompareRow> = { title: 'bits lost', align: 'right', cell: (row) => costOf(costs, row) ?? dash };
  return [
    {
      title: 'attention',
      width: 20,
      cell: ({ name, mechanism }) => (baselines.includes(mechanism) ? style.bold(name) : name),
    },
    { title: 'time', width: 8, align: 'right', cell: ({ milliseconds }) => or(milliseconds, format.milliseconds) },
    { title: '× standard', spare: 3, align: 'right', cell: ({ overStandard }) => or(overStandard, format.times) },
    { title: '× flash', spare: 1, align: 'right', cell: ({ overFlash }) => or(overFlash, format.times) },
    { title: 'workspace', spare: 2, align: 'right', cell: ({ workspaceBytes }) => or(workspaceBytes, format.bytes) },
    {
      title: 'predicted',
      spare: 6,
      align: 'right',
      cell: ({ predicted, skipped }) => (skipped === null ? format.bytes(predicted!.workspaceBytes) : dash),
    },
    {
      title: 'multiply-adds',
      spare: 7,
      align: 'right',
      cell: ({ counted }) => or(counted, (c) => format.operations(c.multiplyAdds)),
    },
    {
      title: 'predicted',
      spare: 8,
      align: 'right',
      cell: (row) => (row.skipped === null ? or(foreseen(row, context.training), format.operations) : dash),
    },
    ...(swaps ? [lost] : []),
    {
      title: 'error',
      width: 7,
      align: 'right',
      cell: (row) => or(likeness(row, context), (e) => format.error(e.relative)),
    },
    {
      title: 'cosine',
      spare: 4,
      width: 6,
      align: 'right',
      cell: (row) => or(likeness(row, context), (e) => e.cosine.toFixed(4)),
    },
    {
      title: 'worst row',
      spare: 5,
      align: 'right',
      cell: (row) => or(likeness(row, context), (e) => format.error(e.worstRow)),
    },
    { title: '', remark: true, cell: (row) => style.dim(remark(row, context.causal)) },
  ];
}

/** The rows of one length, the fastest first. */
export function lengthBlock(rows: readonly CompareRow[], context: Context, style: Style): string {
  const { length } = rows[0]!;
  const title = style.bold(`n = ${format.integer(length)}`) + beyond(length, context);
  return `${title}\n${table(columns(context, style), bySpeed(rows), style)}\n`;
}

/** What was seen in a direction beside the choice. */
export function directionClosing({ comparison }: Direction, style: Style): string {
  const omitted = omissions(comparison).map((sentence) => `${sentence} --seconds allows more.\n`);
  return `${omitted.join('')}${style.dim(findings(comparison).join('\n'))}\n\n`;
}

/** What the numbers mean, and at the end what people came for. */
export function closing(directions: readonly Direction[], style: Style): string {
  const [{ comparison }] = directions as [Direction];
  const { rowsPerHead, heads, training } = comparison;
  const swaps = directions.find((one) => one.swaps)?.swaps;
  const notes = style.dim(
    `time: median after a checked first run${training ? ', of a training step' : ''}; × standard, × flash: how many times as fast at the same length.\n` +
      `workspace: most bytes held beyond inputs, parameters, result${training ? ' and gradients' : ''}; predicted: by a rehearsal that computes nothing.\n` +
      `multiply-adds: of matrix products, counted; predicted: ${training ? 'by the rehearsal' : "by the mechanism's formula; tiles that a pattern cuts are executed whole"}.\n` +
      (swaps
        ? `bits lost: ${unitOf(swaps)} of the model that attends by the mechanism in every layer, at its own length.\n`
        : '') +
      `error: against float64 softmax attention in this direction, on ${rowsPerHead * heads} sampled rows (‖difference‖ / ‖reference‖), on these\n` +
      'features. "untrained": parameters that training would learn are drawn from the seed.\n',
  );
  const choice = directions.flatMap(headline).map((sentence) => style.bold(sentence));
  return `${notes}\n${choice.join('\n')}\n\n`;
}

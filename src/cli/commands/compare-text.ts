import type { DeviceInfo } from '../../devices/device.js';
import type { Comparison, CompareRow } from '../../studies/compare.js';
import { featuresNote } from '../../studies/features.js';
import type { Style } from '../ansi.js';
import { findings, omissions } from '../findings.js';
import * as format from '../format.js';
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
  readonly heads: number;
  readonly headDim: number;
  readonly note: string | undefined;
}

export function heading(info: DeviceInfo, { document, size, heads, headDim, note }: Heading, style: Style): string {
  const reason = info.kind === 'wasm' ? `${info.reasons[0]}\n` : '';
  return (
    `${style.bold(document)}, ${format.bytes(size)}; ${format.count(heads, 'head')} of ${headDim}, f32; ${info.kind}, ${format.count(info.threads, 'thread')}\n` +
    style.dim(`${reason}${featuresNote}`) +
    `\n${note === undefined ? '' : `${note}\n`}\n`
  );
}

const dash = '–';
const or = <T>(value: T | null, show: (value: T) => string): string => (value === null ? dash : show(value));

const columns = (style: Style): readonly Column<CompareRow>[] => [
  {
    title: 'attention',
    width: 46,
    cell: ({ kind, label }) => (kind === 'exact' ? style.bold(label) : label),
  },
  { title: 'time', width: 8, align: 'right', cell: ({ milliseconds }) => or(milliseconds, format.milliseconds) },
  { title: '× standard', align: 'right', cell: ({ speedup }) => or(speedup, format.times) },
  { title: '× exact', align: 'right', cell: ({ overExact }) => or(overExact, format.times) },
  { title: 'workspace', align: 'right', cell: ({ workspaceBytes }) => or(workspaceBytes, format.bytes) },
  { title: 'pairs', width: 6, align: 'right', cell: ({ pairsShare }) => or(pairsShare, format.percent) },
  { title: 'error', width: 7, align: 'right', cell: ({ error }) => or(error, (e) => format.error(e.relative)) },
  { title: 'cosine', width: 6, align: 'right', cell: ({ error }) => or(error, (e) => e.cosine.toFixed(4)) },
  { title: 'worst row', align: 'right', cell: ({ error }) => or(error, (e) => format.error(e.worstRow)) },
  { title: '', cell: (row) => style.dim(remark(row)) },
];

/** What a row must not keep to itself. */
function remark({ skipped, note, target }: CompareRow): string {
  if (skipped !== null) return `not run: ${skipped}`;
  return note ?? (target === 'causal' ? 'of causal' : '');
}

/** The rows of one length. */
export function lengthBlock(rows: readonly CompareRow[], style: Style): string {
  return `${style.bold(`n = ${format.integer(rows[0]!.length)}`)}\n${table(columns(style), rows, style)}\n`;
}

/** What the numbers mean, and the two sentences people came for. */
export function closing(comparison: Comparison, style: Style): string {
  const { rows, lengths, rowsPerHead, heads } = comparison;
  const notes = style.dim(
    `time: median after a checked first run; × standard, × exact: how many times as fast at the same length.\n` +
      'workspace: most bytes held beyond q, k, v and the result. pairs: query–key pairs the mask allows, of all n².\n' +
      `error: against float64 softmax attention over all pairs ("of causal": over all pairs up to the query), on ${rowsPerHead * heads} sampled rows\n` +
      '(‖difference‖ / ‖reference‖). For a mask this is what leaving pairs out costs on these features.\n',
  );
  const omitted = omissions(comparison).map((sentence) => `${sentence} --seconds allows more.\n`);
  return `${omitted.join('')}${findings(rows, lengths).join('\n')}\n\n${notes}\n`;
}

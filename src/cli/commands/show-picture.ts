import type { OptionSpec, OptionSpecs, Paper } from '../../attention/index.js';
import { requirementOf } from '../../attention/options.js';
import { coarser, stretched, terminalLines } from '../../report/picture/grid.js';
import type { MarkedText } from '../../report/picture/marked-text.js';
import type { Panel } from '../../report/picture/svg.js';
import { printable, type Style } from '../ansi.js';
import { fold } from '../fold.js';
import { definitions } from '../table.js';

/** What `show` draws. */
export interface Picture {
  readonly panels: readonly Panel[];
  readonly caption: string;
  readonly text?: MarkedText | undefined;
  /** Whether shades are weights, of which the largest is as dark as can be; else shares of pairs. */
  readonly weights: boolean;
  /** Groups with some of their bytes, for a terminal. */
  readonly groups: readonly (readonly [name: string, members: readonly string[]])[];
}

const terminalCells = 36;

/** The picture as lines of a terminal. */
export const pictureLines = ({ panels, caption, groups, weights }: Picture, style: Style): string[] => [
  style.bold('Picture'),
  ...panels.flatMap(({ grid: cells, title }) => {
    const coarse = coarser(cells, Math.min(terminalCells, Math.floor((style.columns - 2) / 2)));
    return [...(panels.length > 1 ? [title] : []), ...terminalLines(weights ? stretched(coarse) : coarse)];
  }),
  style.dim(caption),
  '',
  ...(groups.length === 0
    ? []
    : [style.bold('On the text, each byte at the end of what stands before it'), groupList(groups, style)]),
];

const groupList = (groups: Picture['groups'], style: Style): string =>
  definitions(
    groups.map(([name, members]) => [name, members.map(printable).join('  ')] as const),
    style,
  );

/** Options of a mechanism or mixer, with their values. */
export function optionLines(
  specs: OptionSpecs,
  chosen: Readonly<Record<string, unknown>>,
  style: Style,
): readonly string[] {
  const entries = Object.entries(specs);
  const width = Math.max(0, ...entries.map(([name]) => name.length));
  const lines = entries.map(([name, spec]) => optionLine(name.padEnd(width), spec, chosen[name], style));
  return [style.bold('Options'), ...(lines.length === 0 ? ['  none'] : lines), ''];
}

function optionLine(name: string, spec: OptionSpec, value: unknown, style: Style): string {
  const shown = Array.isArray(value) ? value.join('+') || 'none' : String(value);
  const line = `  ${style.accent(name)}  ${spec.help}; ${requirementOf(spec).must} ${style.dim(`(here ${shown})`)}`;
  return fold(line, style.columns, name.length + 2).join('\n');
}

/** Where it comes from, for `definitions`. */
export const sources = ({
  paper: { authors, year, title, arxiv },
  relativeToPaper,
}: {
  readonly paper: Paper;
  readonly relativeToPaper?: string | undefined;
}): readonly (readonly [string, string])[] => [
  ['paper', `${authors} ${year}, ${title}${arxiv === undefined ? '' : `, arXiv:${arxiv}`}`],
  ...(relativeToPaper === undefined ? [] : [['relative to it', relativeToPaper] as const]),
];

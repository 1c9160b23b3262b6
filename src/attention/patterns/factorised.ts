import type { AttentionShape } from '../options.js';
import { keysBetween, keysInSteps, sumOverRows } from './rows.js';

export type Part = 'union' | 'local' | 'summary';
type Lengths = Pick<AttentionShape, 'L' | 'S'>;

/** Pairs of one head in the strided pattern: a window, every stride-th key, or both, which share the query's own key. */
export function stridedPairs({ L, S }: Lengths, stride: number, part: Part, causal: boolean): number {
  return sumOverRows({ L, S }, (i) => {
    const local = keysBetween(S, i - stride + 1, causal ? i : i + stride - 1);
    const summary = keysInSteps(S, i, stride, Infinity, causal ? 0 : Infinity);
    return { local, summary, union: local + summary - 1 }[part];
  });
}

export interface FixedRule {
  readonly stride: number;
  readonly columns: number;
  readonly group: number;
}

/** Pairs of one head in the fixed pattern. */
export function fixedPairs({ L, S }: Lengths, rule: FixedRule, part: Part, causal: boolean): number {
  const { stride, columns } = rule;
  const first = stride - (rule.group + 1) * columns;
  // summary columns among the keys before `end`
  const summaryBefore = (end: number): number =>
    Math.floor(end / stride) * columns + Math.min(columns, Math.max(0, (end % stride) - first));
  return sumOverRows({ L, S }, (i) => {
    const start = i - (i % stride);
    const end = causal ? i + 1 : Math.min(S, start + stride);
    const local = end - start;
    const summary = summaryBefore(causal ? i + 1 : S);
    const both = summaryBefore(end) - summaryBefore(start);
    return { local, summary, union: local + summary - both }[part];
  });
}

/** Summary columns of a block: as asked for, or a sixteenth of the stride (8 of 128, as in the paper). */
export const columnsOf = ({ columns, stride }: { readonly columns: number; readonly stride: number }): number =>
  columns > 0 ? columns : Math.max(1, Math.floor(stride / 16));

/** Reasons not to take so many columns, a sentence each. */
export function columnFaults(columns: number, groups: number, stride: number): readonly string[] {
  return columns * groups <= stride
    ? []
    : [`columns × columnGroups must be at most stride; got ${columns} × ${groups} for stride ${stride}`];
}

/** The group of columns that a head takes. */
export const groupsOf = (columnGroups: number): readonly number[] =>
  Array.from({ length: columnGroups }, (_, group) => group);

import { lookup, tableOf } from '../../codegen/expression/index.js';
import { memoised } from '../../core/memo.js';
import { dilated, global, mask, within, type Mask } from '../../masks/index.js';
import type { AttentionShape } from '../options.js';
import { keysInSteps, sumOverRows } from './rows.js';

/** What decides Longformer's pattern in heads of one dilation. */
export interface WindowOptions {
  readonly radius: number;
  readonly globals: readonly number[];
  /** Global tokens of each batch row, where they differ: in place of `globals`. */
  readonly each?: readonly (readonly number[])[] | undefined;
}

/** Heads start … end−1 that are computed together, with their dilations: one for all of them, or one for each. */
export interface HeadStretch {
  readonly start: number;
  readonly end: number;
  readonly dilations: readonly number[];
}

/** The heads by dilation, as a window of one dilation is dense tiles; all at once where heads that share keys differ in it. */
export function headStretches(dilations: readonly number[], { H, G }: Pick<AttentionShape, 'H' | 'G'>): HeadStretch[] {
  const stretches: HeadStretch[] = [];
  for (let h = 0; h < H; h++) {
    const dilation = dilations[dilations.length === 1 ? 0 : h]!;
    const last = stretches.at(-1);
    if (last?.dilations[0] === dilation) stretches[stretches.length - 1] = { ...last, end: h + 1 };
    else stretches.push({ start: h, end: h + 1, dilations: [dilation] });
  }
  const apart = stretches.every(({ start }) => start % (H / G) === 0);
  return apart ? stretches : [{ start: 0, end: H, dilations }];
}

function windowOf(radius: number, dilations: readonly number[]): Mask {
  const [dilation] = dilations;
  if (dilations.length === 1)
    return dilation === 1 ? within({ radius }) : dilated({ dilation: dilation!, radiusSlots: radius });
  const table = tableOf('dilations', Int32Array.from(dilations));
  return mask(({ h, q, k }) => {
    const [step, distance] = [lookup(table, h), q.sub(k)];
    return distance
      .mod(step)
      .eq(0)
      .and(distance.abs().le(step.mul(radius)));
  });
}

/**
 * The pattern in heads of these dilations. `rows`: those of every query, or of local queries only, which are the others when
 * the global ones have projections of their own.
 */
export const longformerMask = memoised(
  ({ radius, globals, each }: WindowOptions, dilations: readonly number[], rows: 'all' | 'local'): Mask => {
    const window = windowOf(radius, dilations);
    const [read, written] = each
      ? globalOfRows(each)
      : ([global(globals, { access: 'readOnly' }), global(globals, { access: 'writeOnly' })] as const);
    if (rows === 'local') return window.or(read).and(written.not());
    return window.or(each ? written.or(read) : global(globals));
  },
  { by: ({ radius, globals, each = [] }, dilations, rows) => [radius, globals, each, dilations, rows], most: 64 },
);

/** Keys that all see, and queries that see all, where batch rows have their own. */
function globalOfRows(each: readonly (readonly number[])[]): readonly [read: Mask, written: Mask] {
  const isGlobal = (at: 'q' | 'k'): Mask =>
    mask((place, { B, S }) => lookup(flagsOf(each, B, S), place.b, place[at]).ne(0));
  return [isGlobal('k'), isGlobal('q')];
}

const flagsOf = memoised(
  (each: readonly (readonly number[])[], B: number, S: number) => {
    const flags = new Uint8Array(B * S);
    each.forEach((row, b) => row.forEach((position) => (flags[b * S + position] = 1)));
    return tableOf('global tokens', flags, [B, S]);
  },
  { most: 64 },
);

/** Pairs of one head of a dilation: `2gn − g²` and the window between tokens that are not global. */
export function longformerPairs(
  { L, S }: Pick<AttentionShape, 'L' | 'S'>,
  { radius, globals }: WindowOptions,
  dilation: number,
  causal: boolean,
): number {
  const set = new Set(globals);
  return sumOverRows({ L, S }, (i) => {
    if (set.has(i)) return causal ? i + 1 : S;
    const inWindow = (j: number): boolean => (i - j) % dilation === 0 && Math.abs(i - j) <= radius * dilation;
    const others = globals.filter((j) => !inWindow(j) && (!causal || j <= i)).length;
    return keysInSteps(S, i, dilation, radius, causal ? 0 : radius) + others;
  });
}

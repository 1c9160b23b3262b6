import { lookup, tableOf } from '../../codegen/expression/index.js';
import { memoised } from '../../core/memo.js';
import { dilated, global, mask, within, type Mask } from '../../masks/index.js';
import type { AttentionShape } from '../options.js';
import { keysInSteps, sumOverRows } from './rows.js';

/** What decides Longformer's pattern in heads of one dilation. */
export interface WindowOptions {
  readonly radius: number;
  readonly globals: readonly number[];
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
  ({ radius, globals }: WindowOptions, dilations: readonly number[], rows: 'all' | 'local'): Mask => {
    const window = windowOf(radius, dilations);
    if (rows === 'all') return window.or(global(globals));
    const local = global(globals, { access: 'writeOnly' }).not();
    return window.or(global(globals, { access: 'readOnly' })).and(local);
  },
  { by: ({ radius, globals }, dilations, rows) => [radius, globals, dilations, rows], most: 64 },
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

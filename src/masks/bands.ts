import { OptionError } from '../core/errors.js';
import { memoised } from '../core/memo.js';
import { checkValues, int32From, type Requirement } from '../core/requirements.js';
import { constant } from '../codegen/expression/index.js';
import { Mask } from './mask.js';
import { alternatives } from './options.js';
import { place } from './place.js';

const { q, k } = place;
const distance = q.sub(k);

/** Keys up to the query: `k ≤ q`, bottom-right aligned when L ≠ S. */
export function causal(): Mask {
  return new Mask('causal()', () => k.le(q));
}

const onlyCausal = causal();
const andCausal = memoised((mask: Mask): Mask => onlyCausal.and(mask));

/** The mask of a call that may be causal; undefined for all pairs. The same object for the same mask. */
export function withCausal(isCausal: boolean, mask: Mask | undefined): Mask | undefined {
  if (!isCausal) return mask;
  return mask === undefined ? onlyCausal : andCausal(mask);
}

export type WithinOptions =
  { readonly radius: number } | { readonly left: number; readonly right: number } | { readonly causalWindow: number };

/**
 * A sliding window: `−right ≤ q − k ≤ left`.
 *
 * `radius`: keys on each side besides the query's own, ≥ 0. `left`, `right`: inclusive bounds, `Infinity` for none; negative
 * ones exclude the query itself (`right: -1` is strictly before). `causalWindow`: keys in all, the query's own included,
 * ≥ 1. (Longformer: Beltagy, Peters, Cohan 2020, arXiv 2004.05150, whose w is 2·radius.)
 *
 * @throws OptionError for other options, values that are no integers, and windows that hold nothing.
 * @example within({ radius: 256 })
 */
export function within(options: WithinOptions): Mask {
  checkValues('within', options, { radius: int32From(0), left: bound, right: bound, causalWindow: int32From(1) });
  const [form] = alternatives('within', options, [['radius'], ['left', 'right'], ['causalWindow']]);
  const { radius, causalWindow, left, right } = options as Record<string, number>;
  if (form === 'radius') return new Mask(`within({ radius: ${radius} })`, () => distance.abs().le(radius!));
  if (form === 'causalWindow') {
    return new Mask(`within({ causalWindow: ${causalWindow} })`, () => distance.ge(0).and(distance.lt(causalWindow!)));
  }
  if (left! + right! < 0)
    throw new OptionError(`within: left ${left} and right ${right} leave no key: −right must be ≤ left.`);
  const all = constant(true);
  return new Mask(`within({ left: ${left}, right: ${right} })`, () => {
    const after = left === Infinity ? all : distance.le(left!);
    return right === Infinity ? after : after.and(distance.ge(-right!));
  });
}

const bound: Requirement = {
  must: 'a whole number or Infinity',
  holds: (value) => value === Infinity || (Number.isInteger(value) && Math.abs(value as number) < 2 ** 31),
};

export type DilatedOptions =
  | { readonly dilation: number; readonly radiusSlots: number }
  | { readonly dilation: number; readonly causalSlots: number };

/**
 * A window with gaps: `(q − k) mod dilation = 0` and `|q − k| ≤ radiusSlots · dilation`, or, with `causalSlots` keys in all,
 * the query's own included, `0 ≤ q − k < causalSlots · dilation`. `dilation: 1` is no dilation. (Longformer, 2020.)
 *
 * @throws OptionError for other options and for values that are no whole numbers of at least 1 (`radiusSlots`: ≥ 0).
 */
export function dilated(options: DilatedOptions): Mask {
  checkValues('dilated', options, { dilation: int32From(1), radiusSlots: int32From(0), causalSlots: int32From(1) });
  const [, slots] = alternatives('dilated', options, [
    ['dilation', 'radiusSlots'],
    ['dilation', 'causalSlots'],
  ]);
  const { dilation, radiusSlots, causalSlots } = options as Record<string, number> & DilatedOptions;
  const onGrid = distance.mod(dilation).eq(0);
  if (slots === 'causalSlots') {
    const reach = (causalSlots - 1) * dilation;
    return new Mask(`dilated({ dilation: ${dilation}, ${slots}: ${causalSlots} })`, () =>
      onGrid.and(distance.ge(0)).and(distance.le(reach)),
    );
  }
  const reach = radiusSlots * dilation;
  return new Mask(`dilated({ dilation: ${dilation}, ${slots}: ${radiusSlots} })`, () =>
    onGrid.and(distance.abs().le(reach)),
  );
}

import { substitute, wrap, type Bool, type F32, type I32 } from '../../codegen/expression/index.js';
import { Mask, type AttendShape, type Place } from '../../masks/index.js';
import { Score } from '../../scores/index.js';
import { place } from '../../masks/place.js';

/**
 * A score change of the whole attention, `whole`, for a call that computes some of its rows or heads: `at` says where a pair of
 * that call is in the whole.
 */
export function placeScore(
  score: Score,
  whole: AttendShape,
  at: (part: Place) => { readonly q?: I32; readonly h?: I32 },
): Score {
  return new Score(`part of ${String(score)}`, (place) => {
    return wrap(substitute(score.expression(whole), { ...at(place) })) as F32;
  });
}

/** The same for a mask. */
export function placeMask(
  mask: Mask,
  whole: AttendShape,
  at: (part: Place) => { readonly q?: I32; readonly h?: I32 },
): Mask {
  return new Mask(`part of ${String(mask)}`, () => wrap(substitute(mask.expression(whole), { ...at(place) })) as Bool);
}

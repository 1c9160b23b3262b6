import { substitute, wrap, type F32, type I32 } from '../../codegen/expression/index.js';
import type { AttendShape, Place } from '../../masks/index.js';
import { Score } from '../../scores/index.js';

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

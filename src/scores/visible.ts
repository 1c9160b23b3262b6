import { describe } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { Bool, select } from '../codegen/expression/index.js';
import type { AttendShape, Place } from '../masks/index.js';
import { Score } from './score.js';

/**
 * Hides pairs by data that only the device has: the score where `rule` holds, else −∞. Tables of tensors may be read,
 * which a mask cannot, as its tiles are classified on the host; so combine it with a mask that says where to look at all.
 *
 * A hidden pair counts for nothing, as under a mask: weight and gradients 0, NaN does not get through. In a chain of score
 * changes it belongs last.
 *
 * @throws OptionError where the rule is no boolean of b, h, q and k.
 *
 * @example
 * const topics = integerTable('topics', tensor(Int32Array.of(0, 1, 0, 1, 2, 2, 0, 1), [8], { device }));
 * const { out } = attend(q, k, v, { score: visible(({ q: i, k: j }) => lookup(topics, i).eq(lookup(topics, j))) });
 */
export function visible(rule: (place: Place, shape: AttendShape) => Bool): Score {
  if (typeof rule !== 'function')
    throw new OptionError(`visible: takes a function of { b, h, q, k }; got ${describe(rule)}.`);
  return new Score('visible(…)', ({ score, ...place }, shape) => {
    const seen: unknown = rule(place, shape);
    if (!(seen instanceof Bool))
      throw new OptionError(`visible: must return a boolean expression; got ${describe(seen)}.`);
    return select(seen, score, -Infinity);
  });
}

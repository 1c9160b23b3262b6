import { describe } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { Mask } from './mask.js';
import { place } from './place.js';

/**
 * A mask for each head: head h follows `masks[h mod masks.length]`.
 *
 * @throws OptionError for an empty list.
 * @example byHead([within({ radius: 64 }), dilated({ dilation: 4, radiusSlots: 64 })])
 */
export function byHead(masks: readonly Mask[]): Mask {
  const all = Array.isArray(masks) && masks.every((mask) => mask instanceof Mask);
  if (!all) throw new OptionError(`byHead: takes a list of masks; got ${describe(masks)}.`);
  if (masks.length === 0) throw new OptionError('byHead: takes at least one mask.');
  if (masks.length === 1) return masks[0]!;
  return new Mask(`byHead([${masks.map(String).join(', ')}])`, (shape) => {
    const turn = place.h.mod(masks.length);
    return masks.map((mask, i) => turn.eq(i).and(mask.expression(shape))).reduce((any, one) => any.or(one));
  });
}

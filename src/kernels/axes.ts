import type { I32, VectorBuilder } from '../codegen/vector.js';

/**
 * Element offsets of position `index`, counted in row-major order over `extents`, for each list of steps. The first
 * extent is not looked at.
 */
export function offsetsAt(
  k: VectorBuilder,
  index: I32,
  extents: readonly I32[],
  steps: readonly (readonly I32[])[],
): readonly (I32 | undefined)[] {
  const offsets = new Array<I32 | undefined>(steps.length).fill(undefined);
  let rest = index;
  for (let axis = extents.length - 1; axis >= 0; axis--) {
    const at = axis === 0 ? rest : k.rem(rest, extents[axis]!);
    steps.forEach((step, i) => {
      const term = k.mul(at, step[axis]!);
      offsets[i] = offsets[i] === undefined ? term : k.add(offsets[i], term);
    });
    if (axis > 0) rest = k.div(rest, extents[axis]!);
  }
  return offsets;
}

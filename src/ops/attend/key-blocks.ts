import { freeVariables, topological, type Expression } from '../../codegen/expression/index.js';
import { defaultKeyBlock } from '../../kernels/attend/layout.js';

/** Blocks that divide a step of the backward pass, largest first. */
const candidates = [64, 48, 32];

/**
 * Sizes of key blocks to classify a mask with: the usual one, and where the mask divides keys into blocks of its own, such
 * as ⌊k/64⌋, the largest that divides those, so that its tiles are full or empty and never cut.
 */
export function keyBlocksFor(mask: Expression | null): readonly number[] {
  const sizes = mask === null ? [] : topological(mask).flatMap(blockSize);
  const own = sizes.length === 0 ? undefined : candidates.find((size) => sizes.every((own) => own % size === 0));
  return own === undefined ? [defaultKeyBlock] : [defaultKeyBlock, own];
}

function blockSize(e: Expression): number[] {
  const [divided, by] = e.args;
  if (e.op !== 'floorDiv' || by?.op !== 'constant' || !freeVariables(divided!).has('k')) return [];
  return [Number(by.value)];
}

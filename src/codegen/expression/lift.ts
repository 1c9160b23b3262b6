import { rebuild, type Expression, type ExpressionType } from './node.js';

export interface Lifted {
  readonly expression: Expression;
  /** The number of each parameter slot. */
  readonly values: readonly number[];
  readonly types: readonly ('f32' | 'i32')[];
}

/**
 * Replaces numeric literals other than 0, 1 and −1 by `parameter` nodes, so that one compiled kernel serves every radius
 * or slope; equal literals of one type share a slot. `firstSlot` numbers the slots when several expressions share a kernel.
 */
export function liftConstants(expression: Expression, firstSlot = 0): Lifted {
  const slots = new Map<string, Expression>();
  const values: number[] = [];
  const types: ('f32' | 'i32')[] = [];
  const lifted = rebuild(expression, (e) => {
    if (e.op !== 'constant' || e.type === 'bool' || (Math.abs(e.value!) <= 1 && Number.isInteger(e.value!))) return e;
    const name = `${e.type} ${e.value}`;
    let slot = slots.get(name);
    if (slot === undefined) {
      slot = { op: 'parameter', type: e.type satisfies ExpressionType, args: [], value: firstSlot + values.length };
      slots.set(name, slot);
      values.push(e.value!);
      types.push(e.type);
    }
    return slot;
  });
  return { expression: lifted, values, types };
}

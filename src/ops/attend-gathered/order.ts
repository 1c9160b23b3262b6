import { OptionError, ShapeError } from '../../core/errors.js';
import { memoised } from '../../core/memo.js';
import { show } from '../../core/shape.js';
import { full } from '../../tensor/create.js';
import { scope } from '../../tensor/scope.js';
import { Tensor } from '../../tensor/tensor.js';
import { addRows } from '../gather-rows.js';
import { checkIndices } from '../indices.js';
import { max } from '../reduce.js';

const who = 'attendGathered';

/** A list of positions `[B, heads, m]` of `length` rows that is safe to read with; see `checkIndices`. @throws for anything else. */
export function checkOrder(name: string, order: unknown, B: number, heads: readonly number[], length: number): Tensor {
  if (!(order instanceof Tensor))
    throw new OptionError(`${who}: ${name} must be an i32 tensor, such as argsort gives.`);
  const [batch, head] = order.shape;
  if (order.rank !== 3 || batch !== B || !heads.includes(head!)) {
    const wanted = [...new Set(heads)].map((count) => `[${B},${count},m]`).join(' or ');
    throw new ShapeError(`${who}: ${name} must be ${wanted}; got ${show(order.shape)}.`);
  }
  return checkIndices(who, order, { name, bound: length, of: `${length} rows` });
}

/** Refuses a row that is listed twice, once the device has counted: its results would be two. Tensors never change: one look is enough. */
export const checkDistinct = memoised((name: string, order: Tensor, length: number): void => {
  scope(() => {
    const most = max(timesListed(order, length));
    order.device.guard(most.buffer, (bytes) => {
      const [times] = new Float32Array(bytes.buffer, bytes.byteOffset, 1);
      if (times! <= 1) return;
      throw new OptionError(
        `${who}: ${name} must name a row once at most; one is listed ${times} times. Attend to parts of the list and merge them.`,
      );
    });
  });
});

/** How often each of `length` rows is listed, f32. */
export const timesListed = (order: Tensor, length: number): Tensor =>
  scope(() => addRows(full(order.shape, 1, { device: order.device }), order, [...order.shape.slice(0, -1), length]));

import { OptionError, ShapeError } from '../../core/errors.js';
import { show } from '../../core/shape.js';
import { full } from '../../tensor/create.js';
import { scope } from '../../tensor/scope.js';
import { Tensor } from '../../tensor/tensor.js';
import { cast } from '../cast.js';
import { addRows } from '../gather-rows.js';
import { checkIndices, indexRange } from '../indices.js';

const who = 'attendGathered';

/** Refuses what is no list of positions `[B, heads, m]` of `length` rows. */
export function checkOrder(name: string, order: unknown, B: number, heads: readonly number[], length: number): void {
  if (!(order instanceof Tensor))
    throw new OptionError(`${who}: ${name} must be an i32 tensor, such as argsort gives.`);
  const [batch, head] = order.shape;
  if (order.rank !== 3 || batch !== B || !heads.includes(head!)) {
    const wanted = [...new Set(heads)].map((count) => `[${B},${count},m]`).join(' or ');
    throw new ShapeError(`${who}: ${name} must be ${wanted}; got ${show(order.shape)}.`);
  }
  checkIndices(who, order, { name, bound: length, of: `${length} rows` });
}

// tensors never change, so one look is enough
const distinct = new WeakSet<Tensor>();

/** Refuses a row that is listed twice: its results would be two. */
export function checkDistinct(name: string, order: Tensor, length: number): void {
  if (distinct.has(order)) return;
  const { high } = scope(() => indexRange(who, cast(timesListed(order, length), 'i32')));
  if (high > 1) {
    throw new OptionError(
      `${who}: ${name} must name a row once at most; one is listed ${high} times. Attend to parts of the list and merge them.`,
    );
  }
  distinct.add(order);
}

/** How often each of `length` rows is listed, f32. */
export const timesListed = (order: Tensor, length: number): Tensor =>
  scope(() => addRows(full(order.shape, 1, { device: order.device }), order, [...order.shape.slice(0, -1), length]));

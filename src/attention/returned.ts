import { OptionError, ShapeError } from '../core/errors.js';
import { sameShape, show } from '../core/shape.js';
import { Tensor } from '../tensor/index.js';
import type { Cost, ForwardResult } from './definition.js';
import type { AttentionShape } from './options.js';

/** @throws ShapeError unless `forward` of a definition returned what it must. */
export function checkResult(who: string, result: ForwardResult, { B, H, L, E }: AttentionShape): void {
  const { out, logsumexp } = (result ?? {}) as Partial<ForwardResult>;
  const wrong = [
    ...(isOf(out, [B, H, L, E]) ? [] : [`out ${show([B, H, L, E])}; got ${whatIs(out)}`]),
    ...(logsumexp === undefined || isOf(logsumexp, [B, H, L])
      ? []
      : [`logsumexp ${show([B, H, L])}; got ${whatIs(logsumexp)}`]),
  ];
  if (wrong.length > 0) throw new ShapeError(`${who}: its forward must return ${wrong.join(', and ')}.`);
}

const isOf = (x: unknown, shape: readonly number[]): boolean => x instanceof Tensor && sameShape(x.shape, shape);
const whatIs = (x: unknown): string => (x instanceof Tensor ? show(x.shape) : x === null ? 'null' : typeof x);

/** @throws OptionError unless `cost` of a definition returned numbers. */
export function checkedCost(who: string, cost: Cost): Cost {
  const { multiplyAdds, pairs = 0 } = (cost ?? {}) as Partial<Cost>;
  if ([multiplyAdds, pairs].every((x) => Number.isFinite(x) && x! >= 0)) return cost;
  throw new OptionError(
    `${who}: its cost must return { multiplyAdds, pairs? }, numbers of at least 0; got ${JSON.stringify(cost)}.`,
  );
}

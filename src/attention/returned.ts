import { isPlainObject } from '../core/describe.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { sameShape, show } from '../core/shape.js';
import { detach } from '../ops/index.js';
import { Tensor } from '../tensor/index.js';
import type { Cost, ForwardResult } from './definition.js';
import type { AttentionShape } from './options.js';
import type { ParameterSpecs } from './parameters.js';

/** @throws ShapeError unless `forward` of a definition returned what it must. */
export function checkResult(
  who: string,
  result: ForwardResult,
  { B, H, L, E }: AttentionShape,
  parameters: ParameterSpecs,
): void {
  const { out, logsumexp, ...beside } = (result ?? {}) as Partial<ForwardResult>;
  const wrong = [
    ...unless('out', out, [B, H, L, E]),
    ...(logsumexp === undefined ? [] : unless('logsumexp', logsumexp, [B, H, L])),
    ...besideFaults(beside, parameters),
  ];
  if (wrong.length > 0) throw new ShapeError(`${who}: its forward must return ${wrong.join(', and ')}.`);
}

function besideFaults(
  { losses = {}, state = {}, updates = {} }: Omit<Partial<ForwardResult>, 'out'>,
  parameters: ParameterSpecs,
): string[] {
  const bags = Object.entries({ losses, state, updates }).filter(([, bag]) => !isPlainObject(bag));
  if (bags.length > 0) return bags.map(([name, bag]) => `${name}, tensors by name; got ${whatIs(bag)}`);
  const drawn = Object.entries(parameters).filter(([, { learned }]) => !learned);
  const shapes = new Map(drawn.map(([name, { shape }]) => [name, shape]));
  const strange = Object.keys(updates).filter((name) => !shapes.has(name));
  return [
    ...Object.entries(losses).flatMap(([name, x]) => unless(`losses.${name}`, x, [])),
    ...Object.entries(state).flatMap(([name, x]) => unless(`state.${name}`, x)),
    ...[...shapes].flatMap(([name, shape]) =>
      updates[name] === undefined ? [] : unless(`updates.${name}`, updates[name], shape),
    ),
    ...(strange.length > 0
      ? [`updates of its drawn parameters (${[...shapes.keys()].join(', ') || 'none'}); got ${strange.join(', ')}`]
      : []),
  ];
}

/** The result, with no tape behind what no gradient flows through. */
export function withoutTape<R extends ForwardResult>(result: R): R {
  const detached = (all: Readonly<Record<string, Tensor | undefined>>): Readonly<Record<string, Tensor>> =>
    Object.fromEntries(Object.entries(all).flatMap(([name, x]) => (x ? [[name, detach(x)]] : [])));
  const { state, updates } = result;
  return { ...result, ...(state && { state: detached(state) }), ...(updates && { updates: detached(updates) }) };
}

const unless = (name: string, x: unknown, shape?: readonly number[]): string[] =>
  x instanceof Tensor && (shape === undefined || sameShape(x.shape, shape))
    ? []
    : [`${name}${shape ? ` ${show(shape)}` : ', a tensor'}; got ${whatIs(x)}`];
const whatIs = (x: unknown): string => (x instanceof Tensor ? show(x.shape) : x === null ? 'null' : typeof x);

/** @throws OptionError unless `cost` of a definition returned numbers. */
export function checkedCost(who: string, cost: Cost): Cost {
  const { multiplyAdds, pairs = 0 } = (cost ?? {}) as Partial<Cost>;
  if ([multiplyAdds, pairs].every((x) => Number.isFinite(x) && x! >= 0)) return cost;
  throw new OptionError(
    `${who}: its cost must return { multiplyAdds, pairs? }, numbers of at least 0; got ${JSON.stringify(cost)}.`,
  );
}

import type { NamedTensors } from '../attention/index.js';
import { describe } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { add, detach } from '../ops/index.js';
import { Tensor } from '../tensor/index.js';
import type { Parameter } from './parameter.js';

export type { NamedTensors };

/** What a layer gives, or a branch of one, beside the stream. */
export interface Beside {
  /** Further losses that train it, by name, `[]` each; those of one name are added up. */
  readonly losses?: NamedTensors;
  /**
   * What it says of itself, by name, such as the load of experts: nothing that trains. A trainer keeps the means on the device, and reads them
   * when it is asked.
   */
  readonly statistics?: NamedTensors;
  /** What it has of this text at its next call (`Context.state`), by name; no gradient flows through it. */
  readonly state?: NamedTensors;
  /**
   * The next values of parameters that are not learned, such as moving averages: a trainer sets them after its step. They are
   * checkpointed with the model, as all parameters are.
   */
  readonly updates?: ReadonlyMap<Parameter, Tensor>;
}

/** What a layer gives: the stream of the layer after, `[B, L, features]`, and what else it has to say. */
export interface Outcome extends Beside {
  readonly stream: Tensor;
}

/** A tensor alone is a stream with nothing beside it. @throws OptionError for what is neither. */
export function outcomeOf(who: string, given: Tensor | Outcome): Outcome {
  if (given instanceof Tensor) return { stream: given };
  // the stream may itself be the state, and is disposed before it
  if ((Object(given) as Partial<Outcome>).stream instanceof Tensor) return { ...settled(given), stream: given.stream };
  throw new OptionError(
    `${who}: must give a tensor, or { stream, losses, statistics, state, updates }; got ${describe(given)}.`,
  );
}

/**
 * All that several gave beside their streams: losses of one name added up, of the next values of one parameter the last.
 *
 * @throws OptionError for states or statistics of one name: one of them would be lost.
 */
export function besideOf(all: readonly Beside[]): Beside {
  const losses: Record<string, Tensor> = {};
  const kept = { statistics: {} as Record<string, Tensor>, state: {} as Record<string, Tensor> };
  const updates = new Map<Parameter, Tensor>();
  for (const one of all) {
    for (const [name, loss] of Object.entries(one.losses ?? {})) {
      losses[name] = losses[name] === undefined ? loss : add(losses[name], loss);
    }
    for (const what of ['statistics', 'state'] as const) {
      for (const [name, tensor] of Object.entries(one[what] ?? {})) {
        if (kept[what][name] !== undefined) {
          throw new OptionError(`layer: two of its parts have ${what} ${name}; rename one.`);
        }
        kept[what][name] = tensor;
      }
    }
    for (const [parameter, next] of one.updates ?? []) updates.set(parameter, next);
  }
  return {
    ...(Object.keys(losses).length > 0 && { losses }),
    ...(Object.keys(kept.statistics).length > 0 && { statistics: kept.statistics }),
    ...(Object.keys(kept.state).length > 0 && { state: kept.state }),
    ...(updates.size > 0 && { updates }),
  };
}

/** What it gave, with no tape behind what no gradient flows through. */
const settled = ({ losses, statistics, state, updates }: Beside): Beside => ({
  ...(losses && { losses }),
  ...(statistics && { statistics: mapped(statistics, (tensor) => detach(tensor)) }),
  ...(state && { state: mapped(state, (tensor) => detach(tensor)) }),
  ...(updates && { updates: new Map([...updates].map(([parameter, next]) => [parameter, detach(next)])) }),
});

/** The tensors beside a stream as a list, for what takes lists: those of losses first. */
export function tensorsBeside({ losses = {}, statistics = {}, state = {}, updates }: Beside): Tensor[] {
  return [losses, statistics, state].flatMap((named) => Object.values(named)).concat([...(updates?.values() ?? [])]);
}

/** What was given beside a stream, of other tensors in the order of `tensorsBeside`. */
export function besideWith({ losses, statistics, state, updates }: Beside, tensors: readonly Tensor[]): Beside {
  let next = 0;
  const taken = (): Tensor => tensors[next++]!;
  return settled({
    ...(losses && { losses: mapped(losses, taken) }),
    ...(statistics && { statistics: mapped(statistics, taken) }),
    ...(state && { state: mapped(state, taken) }),
    ...(updates && { updates: new Map([...updates.keys()].map((parameter) => [parameter, taken()])) }),
  });
}

const mapped = (all: NamedTensors, change: (tensor: Tensor) => Tensor): NamedTensors =>
  Object.fromEntries(Object.entries(all).map(([name, tensor]) => [name, change(tensor)]));

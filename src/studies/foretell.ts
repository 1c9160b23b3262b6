import {
  rehearse,
  type AnyOptions,
  type AttentionShape,
  type Mechanism,
  type Rehearsal,
  type RehearseOptions,
} from '../attention/index.js';
import { OptionError } from '../core/errors.js';
import { checkShape } from '../core/shape.js';
import { RehearsalTooLong, type KernelWork } from '../devices/index.js';

/** The longest text that is rehearsed as it is: a pattern's tiles are classified one by one, and what they cost is a parabola. */
const longestRehearsed = { pattern: 2 ** 17, other: 2 ** 20 } as const;
/** The most kernels that a rehearsal may start. */
export const mostDispatches = 2 ** 13;

export interface Foretold {
  readonly taken: Rehearsal;
  /** Positions that were rehearsed: where these are fewer than asked, `taken` is extended from them, their half and their quarter. */
  readonly rehearsed: number;
}

/**
 * What a call with L = S = n would take, found in bounded time: rehearsed where that is short enough, else extended from shorter
 * texts with the options that the call would have, as `a + b·n + c·n²`.
 *
 * @throws as the call itself; RehearsalTooLong where even short texts start too many kernels.
 */
export function foretell(
  mechanism: Mechanism,
  shape: AttentionShape,
  options: AnyOptions,
  { training, like }: Required<Pick<RehearseOptions, 'training' | 'like'>>,
): Foretold {
  const at = (length: number, given: AnyOptions): Rehearsal | undefined => {
    const short = { ...shape, L: length, S: length };
    return within(() => rehearse(mechanism, short, given, { training, like, countPairs: false, mostDispatches }));
  };
  const longest = longestRehearsed[mechanism.definition.pattern ? 'pattern' : 'other'];
  const whole = shape.L <= longest ? at(shape.L, options) : undefined;
  if (whole) return { taken: whole, rehearsed: shape.L };
  // a shorter text would not meet what the whole one is refused for
  const { values } = mechanism.settle(shape, options);
  const parameters = Object.values(mechanism.definition.parameters?.(shape, values) ?? {});
  checkShape(mechanism.name, [shape.B, shape.H, shape.L, shape.D]);
  for (const one of parameters) checkShape(mechanism.name, one.shape);
  const settled: AnyOptions = { ...options, ...values };
  let length = Math.ceil(shape.L / 2);
  while (length > longest) length = Math.ceil(length / 2);
  for (; length >= 8; length = Math.ceil(length / 4)) {
    const lengths = [length, Math.ceil(length / 2), Math.ceil(length / 4)];
    const given = takes(mechanism, { ...shape, L: lengths[2]!, S: lengths[2]! }, settled) ? settled : options;
    const found = lengths.map((one) => at(one, given));
    if (found.every((one) => one !== undefined)) return { taken: extended(lengths, found, shape.L), rehearsed: length };
  }
  throw new RehearsalTooLong(
    `${mechanism.name}: starts more than ${mostDispatches} kernels; larger chunks start fewer.`,
  );
}

/** Whether options that follow from a long text, such as a number of global tokens, are possible in a shorter one. */
function takes(mechanism: Mechanism, shape: AttentionShape, options: AnyOptions): boolean {
  try {
    mechanism.settle(shape, options);
    return true;
  } catch (error) {
    if (error instanceof OptionError) return false;
    throw error;
  }
}

function within<T>(body: () => T): T | undefined {
  try {
    return body();
  } catch (error) {
    if (error instanceof RehearsalTooLong) return undefined;
    throw error;
  }
}

/** Every number of three rehearsals continued to n by the parabola through them. */
function extended([x, y, z]: readonly number[], [a, b, c]: readonly Rehearsal[], n: number): Rehearsal {
  const at = (first: number, second: number, third: number): number => {
    const [slow, steep] = [(second - third) / (y! - z!), (first - second) / (x! - y!)];
    const curve = (steep - slow) / (x! - z!);
    return Math.max(0, Math.round(first + (n - x!) * (steep + (n - y!) * curve)));
  };
  const each = <K extends string>(
    names: readonly K[],
    of: (one: Rehearsal) => Readonly<Record<K, number>> | undefined,
  ): Record<K, number> => {
    const number = (one: Rehearsal, name: K): number => of(one)?.[name] ?? 0;
    return Object.fromEntries(
      names.map((name) => [name, at(number(a!, name), number(b!, name), number(c!, name))]),
    ) as Record<K, number>;
  };
  const { work, ...taken } = a!;
  const kernels = [...work.keys()].map((kernel): [string, KernelWork] => [
    kernel,
    each(['dispatches', 'multiplyAdds', 'bytesMoved'], (one) => one.work.get(kernel)),
  ]);
  return { ...each(Object.keys(taken) as (keyof typeof taken)[], (one) => one), work: new Map(kernels) };
}

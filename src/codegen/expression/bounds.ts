import { OptionError } from '../../core/errors.js';
import { rules } from './bound-rules.js';
import { one, whole, type Bounds, type Interval } from './intervals.js';
import { recycling } from './lanes.js';
import { topological, type Expression } from './node.js';

export type { Bounds, Interval };

/** Bounds of an expression over many boxes at once: `env` has the lanes of every variable (absent: everything). */
export function boundLanes(
  expression: Expression,
  env: Readonly<Record<string, Bounds>>,
  parameters?: readonly number[],
): Bounds {
  const done = new Map<Expression, Bounds>();
  return recycling(() => {
    for (const e of topological(expression)) done.set(e, leafOr(e));
    return done.get(expression)!;
  });

  function leafOr(e: Expression): Bounds {
    if (e.op === 'variable') return (Object.hasOwn(env, e.name!) ? env[e.name!] : undefined) ?? one(whole[e.type]);
    if (e.op === 'parameter') {
      const value = parameters?.[e.value!];
      return value === undefined ? one(whole[e.type]) : rules.constant({ ...e, op: 'constant', value });
    }
    return rules[e.op](e, ...e.args.map((arg) => done.get(arg)!));
  }
}

/**
 * Inclusive bounds of an expression over a box of variable values, sound for what the kernels compute in f32 as well
 * as for real arithmetic (NaN excepted). Integer bounds are exact unless one variable occurs twice.
 */
export function bounds(
  expression: Expression,
  env: Readonly<Record<string, Interval>>,
  parameters?: readonly number[],
): Interval {
  const lanes: Record<string, Bounds> = {};
  for (const [name, [low, high]] of Object.entries(env)) {
    if (!(low <= high)) throw new OptionError(`bounds: the interval of "${name}" is empty: [${low}, ${high}].`);
    lanes[name] = one([low, high]);
  }
  const { lo, hi } = boundLanes(expression, lanes, parameters);
  return [lo[0]!, hi[0]!];
}

/** Does every table read inside the expression stay within its table, whatever the variables in their intervals? */
export function provablyInRange(
  expression: Expression,
  env: Readonly<Record<string, Interval>>,
  parameters?: readonly number[],
): boolean {
  return topological(expression).every(
    (e) =>
      e.table === undefined ||
      e.args.every((index, dim) => {
        const [low, high] = bounds(index, env, parameters);
        return low >= 0 && high < e.table!.shape[dim]!;
      }),
  );
}

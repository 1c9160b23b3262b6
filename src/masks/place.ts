import { describe } from '../core/describe.js';
import { OptionError, ShapeError } from '../core/errors.js';
import {
  bounds,
  freeVariables,
  isExpression,
  print,
  topological,
  variable,
  type Expression,
  type I32,
  type Interval,
} from '../codegen/expression/index.js';

/** Batch, query heads, key/value heads, queries, keys: what a mask or a score change is instantiated for. */
export interface AttendShape {
  readonly B: number;
  readonly H: number;
  readonly G: number;
  readonly L: number;
  readonly S: number;
}

/**
 * Where a query–key pair is: `b` batch, `h` query head, `k` key, and `q` the query's position in the keys' numbering:
 * row i has q = i + S − L, so causal is k ≤ q for L ≠ S too. With L > S the first queries have negative positions.
 */
export interface Place {
  readonly b: I32;
  readonly h: I32;
  readonly q: I32;
  readonly k: I32;
}

export const place: Place = {
  b: variable('b', 'i32'),
  h: variable('h', 'i32'),
  q: variable('q', 'i32'),
  k: variable('k', 'i32'),
};

/** The values each variable takes. */
export function ranges(shape: AttendShape): Readonly<Record<'b' | 'h' | 'q' | 'k', Interval>> {
  checkPlace('ranges', shape);
  const { B, H, L, S } = shape;
  return { b: [0, B - 1], h: [0, H - 1], q: [S - L, S - 1], k: [0, S - 1] };
}

/** @throws ShapeError unless B, H, L and S are whole numbers from 1 on. */
export function checkPlace(who: string, shape: AttendShape): void {
  const { B, H, L, S } = Object(shape) as AttendShape;
  for (const extent of [B, H, L, S]) {
    if (Number.isInteger(extent) && extent > 0 && extent < 2 ** 31) continue;
    throw new ShapeError(
      `${who}: B, H, L and S must be whole numbers from 1 to 2^31 - 1; got B=${describe(B)}, H=${describe(H)}, L=${describe(L)}, S=${describe(S)}.`,
    );
  }
}

/** @throws OptionError unless a value is a boolean expression. */
export function checkBool(who: string, value: unknown): void {
  if (isExpression(value) && value.type === 'bool') return;
  throw new OptionError(`${who}: takes a boolean expression, as mask.expression(shape) is; got ${describe(value)}.`);
}

/** Refuses variables other than `known`. */
export function checkVariables(who: string, expression: Expression, known: readonly string[]): void {
  const unknown = [...freeVariables(expression)].filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  throw new OptionError(`${who}: unknown variable ${unknown.join(', ')}; the variables are ${known.join(', ')}.`);
}

/** Refuses table reads that provably leave their table: always, or for the last values of a plain variable. */
export function checkTables(who: string, expression: Expression, shape: AttendShape): void {
  for (const e of topological(expression)) {
    e.args.forEach((index, dim) => {
      if (e.table === undefined) return;
      const size = e.table.shape[dim]!;
      const [low, high] = bounds(index, ranges(shape));
      if (high >= 0 && low < size && !(index.op === 'variable' && high >= size)) return;
      throw new ShapeError(
        `${who}: table "${e.table.name}" of shape [${e.table.shape.join(',')}] is read at ${print(index)} along dimension ` +
          `${dim}, which runs over ${low}…${high} for B=${shape.B}, H=${shape.H}, L=${shape.L}, S=${shape.S}.`,
      );
    });
  }
}

import { OptionError, ShapeError } from '../core/errors.js';
import {
  bounds,
  freeVariables,
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
  const { B, H, L, S } = shape;
  return { b: [0, B - 1], h: [0, H - 1], q: [S - L, S - 1], k: [0, S - 1] };
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

export function describe(value: unknown): string {
  if (value !== null && typeof value === 'object' && 'type' in value)
    return `an expression of type ${String(value.type)}`;
  return value === null ? 'null' : `a value of type ${typeof value}`;
}

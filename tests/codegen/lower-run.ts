import { hostData, tablesOf, type Expression, type Table } from '../../src/codegen/expression/index.js';
import { lowerVector, type Environment, type Lowered, type TableBinding } from '../../src/codegen/lower.js';
import type { I32, Pointer, VectorBuilder } from '../../src/codegen/vector.js';
import type { Kernel } from '../../src/codegen/kernel.js';
import type { Target } from '../support/targets.js';
import { fromBits } from './vector-cases.js';

const names = ['x', 'y', 'q', 'k'] as const;
export type Point = Readonly<Record<(typeof names)[number], number>>;

/** Which variables are vectors, for each way in which an expression is tried. */
export type Mixing = (expression: number) => readonly (readonly string[])[];
const mixtures: readonly (readonly string[])[] = [names, ['q'], ['x', 'k'], []];
export const everyMixture: Mixing = () => mixtures;
export const oneMixture: Mixing = (n) => [mixtures[n % mixtures.length]!];

export interface LowerOptions {
  readonly mixing?: Mixing;
  /** Numbers of lifted constants. */
  readonly parameters?: readonly number[];
  readonly checked?: Environment['checked'];
}

/** One number that a kernel computed for an expression. */
export interface Result {
  readonly expression: Expression;
  readonly at: Point;
  readonly vectors: readonly string[];
  readonly got: number;
}

/** The results of expressions at points (as many as fill vectors of every width) on a target. */
export function* runLowered(
  target: Target,
  expressions: readonly Expression[],
  points: readonly Point[],
  options: LowerOptions = {},
): Generator<Result> {
  const { mixing = everyMixture, parameters = [] } = options;
  const tables = [...new Set(expressions.flatMap((e) => tablesOf(e)))];
  const inputs = names.map((name) => {
    const numbers = points.map((p) => p[name]);
    return isFloat(name) ? Float32Array.from(numbers) : Int32Array.from(numbers);
  });
  const ways = expressions.flatMap((expression, n) => mixing(n).map((vectors) => ({ expression, vectors })));
  const out = new Int32Array(points.length * ways.length);
  const kernel: Kernel = {
    name: 'lowered expressions',
    key: '',
    parameters: [
      ...[...names, ...tables, 'out'].map(() => 'pointer' as const),
      ...parameters.map(() => 'f32' as const),
    ],
    cpu: (k) => {
      const pointers = names.map((_, i) => k.parameter(i, 'pointer'));
      const bound = tables.map((table, i) => ({
        pointer: k.parameter(names.length + i, 'pointer'),
        dimensions: table.shape.map((extent) => k.constant('i32', extent)),
      }));
      const to = k.parameter(names.length + tables.length, 'pointer');
      const environment = {
        parameter: (slot: number) => k.parameter(names.length + tables.length + 1 + slot, 'f32'),
        table: (table: Table): TableBinding => bound[tables.indexOf(table)]!,
        ...(options.checked && { checked: options.checked }),
      };
      const each = (i: I32): void =>
        ways.forEach(({ expression, vectors }, n) => {
          const variables = variablesAt(k, pointers, i, vectors);
          k.store(k.offset(to, i, 4), lowerVector(k, expression, { ...environment, variables }), 4 * points.length * n);
        });
      k.loop(0, points.length, each, k.width);
    },
  };
  target.run(kernel, [...inputs, ...tables.map((table) => hostData(table)!), out, ...parameters]);
  for (const [n, { expression, vectors }] of ways.entries()) {
    for (let i = 0; i < points.length; i++) {
      const raw = out[n * points.length + i]!;
      // a truth value in all lanes is 0 or −1
      const got = expression.type === 'f32' ? fromBits(raw) : expression.type === 'bool' ? 0 - raw : raw;
      yield { expression, vectors, at: seen(points, target.width, vectors, i), got };
    }
  }
}

const isFloat = (name: string): boolean => name === 'x' || name === 'y';

/** The point that lane `i` sees: scalars come from the first point of its vector. */
function seen(points: readonly Point[], width: number, vectors: readonly string[], i: number): Point {
  const value = (name: (typeof names)[number]): number => points[vectors.includes(name) ? i : i - (i % width)]![name];
  return { x: Math.fround(value('x')), y: Math.fround(value('y')), q: value('q'), k: value('k') };
}

function variablesAt(
  k: VectorBuilder,
  pointers: readonly Pointer[],
  i: I32,
  vectors: readonly string[],
): Record<string, Lowered> {
  const load = (name: string, at: Pointer): Lowered => {
    if (vectors.includes(name)) return isFloat(name) ? k.loadVF(at) : k.loadVI(at);
    return isFloat(name) ? k.loadF32(at) : k.loadI32(at);
  };
  return Object.fromEntries(names.map((name, n) => [name, load(name, k.offset(pointers[n]!, i, 4))]));
}

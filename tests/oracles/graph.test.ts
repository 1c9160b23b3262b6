import { describe, expect, test } from 'vitest';
import { expectClose } from '../support/compare.js';
import { centralDifferences } from '../support/gradient.js';
import { normal } from '../support/random.js';
import { double, single } from './arithmetic.js';
import { Graph, type Matrix } from './graph.js';

type Shape = readonly [number, number];
interface Case {
  readonly shapes: readonly Shape[];
  readonly run: (g: Graph, ...inputs: Matrix[]) => Matrix;
}

const square: Shape = [3, 4];
const binary = ['add', 'sub', 'mul', 'div'] as const;
const second: readonly Shape[] = [square, [1, 4], [3, 1], [1, 1]];
const stairs = (i: number, j: number): boolean => j < i * 2;

const cases: Readonly<Record<string, Case>> = {
  matmul: { shapes: [square, [4, 2]], run: (g, a, b) => g.matmul(a, b) },
  matmulT: { shapes: [square, [5, 4]], run: (g, a, b) => g.matmulT(a, b) },
  affine: { shapes: [square, [4, 2], [1, 2]], run: (g, a, w, b) => g.affine(a, w, b) },
  'affine, transposed': {
    shapes: [square, [2, 4], [1, 2]],
    run: (g, a, w, b) => g.affine(a, w, b, { transposed: true }),
  },
  transpose: { shapes: [square], run: (g, a) => g.transpose(a) },
  ...Object.fromEntries(
    binary.flatMap((name) =>
      second.map((shape) => [
        `${name} ${shape.join('×')}`,
        // away from 0, which is no place to divide
        { shapes: [square, shape], run: (g: Graph, a: Matrix, b: Matrix) => g[name](a, g.exp(b)) },
      ]),
    ),
  ),
  'add, first is broadcast': { shapes: [[1, 4], square], run: (g, a, b) => g.add(a, b) },
  scale: { shapes: [square], run: (g, a) => g.scale(a, 0.3) },
  map: {
    shapes: [square],
    run: (g, a) =>
      g.map(
        a,
        (x, _, i, j) => Math.tanh(x) * (1 + i + j),
        (x, _, i, j) => (1 - Math.tanh(x) ** 2) * (1 + i + j),
      ),
  },
  exp: { shapes: [square], run: (g, a) => g.exp(a) },
  log: { shapes: [square], run: (g, a) => g.log(g.exp(g.scale(a, 2))) },
  softmax: { shapes: [square], run: (g, a) => g.softmax(a) },
  'softmax over some, of which a row has none': { shapes: [square], run: (g, a) => g.softmax(a, stairs) },
  mask: { shapes: [square], run: (g, a) => g.mask(a, stairs) },
  rowSum: { shapes: [square], run: (g, a) => g.rowSum(a) },
  columnSum: { shapes: [square], run: (g, a) => g.columnSum(a) },
  rowMean: { shapes: [square], run: (g, a) => g.rowMean(a) },
  rowMax: { shapes: [square], run: (g, a) => g.rowMax(a) },
  normalise: { shapes: [square], run: (g, a) => g.normalise(a, true, 1e-3) },
  'normalise by squares alone': { shapes: [square], run: (g, a) => g.normalise(a, false, 1e-3) },
  gatherRows: { shapes: [square], run: (g, a) => g.gatherRows(a, [2, 0, -1, 2]) },
  concatRows: { shapes: [square, [2, 4]], run: (g, a, b) => g.concatRows([a, b, a]) },
  concatColumns: { shapes: [square, [3, 2]], run: (g, a, b) => g.concatColumns([a, b]) },
  rows: { shapes: [square], run: (g, a) => g.rows(a, 1, 3) },
  columns: { shapes: [square], run: (g, a) => g.columns(a, 1, 3) },
  'a value used twice': { shapes: [square], run: (g, a) => g.add(g.mul(a, a), g.exp(a)) },
  'weights that two products use': {
    shapes: [square, [4, 2], [4, 3]],
    run: (g, a, v, w) => {
      const weights = g.softmax(a, stairs);
      return g.concatColumns([g.matmul(weights, v), g.matmul(weights, w)]);
    },
  },
  'weights that are used otherwise too': {
    shapes: [square, [4, 2]],
    run: (g, a, v) => {
      const weights = g.softmax(a, stairs);
      return g.concatColumns([g.matmul(weights, v), g.exp(weights)]);
    },
  },
  'attention of one head': {
    shapes: [square, [5, 4], [5, 2]],
    run: (g, q, k, v) =>
      g.matmul(
        g.softmax(g.scale(g.matmulT(q, k), 0.5), (i, j) => j <= i),
        v,
      ),
  },
};

const dataOf = (shapes: readonly Shape[]): Float32Array[] =>
  shapes.map(([rows, columns], n) => normal(50 + n, rows * columns));

function evaluate(
  g: Graph,
  { shapes, run }: Case,
  data: readonly ArrayLike<number>[],
): { y: Matrix; leaves: Matrix[] } {
  const leaves = shapes.map((shape, n) => g.input(data[n]!, ...shape));
  return { y: run(g, ...leaves), leaves };
}

/** The rules in the `order`th order of summation against differences. */
function check(one: Case, order: number): void {
  const data = dataOf(one.shapes);
  const g = new Graph(double, order);
  const { y, leaves } = evaluate(g, one, data);
  const cotangent = normal(60, y.data.length);
  const want = centralDifferences((...x) => evaluate(new Graph(double), one, x).y.data, data, cotangent);
  g.gradients([y], [cotangent], leaves).forEach((gradient, n) => {
    // the error of differences, of order 1e-10, with room for sums
    const budget = 1e-8 * Math.max(1, ...want[n]!.map(Math.abs));
    expectClose(`gradient ${n}`, gradient, want[n]!, { budget });
  });
}

describe('gradients agree with central differences', () => {
  test.each(Object.entries(cases))('%s', (_, one) => {
    for (const order of [0, 2, 3, 12]) check(one, order);
  });

  test('mutant: a wrong derivative is noticed', () => {
    const wrong: Case = {
      shapes: [square],
      run: (g, a) =>
        g.map(
          a,
          (x) => x * x,
          (x) => 2.0001 * x,
        ),
    };
    expect(() => check(wrong, 0)).toThrow('numbers off');
  });
});

test('values by hand', () => {
  const g = new Graph();
  const a = g.constant([1, 2, 3, 4], 2, 2);
  const b = g.constant([5, 6, 7, 8], 2, 2);
  expect([...g.matmul(a, b).data]).toEqual([19, 22, 43, 50]);
  expect([...g.matmulT(a, b).data]).toEqual([17, 23, 39, 53]);
  expect([...g.sub(a, g.constant([1, 2], 2, 1)).data]).toEqual([0, 1, 1, 2]);
  expect([...g.softmax(g.log(a)).data].map((x) => x.toFixed(6))).toEqual([
    '0.333333',
    '0.666667',
    '0.428571',
    '0.571429',
  ]);
  expect([...g.softmax(a, () => false).data]).toEqual([0, 0, 0, 0]);
  expect([...g.concatColumns([a, b]).data]).toEqual([1, 2, 5, 6, 3, 4, 7, 8]);
  expect([...g.columns(a, 1, 2).data]).toEqual([2, 4]);
});

test('in float32 every result is rounded, whatever the order', () => {
  for (const one of Object.values(cases)) {
    const g = new Graph(single, 5);
    const { y, leaves } = evaluate(g, one, dataOf(one.shapes));
    const gradients = g.gradients([y], [normal(61, y.data.length)], leaves);
    for (const numbers of [y.data, ...gradients]) expect([...numbers]).toEqual([...Float32Array.from(numbers)]);
  }
});

test('orders of summation differ in float32, by roundings', () => {
  const data = normal(3, 4000);
  const sum = (order: number): number => {
    const g = new Graph(single, order);
    return g.matmulT(g.constant(data, 1, 4000), g.constant(data, 1, 4000)).data[0]!;
  };
  const sums = new Set([0, 1, 2, 3].map(sum));
  expect(sums.size).toBeGreaterThan(1);
  expect(Math.max(...sums) / Math.min(...sums) - 1).toBeLessThan(1e-5);
});

test('NaN where a mask or softmax does not look changes nothing, forward or backward; elsewhere it shows', () => {
  const spoilt = [1, NaN, 3, 4];
  const diagonal = (i: number, j: number): boolean => i >= j;
  for (const order of [0, 1, 2]) {
    const g = new Graph(double, order);
    const a = g.input(spoilt, 2, 2);
    for (const y of [g.softmax(a, diagonal), g.mask(a, diagonal)]) {
      expect(y.data.some(Number.isNaN)).toBe(false);
      expect(g.gradients([y], [[1, 2, 3, 4]], [a])[0]!.some(Number.isNaN)).toBe(false);
    }
    expect(g.softmax(a).data.some(Number.isNaN)).toBe(true);
    expect(g.matmul(a, a).data.some(Number.isNaN)).toBe(true);
  }
});

test('no gradient reaches constants and what is detached', () => {
  const g = new Graph();
  const a = g.input([2], 1, 1);
  const fixed = g.constant([3], 1, 1);
  const y = g.mul(g.mul(g.detach(a), a), fixed);
  const [da, dfixed] = g.gradients([y], [[1]], [a, fixed]);
  expect([...da!, ...dfixed!]).toEqual([6, 0]);
});

test('sizes that do not fit are refused', () => {
  const g = new Graph();
  const [a, b] = [g.constant([1, 2], 1, 2), g.constant([1, 2, 3], 1, 3)];
  expect(() => g.matmul(a, b)).toThrow('matmul of [1 × 2] and [1 × 3]');
  expect(() => g.add(a, b)).toThrow('add of');
  expect(() => g.concatRows([a, b])).toThrow('concatRows of');
  expect(() => g.input([1], 1, 2)).toThrow('wants 2 numbers');
});

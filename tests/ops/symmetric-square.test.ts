// of kernels/symmetric-square

import { expect, test } from 'vitest';
import { symmetricSquare } from '../../src/ops/index.js';
import { scope, tensor } from '../../src/tensor/index.js';
import { expectClose, type Numbers } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { checkOperation, type Round } from '../support/operation.js';
import { normal } from '../support/random.js';

/** Every pair by itself. */
function squares(r: Round, x: Numbers, n: number): number[] {
  const root = r(Math.SQRT2);
  return Array.from({ length: x.length / n }, (_, row) =>
    Array.from({ length: n }, (__, i) =>
      Array.from({ length: n - i }, (___, next) => {
        const [a, b] = [x[row * n + i]!, x[row * n + i + next]!];
        return next === 0 ? r(a * b) : r(r(root * a) * b);
      }),
    ),
  ).flat(2);
}

function gradient(r: Round, d: Numbers, x: Numbers, n: number): number[] {
  const dx = new Array<number>(x.length).fill(0);
  const root = r(Math.SQRT2);
  const add = (at: number, value: number): void => void (dx[at] = r(dx[at]! + r(value)));
  let at = 0;
  for (let row = 0; row < x.length; row += n) {
    for (let i = row; i < row + n; i++) {
      for (let j = i; j < row + n; j++, at++) {
        const factor = i === j ? d[at]! : r(root * d[at]!);
        add(i, factor * x[j]!);
        add(j, factor * x[i]!);
      }
    }
  }
  return dx;
}

onEveryDevice((on) => {
  // one number, fewer than a vector, several vectors and some left, more rows than a task takes
  test.each([[[3, 1]], [[2, 3, 5]], [[4, 33]], [[40, 64]]])('%j', (shape) =>
    checkOperation(on.device, {
      name: `symmetricSquare of [${shape.join()}]`,
      shapes: [shape],
      run: symmetricSquare,
      forward: (r, x) => squares(r, x, shape.at(-1)!),
      backward: (r, d, x) => [gradient(r, d, x, shape.at(-1)!)],
    }),
  );

  test('products of two are the square of the product', async () => {
    const n = 19;
    const [x, y] = [normal(1, n), normal(2, n)];
    const [a, b] = await Promise.all(
      [x, y].map(async (one) => {
        const out = scope(() => symmetricSquare(tensor(one, [n], { device: on.device })));
        const numbers = await out.data();
        out.dispose();
        return numbers;
      }),
    );
    const dot = (p: Numbers, q: Numbers): number => Array.from(p).reduce((sum, value, i) => sum + value * q[i]!, 0);
    expectClose('squares', [dot(a!, b!)], [dot(x, y) ** 2], { budget: 1e-6 * dot(a!, a!) });
  });

  test('refuses what has no numbers to multiply', () => {
    const integers = tensor(Int32Array.of(1, 2), [2], { device: on.device });
    expect(() => symmetricSquare(integers)).toThrow('symmetricSquare: x must be a float tensor; got i32. Use cast.');
    integers.dispose();
  });
});

// of kernels/cholesky

import { expect, test } from 'vitest';
import { add, choleskyInverse, matmul } from '../../src/ops/index.js';
import { disposeAll, tensor } from '../../src/tensor/index.js';
import type { Numbers } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { checkOperation, type Round } from '../support/operation.js';

const batch = 2;

/** L of A = X·Xᵀ + I, and W = L⁻¹, of each matrix. */
function factors(r: Round, x: Numbers, n: number): { L: Float64Array; W: Float64Array } {
  const [L, W] = [new Float64Array(batch * n * n), new Float64Array(batch * n * n)];
  for (let m = 0; m < batch; m++) {
    const at = (i: number, j: number): number => (m * n + i) * n + j;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        let s = Number(i === j);
        for (let c = 0; c < n; c++) s = r(s + r(x[at(i, c)]! * x[at(j, c)]!));
        for (let c = 0; c < j; c++) s = r(s - r(L[at(i, c)]! * L[at(j, c)]!));
        L[at(i, j)] = i === j ? r(Math.sqrt(s)) : r(s / L[at(j, j)]!);
      }
      for (let j = 0; j <= i; j++) {
        let s = Number(i === j);
        for (let c = j; c < i; c++) s = r(s - r(L[at(i, c)]! * W[at(c, j)]!));
        W[at(i, j)] = r(s / L[at(i, i)]!);
      }
    }
  }
  return { L, W };
}

/** Backwards through the recurrences, one number at a time. */
function gradient(r: Round, d: Numbers, x: Numbers, n: number): Float64Array {
  const { L, W } = factors(r, x, n);
  const [dx, dW, dL] = [new Float64Array(x.length), Float64Array.from(d), new Float64Array(L.length)];
  for (let m = 0; m < batch; m++) {
    const at = (i: number, j: number): number => (m * n + i) * n + j;
    const plus = (to: Float64Array, place: number, value: number): void => void (to[place] = r(to[place]! + r(value)));
    for (let i = n - 1; i >= 0; i--) {
      for (let j = i; j >= 0; j--) {
        const ds = r(dW[at(i, j)]! / L[at(i, i)]!);
        plus(dL, at(i, i), -ds * W[at(i, j)]!);
        for (let c = j; c < i; c++) {
          plus(dL, at(i, c), -ds * W[at(c, j)]!);
          plus(dW, at(c, j), -ds * L[at(i, c)]!);
        }
      }
    }
    for (let i = n - 1; i >= 0; i--) {
      for (let j = i; j >= 0; j--) {
        const ds = i === j ? r(dL[at(i, i)]! / r(2 * L[at(i, i)]!)) : r(dL[at(i, j)]! / L[at(j, j)]!);
        if (i !== j) plus(dL, at(j, j), -ds * L[at(i, j)]!);
        for (let c = 0; c < j; c++) {
          plus(dL, at(i, c), -ds * L[at(j, c)]!);
          plus(dL, at(j, c), -ds * L[at(i, c)]!);
        }
        for (let c = 0; c < n; c++) {
          plus(dx, at(i, c), ds * x[at(j, c)]!);
          plus(dx, at(j, c), ds * x[at(i, c)]!);
        }
      }
    }
  }
  return dx;
}

onEveryDevice((on) => {
  test.each([1, 2, 5, 9, 20])('the inverse factor of matrices of %i, and its gradient', async (n) => {
    const identity = tensor(
      Float32Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0)),
      [n, n],
      { device: on.device },
    );
    await checkOperation(on.device, {
      name: 'choleskyInverse',
      shapes: [[batch, n, n]],
      run: (x) => choleskyInverse(add(matmul(x, x, { transposeB: true }), identity)),
      forward: (r, x) => factors(r, x, n).W,
      backward: (r, d, x) => [gradient(r, d, x, n)],
    });
    identity.dispose();
  });

  test('refuses what is not square, and names the pivot of a matrix that is not positive definite', async () => {
    const { device } = on;
    const [wide, flat] = [tensor([1, 2], [1, 2], { device }), tensor([1, 0, 0, 4, 1, 2, 2, 4], [2, 2, 2], { device })];
    expect(() => choleskyInverse(wide)).toThrow('a must be [...,n,n]; got [1,2]');
    const found = async (): Promise<void> => {
      const out = choleskyInverse(flat);
      await out.data().finally(() => out.dispose());
    };
    await expect(found()).rejects.toThrow('matrix 1 is not positive definite: the pivot of row 1 is not above 0');
    disposeAll([wide, flat]);
  });
});

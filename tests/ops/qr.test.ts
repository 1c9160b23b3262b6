// of kernels/{qr,typed-kernel}

import { expect, test } from 'vitest';
import { concat, matmul, qr } from '../../src/ops/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectClose, type Numbers } from '../support/compare.js';
import { onEveryDevice, openDevice } from '../support/devices.js';
import { checkOperation, type Round } from '../support/operation.js';
import { uniform } from '../support/random.js';

const batch = 2;

/** Modified Gram–Schmidt of each matrix, and its columns before each projection: `before[j][i]` is u of q_i·u. */
function factors(r: Round, a: Numbers, m: number, n: number) {
  return Array.from({ length: batch }, (_, b) => {
    const column = (j: number): number[] => Array.from({ length: m }, (__, i) => a[(b * m + i) * n + j]!);
    const Q: number[][] = [];
    const R = Array.from({ length: n }, () => new Array<number>(n).fill(0));
    const before: number[][][] = [];
    for (let j = 0; j < n; j++) {
      let u = column(j);
      before.push([]);
      for (let i = 0; i < j; i++) {
        before[j]!.push(u);
        R[i]![j] = dot(r, Q[i]!, u);
        u = u.map((x, c) => r(x - r(R[i]![j]! * Q[i]![c]!)));
      }
      R[j]![j] = r(Math.sqrt(dot(r, u, u)));
      Q.push(u.map((x) => r(x / R[j]![j]!)));
    }
    return { Q, R, before };
  });
}

function dot(r: Round, x: readonly number[], y: readonly number[]): number {
  return x.reduce((sum, value, i) => r(sum + r(value * y[i]!)), 0);
}

/** Q above R, as `concat` gives them. */
const stacked = (r: Round, a: Numbers, m: number, n: number): Float64Array =>
  Float64Array.from(
    factors(r, a, m, n).flatMap(({ Q, R }) => [
      ...Array.from({ length: m * n }, (_, at) => Q[at % n]![Math.floor(at / n)]!),
      ...R.flat(),
    ]),
  );

/** Backwards through the recurrence, one column at a time. */
function gradient(r: Round, d: Numbers, a: Numbers, m: number, n: number): Float64Array {
  const out = new Float64Array(a.length);
  factors(r, a, m, n).forEach(({ Q, R, before }, b) => {
    const start = b * (m + n) * n;
    const dQ = Q.map((q, j) => q.map((_, i) => d[start + i * n + j]!));
    const dR = (i: number, j: number): number => d[start + (m + i) * n + j]!;
    for (let j = n - 1; j >= 0; j--) {
      const norm = R[j]![j]!;
      const dNorm = r(dR(j, j) - r(dot(r, dQ[j]!, Q[j]!) / norm));
      let du = dQ[j]!.map((x, c) => r(r(x / norm) + r(dNorm * Q[j]![c]!)));
      for (let i = j - 1; i >= 0; i--) {
        const total = r(dR(i, j) - dot(r, du, Q[i]!));
        dQ[i] = dQ[i]!.map((x, c) => r(r(x - r(R[i]![j]! * du[c]!)) + r(total * before[j]![i]![c]!)));
        du = du.map((x, c) => r(x + r(total * Q[i]![c]!)));
      }
      du.forEach((x, i) => (out[(b * m + i) * n + j] = x));
    }
  });
  return out;
}

const both = (x: Tensor): Tensor => {
  const { q, r } = qr(x);
  return concat([q, r], { axis: -2 });
};

onEveryDevice((on) => {
  test.each([
    [1, 1],
    [2, 2],
    [5, 3],
    [4, 1],
    [9, 9],
    [20, 7],
    [33, 20],
  ])('the factors of matrices of %i × %i, and their gradient', async (m, n) => {
    await checkOperation(on.device, {
      name: `qr ${m} × ${n}`,
      shapes: [[batch, m, n]],
      run: both,
      forward: (r, x) => stacked(r, x, m, n),
      backward: (r, d, x) => [gradient(r, d, x, m, n)],
    });
  });

  test('the gradient of one factor alone', async () => {
    const x = tensor(uniform(3, batch * 12), [batch, 4, 3], { device: on.device, requiresGradient: true });
    const d = uniform(4, batch * 21);
    for (const which of ['q', 'r'] as const) {
      const rows = which === 'q' ? 4 : 3;
      const whole = d.map((value, i) => ((i % 21) % 21 < 12 === (which === 'q') ? value : 0));
      const own = d.filter((_, i) => i % 21 < 12 === (which === 'q'));
      const got = scope(() => {
        const cotangent = tensor(own, [batch, rows, 3], { device: on.device });
        return gradients([qr(x)[which]], [x], [cotangent])[0]!;
      });
      const host = uniform(3, batch * 12);
      const want = gradient((value) => value, whole, host, 4, 3);
      expectClose(which, await got.data(), want, { budget: gradient(Math.fround, whole, host, 4, 3) });
      got.dispose();
    }
    x.dispose();
  });

  test('Q is orthonormal whatever the condition, within m·n·ε (Higham 2002, theorem 19.4), and R is upper triangular with a positive diagonal', async () => {
    const [m, n] = [24, 12];
    // columns that agree in all but their last digits
    const near = uniform(5, m * n).map((value, i) => 1 + (i % n === 0 ? 0.5 : 1e-4) * value);
    const a = tensor(near, [m, n], { device: on.device });
    const [q, r, inner, product] = scope(() => {
      const { q, r } = qr(a);
      return [q, r, matmul(q, q, { transposeA: true }), matmul(q, r)];
    });
    const identity = Float64Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0));
    expectClose('QᵀQ', await inner.data(), identity, { budget: m * n * 2 ** -24 });
    expectClose('QR', await product.data(), near, { budget: m * n * 2 ** -24 });
    const upper = [...(await r.data())];
    upper.forEach((value, i) => {
      if (i % n < Math.floor(i / n)) expect(value).toBe(0);
      if (i % n === Math.floor(i / n)) expect(value).toBeGreaterThan(0);
    });
    disposeAll([a, q, r, inner, product]);
  });

  test('scaling by a power of two scales R alone, to the largest and the smallest numbers', async () => {
    const x = uniform(6, 35);
    const at = async (power: number): Promise<[Numbers, Numbers]> => {
      const a = tensor(
        x.map((value) => value * 2 ** power),
        [7, 5],
        { device: on.device },
      );
      const { q, r } = qr(a);
      const out: [Numbers, Numbers] = [await q.data(), await r.data()];
      disposeAll([a, q, r]);
      return out;
    };
    const [q, r] = await at(0);
    for (const power of [-100, 100, 126]) {
      const [scaledQ, scaledR] = await at(power);
      expect(scaledQ).toEqual(q);
      expect(scaledR).toEqual(Float32Array.from(r, (value) => value * 2 ** power));
    }
  });

  test('refuses wide matrices, names a column that depends on others, and keeps NaN in its matrix', async () => {
    const { device } = on;
    const at = (data: readonly number[], shape: readonly number[]): Tensor => tensor(data, shape, { device });
    const wide = at([1, 2], [1, 2]);
    expect(() => qr(wide)).toThrow('qr: a must be [...,m,n] with m ≥ n; got [1,2].');
    for (const [what, singular] of [
      ['a multiple', [1, 0, 0, 1, 0, 0, 1 / 3, 2 / 3, 0.1, 0.2, 0.7, 1.4]],
      ['zeros', [1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0]],
    ] as const) {
      const a = at(singular, [2, 3, 2]);
      const found = async (): Promise<void> => {
        const factors = qr(a);
        await factors.r.data().finally(() => disposeAll(factors));
      };
      await expect(found(), what).rejects.toThrow('column 1 of matrix 1 is, within rounding, a combination');
      a.dispose();
    }
    const a = at([NaN, 1, 1, 0, 1, 0, 0, 1], [2, 2, 2]);
    const { q, r } = qr(a);
    expect([...(await q.data())].slice(4)).toEqual([1, 0, 0, 1].map((value) => expect.closeTo(value, 6)));
    expect([...(await r.data())].slice(0, 1)).toEqual([NaN]);
    disposeAll([wide, a, q, r]);
  });

  test('equal bits for every number of threads', async () => {
    const of = async (threads: number): Promise<Numbers[]> => {
      const device = (await openDevice(on.kind, { threads }))!;
      const x = tensor(uniform(8, 5 * 99), [5, 11, 9], { device, requiresGradient: true });
      const cotangents = [
        tensor(uniform(9, 495), [5, 11, 9], { device }),
        tensor(uniform(10, 405), [5, 9, 9], { device }),
      ];
      const { q, r } = qr(x);
      const dx = scope(() => gradients([q, r], [x], cotangents)[0]!);
      const out = [await q.data(), await r.data(), await dx.data()];
      disposeAll([x, q, r, dx, ...cotangents]);
      await device.dispose();
      return out;
    };
    expect(await of(2)).toEqual(await of(1));
  });
});

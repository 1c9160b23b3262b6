import { expect, test } from 'vitest';
import { bytesPerElement, type FloatDtype } from '../../src/core/dtype.js';
import { gate } from '../../src/nn/index.js';
import {
  attend,
  attendGathered,
  cast,
  crossEntropy,
  detach,
  gelu,
  geluOf,
  layerNorm,
  linearAttend,
  matmul,
  mergeAttention,
  relu,
  reshape,
  rmsNorm,
  softmax,
  split,
  sum,
  transpose,
  type PartialAttention,
} from '../../src/ops/index.js';
import { dropout } from '../../src/ops/dropout.js';
import { rope } from '../../src/positions/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { permutation } from '../oracles/attend-budget.js';
import { storedAs } from '../oracles/storage.js';
import { uniform } from '../support/random.js';

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, extent) => size * extent, 1);
const halves = ['f16', 'bf16'] as const;

/** What an operation keeps for the backward pass: numbers stored as its inputs are, and bytes whatever they are stored as. */
interface Kept {
  readonly name: string;
  /** Of the inputs that are stored in the dtype. */
  readonly shapes: readonly (readonly number[])[];
  readonly run: (...x: Tensor[]) => Tensor;
  readonly numbers: number;
  readonly bytes?: number;
}

const [H, L, D] = [2, 48, 16];
const rows = H * L;
const heads = [1, H, L, D];
const list = (x: Tensor): Tensor =>
  tensor(Int32Array.from([...permutation(L, 1), ...permutation(L, 2)]), [1, H, L], { device: x.device });

const cases: readonly Kept[] = [
  {
    name: 'matmul by f32, with an activation',
    shapes: [[rows, D]],
    run: (x) => {
      const w = tensor(uniform(3, D * 24), [D, 24], { device: x.device });
      return matmul(x, w, { activation: geluOf, dtype: x.dtype as FloatDtype });
    },
    // x, and the sums before the activation
    numbers: rows * (D + 24),
    bytes: 4 * D * 24,
  },
  { name: 'layerNorm', shapes: [[rows, D]], run: (x) => layerNorm(x), numbers: rows * D, bytes: 8 * rows },
  { name: 'rmsNorm', shapes: [[rows, D]], run: (x) => rmsNorm(x), numbers: rows * D, bytes: 8 * rows },
  {
    name: 'attend',
    shapes: [heads, heads, heads],
    run: (q, k, v) => attend(q, k, v, { causal: true }).out,
    numbers: 4 * rows * D,
    bytes: 4 * rows,
  },
  {
    name: 'attendGathered',
    shapes: [heads, heads, heads],
    run: (q, k, v) => attendGathered(q, k, v, { queryOrder: list(q), keyOrder: list(q) }).out,
    numbers: 4 * rows * D,
    bytes: 4 * 3 * rows,
  },
  {
    name: 'mergeAttention',
    shapes: [heads, heads],
    run: (a, b) => {
      const part = (out: Tensor, seed: number): PartialAttention => ({
        out,
        logsumexp: tensor(uniform(seed, rows), [1, H, L], { device: out.device }),
      });
      return mergeAttention(part(a, 5), part(b, 6)).out;
    },
    numbers: 3 * rows * D,
    // logsumexp of the parts, their largest and their sum
    bytes: 4 * 4 * rows,
  },
  {
    name: 'linearAttend',
    shapes: [heads, heads, heads],
    run: (q, k, v) => linearAttend(q, k, v, { causal: true, eps: 100 }).out,
    numbers: 4 * rows * D,
    // divisors and the state
    bytes: 4 * (rows + H * D * (D + 1)),
  },
  { name: 'rope', shapes: [heads], run: (x) => rope(x), numbers: 0, bytes: 4 * L * D },
  { name: 'dropout', shapes: [heads], run: (x) => dropout(x, { rate: 0.5, seed: 1, purpose: 'a' }), numbers: 0 },
  { name: 'gelu', shapes: [heads], run: (x) => gelu(x), numbers: rows * D },
  { name: 'gate', shapes: [heads, heads], run: (x, y) => gate(x, y, 'silu'), numbers: 2 * rows * D },
  { name: 'softmax', shapes: [heads], run: (x) => softmax(x), numbers: rows * D },
  {
    name: 'crossEntropy',
    shapes: [[rows, D]],
    run: (x) => crossEntropy(x, tensor(new Int32Array(rows), [rows], { device: x.device })),
    numbers: rows * D,
    bytes: 8 * rows,
  },
  { name: 'reshape', shapes: [heads], run: (x) => reshape(x, [-1]), numbers: 0 },
  { name: 'transpose', shapes: [heads], run: (x) => transpose(x, [0, 2, 1, 3]), numbers: 0 },
  { name: 'split', shapes: [heads], run: (x) => split(x, [4, 12], { axis: -1 })[1]!, numbers: 0 },
  { name: 'cast', shapes: [heads], run: (x) => cast(x, 'f16'), numbers: 0 },
];

/** Of `q·Σ kᵀv / (q·Σ k + 100)`, head by head, from an output that is stored first (Katharopoulos et al. 2020, section 3.3.1). */
function linearGradients(
  r: (x: number) => number,
  [q, k, v]: readonly ArrayLike<number>[],
  d: ArrayLike<number>,
  stored: (x: number) => number,
): { readonly dq: Float64Array; readonly dk: Float64Array } {
  const [dq, dk] = [new Float64Array(rows * D), new Float64Array(rows * D)];
  const dot = (a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number): number => {
    let total = 0;
    for (let c = 0; c < D; c++) total = r(total + r(a[i * D + c]! * b[j * D + c]!));
    return total;
  };
  for (let i = 0; i < rows; i++) {
    const first = i - (i % L);
    const keys = Array.from({ length: L }, (_, n) => first + n);
    const weights = keys.map((j) => dot(q!, i, k!, j));
    const norm = r(weights.reduce((total, weight) => r(total + weight), 0) + 100);
    const out = Array.from({ length: D }, (_, c) =>
      stored(r(keys.reduce((total, j, n) => r(total + r(weights[n]! * v![j * D + c]!)), 0) / norm)),
    );
    const dnorm = -r(out.reduce((total, x, c) => r(total + r(x * d[i * D + c]!)), 0) / norm);
    keys.forEach((j) => {
      const dweight = r(r(dot(d, i, v!, j) / norm) + dnorm);
      for (let c = 0; c < D; c++) {
        dq[i * D + c] = r(dq[i * D + c]! + r(dweight * k![j * D + c]!));
        dk[j * D + c] = r(dk[j * D + c]! + r(dweight * q![i * D + c]!));
      }
    });
  }
  return { dq, dk };
}

onEveryDevice((on) => {
  const leaf = (seed: number, shape: readonly number[], dtype: FloatDtype): Tensor =>
    tensor(uniform(seed, sizeOf(shape)), shape, { device: on.device, dtype, requiresGradient: true });

  // bytes are counted, whatever computes
  test.each(fewNatively(on.kind, cases, 1))(
    '$name keeps its inputs and outputs as they are stored',
    ({ shapes, run, numbers, bytes = 0 }) => {
      for (const dtype of ['f32', ...halves] as const) {
        const before = on.device.ledger.live();
        // the sum keeps the operation, and nothing of its own: what else is held, the tape holds
        const total = scope(() => sum(run(...shapes.map((shape, i) => leaf(i, shape, dtype)))));
        const held = on.device.ledger.besidePlans - before - total.byteLength;
        expect(`${dtype}: ${held}`).toBe(`${dtype}: ${bytesPerElement[dtype] * numbers + bytes}`);
        total.dispose();
      }
    },
  );

  /** Results of halves, and of the same numbers widened by hand. */
  async function both(
    dtype: FloatDtype,
    run: (q: Tensor, k: Tensor, v: Tensor) => readonly Tensor[],
  ): Promise<[Record<string, ArrayLike<number>>, Record<string, ArrayLike<number>>]> {
    const all = scope(() => {
      const half = [1, 2, 3].map((seed) => leaf(seed, heads, dtype));
      const wide = half.map((x) => detach(cast(x, 'f32'), { requiresGradient: true }));
      return [half, wide].map(([q, k, v]) => {
        const [out, ...others] = run(q!, k!, v!);
        const d = tensor(uniform(9, out!.size), out!.shape, { device: on.device });
        return [cast(out!, dtype), ...gradients([out!], [q!, k!, v!], [d]), ...others];
      });
    });
    const names = ['out', 'dq', 'dk', 'dv', 'other'];
    const read = (tensors: readonly Tensor[]) =>
      Promise.all(tensors.map(async (x, i) => [names[i]!, await x.data()] as const));
    const [half, wide] = [await read(all[0]!), await read(all[1]!)];
    disposeAll(all);
    return [Object.fromEntries(half), Object.fromEntries(wide)];
  }

  test.each(fewNatively(on.kind, halves, 1))(
    'attention of %s is that of the same numbers in f32, to the bit',
    async (dtype) => {
      for (const run of [
        (q: Tensor, k: Tensor, v: Tensor) => attend(q, k, v, { causal: true }),
        (q: Tensor, k: Tensor, v: Tensor) => attendGathered(q, k, v, { queryOrder: list(q), keyOrder: list(q) }),
      ]) {
        const [half, wide] = await both(dtype, (q, k, v) => {
          const { out, logsumexp } = run(q, k, v);
          return [out, logsumexp];
        });
        // into dq and dk the output enters, which was rounded
        for (const name of ['out', 'dv', 'other']) expectSameBits(name, half[name]!, wide[name]!);
      }
    },
  );

  test.each(fewNatively(on.kind, halves, 1))(
    'gathered attention of %s without lists has the gradients of attend',
    async (dtype) => {
      const [half] = await both(dtype, (q, k, v) => [attend(q, k, v).out]);
      const [gathered] = await both(dtype, (q, k, v) => [attendGathered(q, k, v).out]);
      for (const [name, want] of Object.entries(half)) expectSameBits(name, gathered[name]!, want);
    },
  );

  test.each(fewNatively(on.kind, halves, 1))(
    'linear attention of %s is that of the same numbers in f32, to the bit',
    async (dtype) => {
      const [sums, wideSums] = await both(dtype, (q, k, v) => {
        const { out, state } = linearAttend(q, k, v, { causal: true, normalise: false });
        return [out, state];
      });
      for (const [name, want] of Object.entries(wideSums)) expectSameBits(name, sums[name]!, want);
      const [half, wide] = await both(dtype, (q, k, v) => {
        const { out, state } = linearAttend(relu(q), relu(k), v);
        return [out, state];
      });
      for (const name of ['out', 'dv', 'other']) expectSameBits(name, half[name]!, wide[name]!);
    },
  );

  test.each(fewNatively(on.kind, halves, 1))(
    "linear attention of %s takes the divisor's gradient of the rounded output",
    async (dtype) => {
      const stored = storedAs[dtype];
      const [got] = await both(dtype, (q, k, v) => [linearAttend(q, k, v, { eps: 100 }).out]);
      const given = [1, 2, 3].map((seed) => uniform(seed, rows * D).map(stored));
      const d = uniform(9, rows * D);
      const exact = linearGradients(
        (x) => x,
        given,
        d,
        (x) => x,
      );
      const plain = linearGradients(Math.fround, given, d, stored);
      expectClose('dq', got['dq']!, exact.dq, { budget: plain.dq });
      expectClose('dk', got['dk']!, exact.dk, { budget: plain.dk });
    },
  );

  test.each(fewNatively(on.kind, halves, 1))('parts of %s are merged in f32, to the bit', async (dtype) => {
    const [half, wide] = await both(dtype, (q, k, v) => {
      const whole = attend(q, k, v);
      const second = { out: q, logsumexp: whole.logsumexp };
      const { out } = mergeAttention({ out: k, logsumexp: whole.logsumexp }, second);
      return [out];
    });
    expectSameBits('out', half['out']!, wide['out']!);
  });
});

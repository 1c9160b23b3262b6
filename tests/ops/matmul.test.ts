// of kernels/matmul/{combine,epilogue,launch,multiply,pack,steps,vector}

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import type { F32 } from '../../src/codegen/expression/index.js';
import { reluOf } from '../../src/ops/activations.js';
import { matmul, type MatmulOptions } from '../../src/ops/matmul.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { matmul as oracle, matmulGradients, type Stack } from '../oracles/matmul.js';
import { storedAs } from '../oracles/storage.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { fewNatively, onEveryDevice, withThreads } from '../support/devices.js';
import { full } from '../support/full.js';
import { centralDifferences } from '../support/gradient.js';
import { uniform } from '../support/random.js';

/** Random operands of a product with the given axes as they are meant; transposed ones are stored the other way. */
function operands(
  aShape: readonly number[],
  bShape: readonly number[],
  options: MatmulOptions = {},
  seed = 1,
): [Stack, Stack] {
  const stored = (shape: readonly number[], transposed = false, salt: number): Stack => {
    const [rows, columns] = shape.slice(-2) as [number, number];
    const as = transposed ? [...shape.slice(0, -2), columns, rows] : shape;
    return {
      data: uniform(
        seed + salt,
        as.reduce((x, y) => x * y, 1),
      ),
      shape: as,
      transposed,
    };
  };
  return [stored(aShape, options.transposeA, 0), stored(bShape, options.transposeB, 1000)];
}

const flags = [
  {},
  { transposeB: true },
  { transposeA: true },
  { transposeA: true, transposeB: true },
] as const satisfies readonly MatmulOptions[];

onEveryDevice((on) => {
  const stack = ({ data, shape }: Stack, requiresGradient = false): Tensor =>
    tensor(data, shape, { device: on.device, requiresGradient });

  async function check(
    aShape: readonly number[],
    bShape: readonly number[],
    options: MatmulOptions = {},
  ): Promise<void> {
    const [a, b] = operands(aShape, bShape, options);
    const before = on.device.counters.multiplyAdds;
    const out = scope(() => matmul(stack(a), stack(b), options));
    const want = oracle(a, b);
    const who = `[${aShape.join()}]·[${bShape.join()}] ${JSON.stringify(options)}`;
    expect([who, ...out.shape.slice(-2)]).toEqual([who, aShape.at(-2), bShape.at(-1)]);
    expectClose(who, await out.data(), want, { budget: oracle(a, b, undefined, Math.fround) });
    expect([who, on.device.counters.multiplyAdds - before]).toEqual([who, want.length * aShape.at(-1)!]);
    out.dispose();
  }

  // one block, several; one panel, edges of every kind; one step of the inner sum, several, split
  const sizes = [
    [1, 1, 1],
    [2, 3, 4],
    [7, 17, 5],
    [6, 64, 256],
    [12, 8, 257],
    [97, 101, 103],
    [131, 79, 600],
    [200, 300, 40],
    [3, 5, 2100],
    [33, 40, 5000],
  ] as const;
  for (const options of fewNatively(on.kind, flags, 1)) {
    test.each(sizes)(`%i×%i, inner sum of %i ${JSON.stringify(options)}`, (M, N, K) => check([M, K], [K, N], options));
    test.each([
      [1, 1, 3000],
      [1, 9, 70],
      [1, 400, 33],
      [1, 130, 1100],
      [400, 1, 33],
      [130, 1, 1100],
    ])(`vectors %i×%i, inner sum of %i ${JSON.stringify(options)}`, (M, N, K) => check([M, K], [K, N], options));
  }

  test.each([
    [
      [3, 5, 7],
      [7, 4],
    ],
    [
      [3, 5, 7],
      [1, 7, 4],
    ],
    [
      [5, 7],
      [3, 7, 4],
    ],
    [
      [2, 1, 5, 7],
      [3, 7, 4],
    ],
    [
      [2, 3, 1, 7],
      [3, 7, 4],
    ],
    [
      [2, 1, 3, 1, 3, 5],
      [1, 4, 1, 2, 5, 2],
    ],
    [
      [6, 1, 20],
      [6, 20, 1],
    ],
    [
      [3, 60, 20],
      [3, 20, 90],
    ],
    [
      [2, 1, 1, 20],
      [1, 3, 20, 30],
    ],
  ])('batches %j·%j', async (aShape, bShape) => {
    for (const options of fewNatively(on.kind, flags, 1)) await check(aShape, bShape, options);
  });

  test('random shapes', () =>
    fc.assert(
      fc.asyncProperty(
        fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 90 }), fc.integer({ min: 1, max: 70 })),
        fc.tuple(fc.integer({ min: 1, max: 3 }), fc.boolean(), fc.boolean()),
        fc.tuple(fc.boolean(), fc.boolean()),
        ([M, N, K], [batch, aHas, bHas], [transposeA, transposeB]) =>
          check([...(aHas ? [batch] : []), M, K], [...(bHas ? [batch] : []), K, N], { transposeA, transposeB }),
      ),
      { seed: 7, numRuns: full ? 60 : on.kind === 'native' ? 8 : 30 },
    ));

  const differentiated = [
    [[2, 1, 1, 5], [3, 5, 4], { transposeA: true, transposeB: true }],
    [[4, 5], [5, 3], {}],
    [[2, 4, 5], [5, 3], {}],
    [[2, 4, 5], [5, 3], { transposeB: true }],
    [[3, 1, 5], [1, 5, 3], {}],
    [[2, 4, 5], [2, 5, 3], { transposeA: true }],
    [[4, 5], [2, 5, 3], { transposeB: true }],
    [[2, 3, 4, 5], [1, 1, 5, 3], { transposeA: true }],
  ] as const;
  test.each(fewNatively(on.kind, differentiated, 1))('gradients of %j·%j %j', async (aShape, bShape, options) => {
    const [a, b] = operands(aShape, bShape, options);
    const bias = uniform(5, bShape.at(-1)!);
    // x/2·(1 + tanh x), and its derivative
    const activation = (x: F32): F32 => x.mul(0.5).mul(x.tanh().add(1));
    const value = (x: number): number => 0.5 * x * (1 + Math.tanh(x));
    const slope = (x: number): number => 0.5 * (1 + Math.tanh(x)) + 0.5 * x * (1 - Math.tanh(x) ** 2);
    const [ta, tb, tbias] = [stack(a, true), stack(b, true), stack({ data: bias, shape: [bias.length] }, true)];
    const out = matmul(ta, tb, { ...options, bias: tbias, activation });
    const cotangent = uniform(9, out.size);
    const seed = stack({ data: cotangent, shape: out.shape });
    const found = gradients([out], [ta, tb, tbias], [seed]);

    const run = (round: (x: number) => number) => {
      const sums = oracle(a, b, bias, round);
      const d = sums.map((sum, at) => round(cotangent[at]! * round(slope(sum))));
      return [sums.map((sum) => round(value(sum))), ...matmulGradients(a, b, d, round)];
    };
    const [want, plain] = [run((x) => x), run(Math.fround)];
    for (const [i, tensor] of [out, ...found].entries()) {
      expectClose(['value', 'da', 'db', 'dbias'][i]!, await tensor.data(), want[i]!, { budget: plain[i]! });
    }
    const f = (aData: Float64Array, bData: Float64Array, biasData: Float64Array) =>
      oracle({ ...a, data: aData }, { ...b, data: bData }, biasData).map(value);
    const numeric = centralDifferences(f, [a.data, b.data, bias], cotangent);
    numeric.forEach((differences, i) => expectClose('oracle', want[i + 1]!, differences, { budget: 1e-8 }));
    disposeAll([ta, tb, tbias, out, seed, found]);
  });

  test('gradients without bias and activation, of one operand only', async () => {
    const [a, b] = operands([70, 90], [90, 110]);
    const [ta, tb] = [stack(a), stack(b, true)];
    const out = matmul(ta, tb);
    const cotangent = { data: uniform(3, 70 * 110), shape: [70, 110] };
    const seed = stack(cotangent);
    const [db] = gradients([out], [tb], [seed]);
    const [, want] = matmulGradients(a, b, cotangent.data);
    const [, plain] = matmulGradients(a, b, cotangent.data, Math.fround);
    expectClose('db', await db!.data(), want, { budget: plain });
    disposeAll([ta, tb, out, seed, db]);
  });

  test('bias and activation, where the inner sum takes several steps, and where it is split', async () => {
    for (const [M, N, K] of [
      [70, 70, 700],
      [8, 6, 9000],
      [1, 100, 3000],
      [50, 1, 3000],
      [1, 1, 1],
    ] as const) {
      const [a, b] = operands([M, K], [K, N]);
      const bias = uniform(4, N, -8, 8);
      const out = scope(() =>
        matmul(stack(a), stack(b), { bias: stack({ data: bias, shape: [N] }), activation: reluOf }),
      );
      const relu = (x: number): number => Math.max(x, 0);
      const plain = oracle(a, b, bias, Math.fround).map(relu);
      expectClose(`${M}×${N}×${K}`, await out.data(), oracle(a, b, bias).map(relu), { budget: plain });
      out.dispose();
    }
  });

  test('f16 and bf16 operands are exact inputs of an f32 sum', async () => {
    for (const dtype of fewNatively(on.kind, ['f16', 'bf16'] as const, 1)) {
      for (const options of fewNatively(on.kind, flags, 1)) {
        const [a, b] = operands([37, 50], [50, 29], options);
        const rounded = (s: Stack): Stack => ({ ...s, data: Float32Array.from(s.data, (x) => storedAs[dtype](x)) });
        const half = (s: Stack): Tensor => tensor(s.data, s.shape, { device: on.device, dtype });
        const mixed = scope(() => matmul(half(a), stack(rounded(b)), options));
        const want = oracle(rounded(a), rounded(b));
        expectClose(dtype, await mixed.data(), want, {
          budget: oracle(rounded(a), rounded(b), undefined, Math.fround),
        });
        const both = scope(() => matmul(half(a), half(b), options));
        expect(both.dtype).toBe(dtype);
        // the budget of the sum, and half a unit in the last place of the result
        const unit = (dtype === 'f16' ? 2 ** -11 : 2 ** -8) * Math.max(...want.map(Math.abs));
        expectClose(`${dtype} result`, await both.data(), want, { budget: unit + 1e-5 });
        const asked = scope(() => matmul(half(a), stack(rounded(b)), { ...options, dtype }));
        expectSameBits('asked for', await asked.data(), await both.data());
        disposeAll([mixed, both, asked]);
      }
    }
  });

  test('NaN and infinity stay in their row and column', async () => {
    const [a, b] = operands([80, 70], [70, 90]);
    const [poisonedA, poisonedB] = [Float32Array.from(a.data), Float32Array.from(b.data)];
    poisonedA[5 * 70 + 3] = NaN;
    poisonedB[2 * 90 + 89] = Infinity;
    const out = scope(() => matmul(stack({ ...a, data: poisonedA }), stack({ ...b, data: poisonedB })));
    const got = await out.data();
    for (let i = 0; i < 80; i++) {
      for (let j = 0; j < 90; j++)
        expect([i, j, Number.isFinite(got[i * 90 + j])]).toEqual([i, j, i !== 5 && j !== 89]);
    }
    out.dispose();
  });

  test('the same bits for every number of threads', async () => {
    for (const [M, N, K] of [
      [150, 170, 600],
      [3, 600, 700],
      [1, 3000, 500],
      [40, 30, 20000],
    ] as const) {
      const [a, b] = operands([M, K], [K, N]);
      const results = await withThreads(on.kind, [1, 2, 3], async (device) => {
        const out = scope(() => matmul(tensor(a.data, a.shape, { device }), tensor(b.data, b.shape, { device })));
        const data = await out.data();
        out.dispose();
        return data;
      });
      expectSameBits('2 threads', results[1]!, results[0]!);
      expectSameBits('3 threads', results[2]!, results[0]!);
    }
  });

  test('what it refuses', () =>
    scope(() => {
      const zeros = (...shape: number[]): Tensor =>
        stack({ data: new Float32Array(shape.reduce((x, y) => x * y, 1)), shape });
      expect(() => matmul(zeros(2, 3), zeros(4, 5))).toThrow(
        new ShapeError(
          'matmul: a must be [...,M,K] and b [...,K,N] with one K, not 3 and 4 ' +
            '(set transposeA or transposeB if one is stored the other way); got a=[2,3], b=[4,5].',
        ),
      );
      expect(() => matmul(zeros(3), zeros(3, 5))).toThrow(
        'matmul: a must be [...,M,K] and b [...,K,N], at least two axes each (reshape to add one); got a=[3], b=[3,5].',
      );
      expect(() => matmul(zeros(2, 2, 3), zeros(3, 3, 5))).toThrow(ShapeError);
      // every reason at once
      expect(() => matmul(zeros(2, 3), zeros(5, 3), { transposeA: true, bias: zeros(4) })).toThrow(
        /with one K, not 2 and 5 .*; bias must be \[N\]=\[3\]; got a=\[2,3\] transposed, b=\[5,3\], bias=\[4\]/,
      );
      const integers = tensor(Int32Array.of(1, 2, 3, 4), [2, 2], { device: on.device });
      expect(() => matmul(zeros(2, 2), zeros(2, 2), { dtype: 'i32' as 'f32' })).toThrow(
        'dtype must be f32, f16 or bf16',
      );
      expect(() => matmul(integers, zeros(2, 2))).toThrow(/must be f32, f16 or bf16; got i32/);
      expect(() => matmul(zeros(2, 2), zeros(2, 2), { transposeb: true } as MatmulOptions)).toThrow(
        /did you mean "transposeB"/,
      );
      expect(() => matmul(zeros(2, 2), zeros(2, 2), { activation: (x) => x.lt(0) })).toThrow(OptionError);
    }));
});

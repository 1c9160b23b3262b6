import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planMultiplyOnGpu } from '../../../src/kernels/matmul/gpu-plan.js';
import type { WebGpuDevice } from '../../../src/devices/webgpu/device.js';
import { groupedMatmul } from '../../../src/ops/grouped-matmul.js';
import { matmul, type MatmulOptions } from '../../../src/ops/matmul.js';
import { disposeAll, tensor, type Tensor } from '../../../src/tensor/index.js';
import { matmul as oracle, type Stack } from '../../oracles/matmul.js';
import { expectClose, expectSameBits } from '../../support/compare.js';
import { expectNoLeaks, held } from '../../support/devices.js';
import { normal } from '../../support/random.js';
import { noWebGpu, webGpuDevice } from '../../support/webgpu.js';

const single = Math.fround;

describe.skipIf(noWebGpu !== undefined)(`products on WebGPU ${noWebGpu ?? ''}`, () => {
  let device: WebGpuDevice;
  let before: ReturnType<typeof held>;
  beforeAll(async () => {
    device = await webGpuDevice();
    before = held(device);
  });
  afterAll(() => device.dispose());

  let seed = 31;
  const numbers = (count: number): Float32Array => normal(seed++, count);
  const made: Tensor[] = [];
  const onGpu = (data: ArrayLike<number>, shape: readonly number[], dtype: 'f32' | 'f16' | 'bf16' = 'f32'): Tensor => {
    const x = tensor(Float32Array.from(data), shape, { device, dtype });
    made.push(x);
    return x;
  };
  const read = async (x: Tensor): Promise<Float32Array> => {
    const data = (await x.data()) as Float32Array;
    disposeAll([x, ...made.splice(0)]);
    expectNoLeaks(device, before);
    return data;
  };
  const stackOf = (shape: readonly number[], transposed: boolean): Stack => {
    const [rows, columns] = shape.slice(-2) as [number, number];
    const stored = [...shape.slice(0, -2), ...(transposed ? [columns, rows] : [rows, columns])];
    return { data: numbers(stored.reduce((a, b) => a * b, 1)), shape: stored, transposed };
  };

  test.each([
    ['small and odd', [5, 7, 9], [], [], false, false],
    ['A transposed, over the edges of tiles', [65, 17, 33], [2], [2], true, false],
    ['B transposed', [16, 15, 64], [2], [1], false, true],
    ['both transposed', [17, 16, 31], [3], [3], true, true],
    ['batch axes that broadcast', [9, 8, 5], [2, 1, 3], [4, 1], false, false],
    ['large tiles', [130, 520, 21], [2], [], false, true],
    ['a row, and B as it is', [1, 70, 90], [], [], false, false],
    ['rows of a batch, and B transposed, in parts', [1, 65, 2100], [2], [2], false, true],
    ['a column', [67, 1, 40], [3], [3], true, false],
    ['a long inner sum in parts', [20, 20, 700], [], [], true, false],
  ] as const)('%s', async (_, [M, N, K], aBatch, bBatch, transposeA, transposeB) => {
    const a = stackOf([...aBatch, M, K], transposeA);
    const b = stackOf([...bBatch, K, N], transposeB);
    const bias = numbers(N);
    const options = { transposeA, transposeB, bias: onGpu(bias, [N]) };
    const got = await read(matmul(onGpu(a.data, a.shape), onGpu(b.data, b.shape), options));
    expectClose('matmul', got, oracle(a, b, bias), { budget: oracle(a, b, bias, single) });
  });

  test('an activation is part of the text, its constants are arguments', async () => {
    const a = stackOf([20, 12], false);
    const b = stackOf([12, 36], false);
    const exact = oracle(a, b);
    const run = (activation: NonNullable<MatmulOptions['activation']>): Promise<Float32Array> =>
      read(matmul(onGpu(a.data, a.shape), onGpu(b.data, b.shape), { activation }));
    const plain = oracle(a, b, undefined, single);
    for (const factor of [0.5, 2]) {
      const of = (x: number): number => Math.tanh(factor * x);
      expectClose(`tanh(${factor}·x)`, await run((x) => x.mul(factor).tanh()), exact.map(of), {
        budget: plain.map((x) => single(of(x))),
      });
    }
  });

  test.each(['f16', 'bf16'] as const)('operands of %s are widened as they are read', async (dtype) => {
    const a = stackOf([18, 40], false);
    const b = stackOf([40, 22], true);
    const given = [onGpu(a.data, a.shape, dtype), onGpu(b.data, b.shape, dtype)] as const;
    const [aStored, bStored] = [await given[0].data(), await given[1].data()];
    const bias = onGpu(numbers(22), [22], dtype);
    const biasStored = (await bias.data()) as Float32Array;
    const [wideA, wideB] = [
      { ...a, data: aStored },
      { ...b, data: bStored },
    ] as [Stack, Stack];
    const got = await read(matmul(...given, { transposeB: true, bias, dtype: 'f32' }));
    expectClose(dtype, got, oracle(wideA, wideB, biasStored), { budget: oracle(wideA, wideB, biasStored, single) });
  });

  test('rows of groups meet their own matrices; empty groups, rows of none', async () => {
    const [count, K, N] = [50, 12, 20];
    const ends = [7, 7, 40, 44];
    const x = numbers(count * K);
    const weights = numbers(ends.length * K * N);
    const want = new Float64Array(count * N);
    const plain = new Float64Array(count * N);
    let start = 0;
    ends.forEach((end, g) => {
      for (const [into, round] of [
        [want, undefined],
        [plain, single],
      ] as const)
        if (end > start)
          into.set(
            oracle(
              { data: x.subarray(start * K, end * K), shape: [end - start, K] },
              { data: weights.subarray(g * K * N, (g + 1) * K * N), shape: [K, N] },
              undefined,
              round,
            ),
            start * N,
          );
      start = end;
    });
    const places = tensor(Int32Array.from(ends), [ends.length], { device });
    made.push(places);
    const got = await read(groupedMatmul(onGpu(x, [count, K]), onGpu(weights, [ends.length, K, N]), places));
    expectClose('grouped', got, want, { budget: plain });
  });

  test('the same bits again', async () => {
    const a = stackOf([70, 50], false);
    const b = stackOf([50, 90], false);
    const once = (): Promise<Float32Array> => read(matmul(onGpu(a.data, a.shape), onGpu(b.data, b.shape)));
    expectSameBits('matmul', await once(), await once());
  });
});

test('a long inner sum over few tiles is cut into parts, and large products take large tiles', () => {
  expect(planMultiplyOnGpu({ batches: 1, M: 64, N: 64, K: 4096 })).toMatchObject({
    rows: 16,
    splits: 2,
    splitDepth: 2048,
  });
  expect(planMultiplyOnGpu({ batches: 1, M: 1024, N: 1024, K: 64 })).toMatchObject({ rows: 64, splits: 1, tasks: 256 });
  expect(planMultiplyOnGpu({ batches: 1, M: 2, N: 2, K: 0 })).toMatchObject({ splits: 1, tasks: 1 });
});

// of kernels/rowwise/normalise

import { expect, test } from 'vitest';
import { cast, layerNorm, rmsNorm } from '../../src/ops/index.js';
import { gradients, scope, tensor } from '../../src/tensor/index.js';
import { expectClose, expectSameBits, type Numbers } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { checkOperation, exact, type Round } from '../support/operation.js';
import { uniform } from '../support/random.js';

const epsilon = 1e-5;

interface Statistics {
  readonly mean: number;
  readonly rstd: number;
}

function statistics(r: Round, row: Numbers, centre: boolean): Statistics {
  let mean = 0;
  if (centre) for (let i = 0; i < row.length; i++) mean = r(mean + row[i]!);
  mean = r(mean / row.length);
  let squares = 0;
  for (let i = 0; i < row.length; i++) squares = r(squares + r(r(row[i]! - mean) ** 2));
  return { mean, rstd: r(1 / r(Math.sqrt(r(r(squares / row.length) + epsilon)))) };
}

/** The formula row by row; weight and bias may be missing. */
function forward(r: Round, centre: boolean, x: Numbers, D: number, weight?: Numbers, bias?: Numbers): Float64Array {
  const y = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += D) {
    const { mean, rstd } = statistics(r, Array.from(x).slice(at, at + D), centre);
    for (let i = 0; i < D; i++)
      y[at + i] = r(r(r(r(x[at + i]! - mean) * rstd) * (weight?.[i] ?? 1)) + (bias?.[i] ?? 0));
  }
  return y;
}

function backward(
  r: Round,
  centre: boolean,
  d: Numbers,
  x: Numbers,
  D: number,
  weight?: Numbers,
): [Float64Array, Float64Array, Float64Array] {
  const [dx, dweight, dbias] = [new Float64Array(x.length), new Float64Array(D), new Float64Array(D)];
  for (let at = 0; at < x.length; at += D) {
    const { mean, rstd } = statistics(r, Array.from(x).slice(at, at + D), centre);
    const normal = Array.from({ length: D }, (_, i) => r(r(x[at + i]! - mean) * rstd));
    const g = Array.from({ length: D }, (_, i) => r(d[at + i]! * (weight?.[i] ?? 1)));
    const level = centre ? r(g.reduce((sum, value) => r(sum + value), 0) / D) : 0;
    const along = r(g.reduce((sum, value, i) => r(sum + r(value * normal[i]!)), 0) / D);
    for (let i = 0; i < D; i++) {
      dx[at + i] = r(rstd * r(r(g[i]! - level) - r(normal[i]! * along)));
      dweight[i] = r(dweight[i]! + r(d[at + i]! * normal[i]!));
      dbias[i] = r(dbias[i]! + d[at + i]!);
    }
  }
  return [dx, dweight, dbias];
}

const shapes = [[3, 7], [2, 3, 33], [5, 1], [131], [70, 5]] as const;

onEveryDevice((on) => {
  test.each(shapes.map((shape) => [shape] as const))('layerNorm %j: values and gradients', async (shape) => {
    const D = shape.at(-1)!;
    await checkOperation(on.device, {
      name: 'layerNorm with weight and bias',
      shapes: [shape, [D], [D]],
      run: (x, weight, bias) => layerNorm(x, { weight: weight, bias: bias }),
      forward: (r, x, weight, bias) => forward(r, true, x, D, weight, bias),
      backward: (r, d, x, weight) => backward(r, true, d, x, D, weight),
    });
    await checkOperation(on.device, {
      name: 'layerNorm',
      shapes: [shape],
      run: (x) => layerNorm(x),
      forward: (r, x) => forward(r, true, x, D),
      backward: (r, d, x) => [backward(r, true, d, x, D)[0]],
    });
  });

  test.each(shapes.map((shape) => [shape] as const))('rmsNorm %j: values and gradients', async (shape) => {
    const D = shape.at(-1)!;
    await checkOperation(on.device, {
      name: 'rmsNorm with weight',
      shapes: [shape, [D]],
      run: (x, weight) => rmsNorm(x, { weight: weight }),
      forward: (r, x, weight) => forward(r, false, x, D, weight),
      backward: (r, d, x, weight) => backward(r, false, d, x, D, weight).slice(0, 2),
    });
  });

  test('a large mean does not cancel', async () => {
    const x = uniform(2, 256).map((value) => 1000 + value);
    const y = scope(() => layerNorm(tensor(x, [256], { device: on.device })));
    expectClose('layerNorm', await y.data(), forward(exact, true, x, 256), {
      budget: forward(Math.fround, true, x, 256),
    });
    y.dispose();
  });

  test('gradients flow to the inputs that ask for them only', async () => {
    const { device } = on;
    const [d, x, w] = [uniform(1, 12), uniform(2, 12), uniform(3, 4)];
    const [db] = scope(() => {
      const bias = tensor([0, 0, 0, 0], [4], { device, requiresGradient: true });
      const y = layerNorm(tensor(x, [3, 4], { device }), { weight: tensor(w, [4], { device }), bias });
      return gradients([y], [bias], [tensor(d, [3, 4], { device })]);
    });
    const want = [0, 1, 2, 3].map((i) => d[i]! + d[i + 4]! + d[i + 8]!);
    expectClose('bias', await db!.data(), want);
    db!.dispose();
  });

  test('narrow storage: f16 rows with f32 weights give f32, or what is asked for; all f16 gives f16', async () => {
    const { device } = on;
    const x = uniform(4, 60);
    const [mixed, narrow, wide, asked] = scope(() => {
      const half = tensor(x, [3, 20], { device, dtype: 'f16' });
      const weight = tensor(uniform(5, 20), [20], { device, dtype: 'f16' });
      const f32 = { weight: cast(weight, 'f32') };
      const y = layerNorm(cast(half, 'f32'), f32);
      return [
        layerNorm(half, f32),
        layerNorm(half, { weight }),
        cast(y, 'f16'),
        layerNorm(half, { ...f32, dtype: 'f16' }),
      ];
    });
    expect(mixed.dtype).toBe('f32');
    expect(narrow.dtype).toBe('f16');
    expect(asked.dtype).toBe('f16');
    expectSameBits('f16', await narrow.data(), await wide.data());
    expectSameBits('asked for', await asked.data(), await wide.data());
    for (const one of [mixed, narrow, wide, asked]) one.dispose();
  });

  test('bits do not depend on the number of threads', async () => {
    const [x, w, d] = [uniform(1, 700 * 64), uniform(2, 64), uniform(3, 700 * 64)];
    const results = await withThreads(on.kind, [1, 2, 3], async (device) => {
      const outs = scope(() => {
        const rows = tensor(x, [700, 64], { device, requiresGradient: true });
        const weight = tensor(w, [64], { device, requiresGradient: true });
        const y = layerNorm(rows, { weight });
        return [y, ...gradients([y], [rows, weight], [tensor(d, [700, 64], { device })])];
      });
      const numbers = await Promise.all(outs.map((out) => out.data()));
      for (const out of outs) out.dispose();
      return numbers.flatMap((values) => Array.from(values));
    });
    expectSameBits('2 threads', results[1]!, results[0]!);
    expectSameBits('3 threads', results[2]!, results[0]!);
  });

  test('refusals', () => {
    scope(() => {
      const x = tensor([1, 2, 3, 4], [2, 2], { device: on.device });
      const weight = tensor([1, 2, 3], [3], { device: on.device });
      expect(() => layerNorm(x, { weight })).toThrow(
        'layerNorm: x must be [..., D], weight and bias [D]; got x=[2,2], weight=[3].',
      );
      expect(() => rmsNorm(x, { epsilon: 0 })).toThrow('rmsNorm: epsilon must be a number above 0; got 0.');
      expect(() => rmsNorm(cast(x, 'i32'))).toThrow('takes f32, f16 or bf16');
      expect(() => rmsNorm(x, { dtype: 'u8' as 'f16' })).toThrow('dtype must be f32, f16 or bf16; got "u8"');
      expect(() => rmsNorm(x, { bias: weight } as never)).toThrow('unknown option "bias"');
    });
  });
});

// of kernels/axes, kernels/elementwise/{cpu,plan,rows}

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { constant, select, variable } from '../../src/codegen/expression/index.js';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import { add, cast, div, equal, less, map, maximum, minimum, mul, sub, where } from '../../src/ops/index.js';
import { gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectClose, type Numbers } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { checkOperation } from '../support/operation.js';
import { uniform } from '../support/random.js';

type Shape = readonly number[];
const sizeOf = (shape: Shape): number => shape.reduce((size, extent) => size * extent, 1);

/** For each element of `out`, the index into a tensor of `shape` that broadcasts to it: the slow way. */
function sources(shape: Shape, out: Shape): number[] {
  return Array.from({ length: sizeOf(out) }, (_, flat) => {
    const index: number[] = [];
    let rest = flat;
    for (let axis = out.length - 1; axis >= 0; axis--) {
      index.unshift(rest % out[axis]!);
      rest = Math.floor(rest / out[axis]!);
    }
    const own = index.slice(out.length - shape.length);
    return shape.reduce((at, extent, axis) => at * extent + (extent === 1 ? 0 : own[axis]!), 0);
  });
}

/** A shape, and two that broadcast to it. */
const broadcasting = fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 4 }).chain((out) =>
  fc
    .tuple(...[0, 1].map(() => fc.tuple(fc.nat({ max: out.length }), ...out.map(() => fc.boolean()))))
    .map((choices) => {
      const shapes = choices.map(([drop, ...ones]) => out.map((extent, i) => (ones[i] ? 1 : extent)).slice(drop));
      const full = Array.from({ length: out.length }, (_, axis) =>
        Math.max(...shapes.map((shape) => shape[axis - (out.length - shape.length)] ?? 1)),
      );
      return {
        a: shapes[0]!,
        b: shapes[1]!,
        out: full.slice(out.length - Math.max(...shapes.map((shape) => shape.length))),
      };
    }),
);

onEveryDevice((on) => {
  const read = async (make: () => Tensor): Promise<{ values: Numbers; dtype: string; shape: Shape }> => {
    const y = scope(make);
    const result = { values: await y.data(), dtype: y.dtype, shape: y.shape };
    y.dispose();
    return result;
  };

  test('broadcast shapes: values and gradients', async () => {
    await fc.assert(
      fc.asyncProperty(broadcasting, fc.nat(1000), async ({ a, b, out }, seed) => {
        const [ia, ib] = [sources(a, out), sources(b, out)];
        await checkOperation(
          on.device,
          {
            name: `${JSON.stringify(a)} · ${JSON.stringify(b)}`,
            shapes: [a, b],
            run: mul,
            forward: (r, x, y) => ia.map((at, i) => r(x[at]! * y[ib[i]!]!)),
            backward: (r, d, x, y) => {
              const [dx, dy] = [new Float64Array(x.length), new Float64Array(y.length)];
              ia.forEach((at, i) => {
                dx[at] = r(dx[at]! + r(d[i]! * y[ib[i]!]!));
                dy[ib[i]!] = r(dy[ib[i]!]! + r(d[i]! * x[at]!));
              });
              return [dx, dy];
            },
          },
          seed,
        );
      }),
      { numRuns: 30, seed: 11 },
    );
  });

  test.each([
    ['rows longer than a task', [3, 40_001], [40_001]],
    ['a scalar', [70_001], []],
    ['a column', [301, 129], [301, 1]],
    ['a middle axis', [13, 1, 17], [13, 11, 17]],
  ] as const)('%s', async (_, a, b) => {
    const out = a.map((extent, i) => Math.max(extent, (b as Shape)[i - a.length + b.length] ?? 1));
    const [x, y] = [uniform(1, sizeOf(a)), uniform(2, sizeOf(b))];
    const [ia, ib] = [sources(a, out), sources(b, out)];
    const { values } = await read(() => add(tensor(x, a, { device: on.device }), tensor(y, b, { device: on.device })));
    expectClose(
      'sum',
      values,
      ia.map((at, i) => Math.fround(x[at]! + y[ib[i]!]!)),
      { budget: 0 },
    );
  });

  test('any expression, as a function or over x0, x1', async () => {
    const { device } = on;
    const leaky = (x: number, slope: number): number => (x < 0 ? x * slope : x);
    const [x, slope] = [uniform(3, 37), uniform(4, 1)];
    const expression = select(
      variable('x0', 'f32').lt(0),
      variable('x0', 'f32').mul(variable('x1', 'f32')),
      variable('x0', 'f32'),
    );
    for (const f of [expression, undefined]) {
      const { values } = await read(() => {
        const inputs = [tensor(x, [37], { device }), tensor(slope, [1], { device })] as const;
        return f ? map(f, ...inputs) : map((a, b) => select(a.lt(0), a.mul(b), a), ...inputs);
      });
      expectClose(
        'leaky relu',
        values,
        Float32Array.from(x, (value) => leaky(value, slope[0]!)),
        { budget: 0 },
      );
    }
  });

  test('where: the gradient goes to the side taken, even past NaN', async () => {
    const { device } = on;
    const [da, db] = scope(() => {
      const condition = tensor(Uint8Array.of(1, 0, 2), [3], { device });
      const a = tensor([1, NaN, 3], [3], { device, requiresGradient: true });
      const b = tensor([NaN, 5, 6], [3], { device, requiresGradient: true });
      const y = where(condition, a, b);
      return gradients([y], [a, b], [tensor([7, 8, 9], [3], { device })]);
    });
    expect([...(await da!.data())]).toEqual([7, 0, 9]);
    expect([...(await db!.data())]).toEqual([0, 8, 0]);
    da!.dispose();
    db!.dispose();
    const { values } = await read(() =>
      where(tensor(Uint8Array.of(1, 0), [2], { device }), -1, tensor([4, 5], [2], { device })),
    );
    expect([...(values as Float32Array)]).toEqual([-1, 5]);
  });

  test('minimum and maximum propagate NaN from either side', async () => {
    const { device } = on;
    for (const f of [minimum, maximum]) {
      const { values } = await read(() =>
        f(tensor([NaN, 1, 2, 5], [4], { device }), tensor([1, NaN, 3, 4], [4], { device })),
      );
      expect([...(values as Float32Array)]).toEqual(f === minimum ? [NaN, NaN, 2, 4] : [NaN, NaN, 3, 5]);
    }
  });

  test('storage: comparisons are u8, integer expressions i32, floats what the inputs agree on', async () => {
    const { device } = on;
    const of = (dtype: 'f16' | 'bf16' | 'f32' | 'i32'): Tensor => tensor([1, 2, 3], [3], { device, dtype });
    expect((await read(() => less(of('f32'), 2))).dtype).toBe('u8');
    expect((await read(() => equal(of('i32'), of('f16')))).dtype).toBe('u8');
    expect((await read(() => add(of('f16'), of('f16')))).dtype).toBe('f16');
    expect((await read(() => add(of('f16'), of('bf16')))).dtype).toBe('f32');
    expect((await read(() => mul(of('bf16'), of('i32')))).dtype).toBe('bf16');
    expect((await read(() => mul(of('i32'), 2))).dtype).toBe('f32');
    const whole = variable('x0', 'i32');
    const { dtype, values } = await read(() =>
      map(whole.mul(whole).add(1), tensor(Int32Array.of(40_000, -3), [2], { device })),
    );
    expect(dtype).toBe('i32');
    expect([...(values as Int32Array)]).toEqual([1_600_000_001, 10]);
  });

  test('narrow floats: computed in f32, rounded once; gradients are f32', async () => {
    const { device } = on;
    const [x, y] = [uniform(5, 100), uniform(6, 100)];
    for (const dtype of ['f16', 'bf16'] as const) {
      const { values } = await read(() => {
        const [a, b] = [tensor(x, [100], { device, dtype }), tensor(y, [100], { device, dtype })];
        const difference = sub(div(a, cast(b, 'f32')), cast(div(cast(a, 'f32'), cast(b, 'f32')), 'f32'));
        return difference;
      });
      expectClose('the same quotient', values, new Float32Array(100), { budget: 0 });
      const [dx] = scope(() => {
        const a = tensor(x, [100], { device, dtype, requiresGradient: true });
        return gradients([mul(a, tensor(y, [100], { device }))], [a], [tensor(uniform(7, 100), [100], { device })]);
      });
      expect(dx!.dtype).toBe('f32');
      dx!.dispose();
    }
  });

  test('refusals name every shape and the remedy', () => {
    const { device } = on;
    scope(() => {
      const [a, b] = [tensor([1, 2, 3], [3], { device }), tensor([1, 2, 3, 4], [2, 2], { device })];
      expect(() => add(a, b)).toThrow(ShapeError);
      expect(() => add(a, b)).toThrow(
        'add: shapes must be equal or 1 on every axis, counted from the last; got [3], [2,2].',
      );
      expect(() => map(variable('y', 'f32'), a)).toThrow('map: unknown variable y; the inputs are x0.');
      expect(() => map(variable('x0', 'i32').add(1), a)).toThrow(OptionError);
      expect(() => map(constant(1))).toThrow('at least one tensor');
      expect(() => add(1, 2)).toThrow('one of the two operands must be a tensor');
      a.dispose();
      expect(() => mul(a, 2)).toThrow('was disposed');
    });
  });
});

// of kernels/table-rows/{distinct,dot,launch,weigh}

import { expect, test } from 'vitest';
import { dotRows, weighRows } from '../../src/ops/weigh-rows.js';
import { disposeAll, gradients, scope, tensor, type RowGradient, type Tensor } from '../../src/tensor/index.js';
import { expectSameBits, type Numbers } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { checkOperation, type Round } from '../support/operation.js';
import { generator, uniform } from '../support/random.js';

/** Rows that are read often, once and never, some twice by one entry's neighbours. */
const length = 11;
const indices = [4, 0, 4, 7, 7, 7, 10, 4, 3, 0, 1, 4];
const [rows, count] = [4, 3];

onEveryDevice((on) => {
  const list = (numbers: ArrayLike<number>, shape: readonly number[]): Tensor =>
    tensor(Int32Array.from(numbers), shape, { device: on.device });

  // within a register tile, beyond it, and a rest of lanes
  for (const columns of [3, 130, 256]) {
    test(`weighs ${columns} columns, and gradients`, async () => {
      const order = list(indices, [2, 2, count]);
      await checkOperation(on.device, {
        name: 'weighRows',
        shapes: [
          [2, 2, count],
          [length, columns],
        ],
        run: (w, t) => weighRows(w, t, order),
        forward: (r: Round, w?: Numbers, t?: Numbers) =>
          Float64Array.from({ length: rows * columns }, (_, at) => {
            const [row, c] = [Math.floor(at / columns), at % columns];
            return Array.from({ length: count }, (__, j) => row * count + j).reduce(
              (sum, entry) => r(sum + r(w![entry]! * t![indices[entry]! * columns + c]!)),
              0,
            );
          }),
        backward: (r: Round, d: Numbers, w?: Numbers, t?: Numbers) => {
          const [dw, dt] = [new Float64Array(indices.length), new Float64Array(length * columns)];
          indices.forEach((index, entry) => {
            for (let c = 0; c < columns; c++) {
              const from = Math.floor(entry / count) * columns + c;
              dw[entry] = r(dw[entry]! + r(d[from]! * t![index * columns + c]!));
              dt[index * columns + c] = r(dt[index * columns + c]! + r(d[from]! * w![entry]!));
            }
          });
          return [dw, dt];
        },
      });
      order.dispose();
    });
  }

  test('multiplies with rows, and gradients', async () => {
    const columns = 37;
    const order = list(indices, [rows, count]);
    await checkOperation(on.device, {
      name: 'dotRows',
      shapes: [
        [rows, columns],
        [length, columns],
      ],
      run: (x, t) => dotRows(x, t, order),
      forward: (r: Round, x?: Numbers, t?: Numbers) =>
        Float64Array.from(indices, (index, entry) => {
          let sum = 0;
          for (let c = 0; c < columns; c++) {
            sum = r(sum + r(x![Math.floor(entry / count) * columns + c]! * t![index * columns + c]!));
          }
          return sum;
        }),
      backward: (r: Round, d: Numbers, x?: Numbers, t?: Numbers) => {
        const [dx, dt] = [new Float64Array(rows * columns), new Float64Array(length * columns)];
        indices.forEach((index, entry) => {
          for (let c = 0; c < columns; c++) {
            const from = Math.floor(entry / count) * columns + c;
            dx[from] = r(dx[from]! + r(d[entry]! * t![index * columns + c]!));
            dt[index * columns + c] = r(dt[index * columns + c]! + r(d[entry]! * x![from]!));
          }
        });
        return [dx, dt];
      },
    });
    order.dispose();
  });

  /** The gradient of a table as rows, where each entry of row r brings `weights[entry]·d[r]`. */
  const gradientOf = async (own: readonly number[], tableLength: number, columns: number, device = on.device) => {
    const per = 2;
    const n = own.length / per;
    const results = scope(() => {
      const table = tensor(uniform(1, tableLength * columns), [tableLength, columns], {
        device,
        requiresGradient: true,
      });
      const weights = tensor(uniform(2, own.length), [n, per], { device });
      const out = weighRows(weights, table, tensor(Int32Array.from(own), [n, per], { device }));
      const d = tensor(uniform(3, n * columns), [n, columns], { device });
      const [sparse] = gradients([out], [table], [d], { rows: true }) as [RowGradient];
      const [dense] = gradients([out], [table], [d]);
      return { sparse, dense: dense! };
    });
    const { sparse, dense } = results;
    const data = {
      shape: sparse.shape,
      indices: [...(await sparse.indices.data())],
      rows: await sparse.rows.data(),
      dense: await dense.data(),
    };
    disposeAll(results);
    return data;
  };

  test('the gradient of a table is that of the distinct rows that were read, ascending', async () => {
    const found = await gradientOf([4, 0, 4, 7, 7, 7, 10, 4, 3, 0, 1, 4], 11, 5);
    expect(found.shape).toEqual([11, 5]);
    // as many places as the table has rows, for it was read more often
    expect(found.indices).toEqual([0, 1, 3, 4, 7, 10, 11, 11, 11, 11, 11]);
    found.indices.forEach((index, slot) => {
      const want = index === 11 ? new Float32Array(5) : found.dense.subarray(5 * index, 5 * index + 5);
      expectSameBits(`row ${index}`, found.rows.subarray(5 * slot, 5 * slot + 5), want);
    });
    const few = await gradientOf([90, 2, 2, 90], 100, 5);
    expect(few.indices).toEqual([2, 90, 100, 100]);
    const one = await gradientOf([6, 6], 7, 3);
    expect(one.indices).toEqual([6, 7]);
  });

  test('equal bits for every number of threads, and for hot rows', async () => {
    const next = generator(5);
    // one row in two reads, and thousands of others
    const own = Array.from({ length: 40_000 }, () => (next() < 0.5 ? 17 : Math.floor(next() * 5000)));
    const [one, ...others] = await withThreads(on.kind, [1, 2, 3], (device) => gradientOf(own, 5000, 40, device));
    for (const other of others) {
      expect(other.indices).toEqual(one!.indices);
      expectSameBits('rows', other.rows, one!.rows);
    }
  });

  test('gradients from several places add up: rows with rows, rows with all', async () => {
    const [columns, tableLength] = [4, 20];
    const results = scope(() => {
      const table = tensor(uniform(1, tableLength * columns), [tableLength, columns], {
        device: on.device,
        requiresGradient: true,
      });
      const ones = tensor([1, 1], [1, 2], { device: on.device });
      const [a, b] = [weighRows(ones, table, list([3, 9], [1, 2])), weighRows(ones, table, list([9, 12], [1, 2]))];
      const d = tensor([1, 2, 3, 4], [1, columns], { device: on.device });
      const other = tensor([5, 6, 7, 8], [1, columns], { device: on.device });
      const [both] = gradients([a, b], [table], [d, other], { rows: true }) as [RowGradient];
      const whole = tensor(uniform(5, table.size), table.shape, { device: on.device });
      const [dense] = gradients([a, table], [table], [d, whole], { rows: true }) as [Tensor];
      const [asked, twice] = gradients([a], [table, table], [d], { rows: true }) as [RowGradient, RowGradient];
      return { both, dense, asked, twice };
    });
    const { both, dense, asked, twice } = results;
    expect([...(await both.indices.data())]).toEqual([3, 9, 12, 20]);
    expect([...(await both.rows.data())]).toEqual([1, 2, 3, 4, 6, 8, 10, 12, 5, 6, 7, 8, 0, 0, 0, 0]);
    expect([...(await asked.rows.data())]).toEqual([...(await twice.rows.data())]);
    const want = uniform(5, tableLength * columns);
    [3, 9].forEach((row) => [1, 2, 3, 4].forEach((value, c) => (want[row * columns + c]! += value)));
    expectSameBits('all', await dense.data(), want);
    disposeAll(results);
  });

  test('as many bytes as were read are touched, however long the table is', () => {
    const bytesOf = (tableLength: number): number =>
      scope(() => {
        const table = tensor(new Float32Array(tableLength * 8), [tableLength, 8], {
          device: on.device,
          requiresGradient: true,
        });
        const weights = tensor(uniform(2, 12), [4, 3], { device: on.device });
        const before = on.device.counters.bytesMoved;
        const out = weighRows(weights, table, list(indices, [4, 3]));
        gradients([out], [table], [out], { rows: true });
        return on.device.counters.bytesMoved - before;
      });
    expect(bytesOf(100_000)).toBe(bytesOf(1000));
  });

  test('refusals', () => {
    scope(() => {
      const table = tensor([1, 2, 3, 4, 5, 6], [3, 2], { device: on.device });
      const weights = tensor([1, 1], [1, 2], { device: on.device });
      expect(() => weighRows(weights, table, list([0, 3], [1, 2]))).toThrow(
        'weighRows: indices must be from 0 to 2 (axis 0 of table=[3,2]); got 3 at [0,1].',
      );
      expect(() => weighRows(weights, table, list([0, 1], [2, 1]))).toThrow(
        'weights and indices must be [...,n]; got weights=[1,2], indices=[2,1].',
      );
      expect(() => dotRows(weights, list([1, 2], [1, 2]), list([0], [1, 1]))).toThrow(
        'dotRows: table must be f32, f16 or bf16; got i32.',
      );
      expect(() => dotRows(weights, table, list([0, 1], [2, 1]))).toThrow('got x=[1,2], table=[3,2], indices=[2,1].');
      expect(() => weighRows(weights, tensor([1, 2], [2], { device: on.device }), list([0, 1], [1, 2]))).toThrow(
        'weighRows: table must be [N,D]; got table=[2].',
      );
      expect(() => weighRows(weights, table, list([0, 1], [1, 2]), { rows: true } as never)).toThrow('unknown option');
    });
  });
});

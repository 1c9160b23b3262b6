import { expect, test } from 'vitest';
import { gatherRows, scatterRows } from '../../src/ops/gather-rows.js';
import { disposeAll, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import type { Numbers } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { checkOperation, type Round } from '../support/operation.js';

onEveryDevice((on) => {
  const list = (indices: readonly number[], shape: readonly number[]): Tensor =>
    tensor(Int32Array.from(indices), shape, { device: on.device });

  // rows left out, repeated and in another order, of each matrix its own
  const indices = [2, 0, 2, 1, 4, 4, 4, 3];
  const [rows, columns, count] = [5, 3, 4];
  const from = (at: number): number => {
    const [matrix, row] = [Math.floor(at / (count * columns)), Math.floor(at / columns)];
    return (matrix * rows + indices[row]!) * columns + (at % columns);
  };

  test('picks rows of each matrix, and adds gradients up', async () => {
    const order = list(indices, [2, count]);
    await checkOperation(on.device, {
      name: 'gatherRows',
      shapes: [[2, rows, columns]],
      run: (x) => gatherRows(x, order),
      forward: (_: Round, x?: Numbers) =>
        Float64Array.from({ length: indices.length * columns }, (_v, at) => x![from(at)]!),
      backward: (r: Round, d: Numbers) => {
        const dx = new Float64Array(2 * rows * columns);
        for (let at = 0; at < d.length; at++) dx[from(at)] = r(dx[from(at)]! + d[at]!);
        return [dx];
      },
    });
    order.dispose();
  });

  test('adds rows of each matrix up, and picks gradients', async () => {
    const order = list(indices, [2, count]);
    await checkOperation(on.device, {
      name: 'scatterRows',
      shapes: [[2, count, columns]],
      run: (x) => scatterRows(x, order, rows),
      forward: (r: Round, x?: Numbers) => {
        const out = new Float64Array(2 * rows * columns);
        for (let at = 0; at < x!.length; at++) out[from(at)] = r(out[from(at)]! + x![at]!);
        return out;
      },
      backward: (_: Round, d: Numbers) => [
        Float64Array.from({ length: indices.length * columns }, (_v, at) => d[from(at)]!),
      ],
    });
    order.dispose();
  });

  test('works on whole numbers', async () => {
    const [x, order] = [list([1, 2, 3, 4, 5, 6], [1, 3, 2]), list([2, 0], [1, 2])];
    const picked = gatherRows(x, order);
    expect([...(await picked.data())]).toEqual([5, 6, 1, 2]);
    disposeAll([x, order, picked]);
  });

  test('refuses other leading axes and rows that are not there', () => {
    scope(() => {
      const x = list([1, 2, 3, 4, 5, 6], [1, 3, 2]);
      expect(() => gatherRows(x, list([0, 1], [2, 1]))).toThrow('got x=[1,3,2], indices=[2,1]');
      expect(() => scatterRows(x, list([0, 1, 1], [1, 3]), 2)).toThrow('must be f32, f16 or bf16; got i32');
      const y = tensor([1, 2, 3, 4, 5, 6], [1, 3, 2], { device: on.device });
      expect(() => scatterRows(y, list([0, 1], [1, 2]), 2)).toThrow('got x=[1,3,2], indices=[1,2]');
      expect(() => scatterRows(y, list([0, 1, 2], [1, 3]), 2)).toThrow('must be from 0 to 1 (2 rows); got 2 at [0,2]');
      expect(() => gatherRows(x, list([0, 3], [1, 2]))).toThrow(
        'indices must be from 0 to 2 (axis 1 of x=[1,3,2]); got 3 at [0,1]',
      );
    });
  });
});

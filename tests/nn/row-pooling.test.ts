import { expect, test } from 'vitest';
import { pooled, pooledRows, type RowPooling } from '../../src/nn/row-pooling.js';
import { scope, tensor } from '../../src/tensor/index.js';
import { onEveryDevice } from '../support/devices.js';

const pooling: RowPooling = { kind: 'mean', separateClass: true, truncate: true };

onEveryDevice((on) => {
  // by hand: the class is doubled in front, and then the last row is left out (modeling_funnel.py, pool_tensor)
  test.each([
    ['an odd number: the last row is left out, its partner stands alone', 5, undefined, [10, 25, 40], [10, 25, 45]],
    ['an even number', 6, undefined, [10, 25, 45], [10, 25, 45]],
    ['padding is a partner', 6, [4], [10, 25, 45], [10, 25, 40]],
  ])('as published, %s', async (_, rows, lengths, published, own) => {
    const of = async (rule: RowPooling): Promise<number[]> => {
      const out = scope(() => {
        const x = tensor(
          Float32Array.from({ length: rows }, (__, i) => 10 * (i + 1)),
          [1, rows, 1],
          { device: on.device },
        );
        return pooled(x, rule, lengths);
      });
      const data = Array.from(await out.data());
      out.dispose();
      return data;
    };
    expect(await of({ ...pooling, asPublished: true })).toEqual(published);
    expect(await of(pooling)).toEqual(own);
    expect(pooledRows(rows, pooling)).toBe(3);
  });
});

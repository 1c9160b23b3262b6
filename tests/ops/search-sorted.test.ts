// of kernels/sort/search

import { expect, test } from 'vitest';
import { searchSorted } from '../../src/ops/index.js';
import { disposeAll, tensor } from '../../src/tensor/index.js';
import { onEveryDevice } from '../support/devices.js';
import { generator } from '../support/random.js';

onEveryDevice((on) => {
  test.each([1, 2, 3, 16, 31, 100])('among %i numbers: how many are at most a value', async (n) => {
    const next = generator(n);
    const rows = [0, 1, 2].map(() => Float32Array.from({ length: n }, () => Math.floor(8 * next())).sort());
    const asked = rows.map(() => Float32Array.from({ length: 21 }, (_, i) => (i === 20 ? NaN : i / 2 - 1)));
    const [sorted, values] = [
      tensor(Float32Array.from(rows.flatMap((row) => [...row])), [3, n], { device: on.device }),
      tensor(Float32Array.from(asked.flatMap((row) => [...row])), [3, 21], { device: on.device }),
    ];
    const found = searchSorted(sorted, values);
    const want = rows.flatMap((row, r) => [...asked[r]!].map((value) => row.filter((x) => x <= value).length));
    expect([...(await found.data())]).toEqual(want);
    disposeAll([sorted, values, found]);
  });

  test('refuses rows that do not fit, and what is not f32', () => {
    const [a, b] = [tensor([1, 2], [1, 2], { device: on.device }), tensor([1, 2], [2, 1], { device: on.device })];
    const integers = tensor(Int32Array.of(1), [1, 1], { device: on.device });
    expect(() => searchSorted(a, b)).toThrow('sorted must be [...,n] and values [...,m]');
    expect(() => searchSorted(a, integers)).toThrow('must be f32; got i32. Use cast first');
    disposeAll([a, b, integers]);
  });
});

import { expect, test } from 'vitest';
import { mixer } from '../../src/models/index.js';
import { normal } from '../../src/core/random.js';
import { influence } from '../../src/studies/influence.js';
import { expectClose } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';

const sizes = { features: 4, heads: 2, headDim: 2, length: 6, causal: false };

onEveryDevice((on) => {
  test('of S x H: |S_ij| times the length of the move of row j times H', async () => {
    const kind = mixer('linear-encoder');
    const { rows, columns, values } = await influence(on.device, kind, sizes, {}, 3);
    expect([rows, columns]).toEqual([6, 6]);
    const own = kind.create(sizes).initialise({ device: on.device, seed: 3 });
    const [S, H] = await Promise.all(['rows', 'features'].map((name) => own.namedParameters().get(name)!.value.data()));
    own.dispose();
    const [x, move] = ['influence x', 'influence move'].map((purpose) => normal(3, purpose, 24));
    const timesH = (data: Float32Array, j: number): number[] =>
      [0, 1, 2, 3].map((f) => [0, 1, 2, 3].reduce((sum, e) => sum + data[4 * j + e]! * H![4 * e + f]!, 0));
    const want = Float64Array.from({ length: 36 }, (_, place) => {
      const moved = Math.hypot(...timesH(move!, place % 6)) / Math.sqrt(4);
      return Math.abs(S![place]!) * moved;
    });
    // sums of 6 and of 4 products, each rounded, of moved rows and of others, whose difference is divided by 0.1
    const largest = (data: ArrayLike<number>): number => Math.max(...Array.from(data, Math.abs));
    const size = 6 * 4 * largest(S!) * largest(H!) * (largest(x!) + 0.1 * largest(move!));
    expectClose('influence', values, want, { budget: (2 * (6 + 4 + 2) * 2 ** -24 * size) / 0.1 });
  });

  test('causal mixing leaves no trace of later rows; fewer rows come out of more; zeros add nothing', async () => {
    const { values } = await influence(on.device, mixer('synthesizer'), { ...sizes, causal: true }, {}, 1);
    for (let i = 0; i < 6; i++) {
      for (let j = 0; j < 6; j++) expect(values[6 * i + j]! > 0, `${i} ${j}`).toBe(j <= i);
    }
    const few = await influence(on.device, mixer('token-learner'), sizes, { tokens: 2 }, 1);
    expect([few.rows, few.columns]).toEqual([2, 6]);
    const back = await influence(on.device, mixer('token-fuser'), sizes, { tokens: 2 }, 1);
    expect([back.rows, back.columns]).toEqual([6, 2]);
    expect(back.values.every((value) => value === 0)).toBe(true);
  });
});

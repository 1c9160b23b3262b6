import { describe, expect, it } from 'vitest';
import { extendPositions, learnedPositions, sinusoidal, type SinusoidalOptions } from '../../src/positions/index.js';
import { gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { budgetOf } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';

onEveryDevice((on) => {
  const read = async (make: () => Tensor): Promise<number[]> => {
    const out = scope(make);
    const values = Array.from(await out.data());
    out.dispose();
    return values;
  };
  const given = (values: ArrayLike<number>, shape: number[]): Tensor =>
    tensor(values, shape, { device: on.device, requiresGradient: true });

  describe('sinusoidal', () => {
    const row = async (variant: SinusoidalOptions['variant'], dim = 8): Promise<number[]> =>
      read(() => sinusoidal(1, dim, { ...(variant && { variant }), offset: 1, device: on.device }));
    const close = (got: readonly number[], want: readonly number[]): void => {
      expect(got).toHaveLength(want.length);
      // published in f32, each an ulp off at most
      want.forEach((value, i) => expect(Math.abs(got[i]! - value)).toBeLessThanOrEqual(2 ** -24));
    };

    it('gives the worked numbers of every variant at position 1', async () => {
      const [s0, c0, s1, c1] = [0.8414709568, 0.5403023362, 0.0998334214, 0.9950041771];
      const [s2, c2, s3, c3] = [0.0099998331, 0.9999499917, 0.0009999999, 0.9999995232];
      close(await row('paper'), [s0, c0, s1, c1, s2, c2, s3, c3]);
      close(await row(undefined), [s0, c0, s1, c1, s2, c2, s3, c3]);
      close(await row('transformer-xl'), [s0, s1, s2, s3, c0, c1, c2, c3]);
      const slower = [0.0463992283, 0.0021544332, 0.0000999999, 0.9989229441, 0.9999976754, 1];
      const [a, b, c, d, e, f] = slower as [number, number, number, number, number, number];
      close(await row('tensor2tensor'), [s0, a, b, c, c0, d, e, f]);
      close(await row('tensor2tensor', 9), [s0, a, b, c, c0, d, e, f, 0]);
      close(await row('tensor2tensor', 2), [s0, c0]);
    });

    it('has products that depend on differences, and squares D/2', async () => {
      for (const variant of ['paper', 'transformer-xl', 'tensor2tensor'] as const) {
        const table = await read(() => sinusoidal([7, 2, 1007, 1002], 64, { variant, device: on.device }));
        const dot = (a: number, b: number): number =>
          Array.from({ length: 64 }, (_, i) => table[64 * a + i]! * table[64 * b + i]!).reduce((x, y) => x + y, 0);
        const budget = 64 * 2 * budgetOf([1]);
        expect(Math.abs(dot(0, 1) - dot(2, 3))).toBeLessThan(budget);
        expect(Math.abs(dot(2, 2) - 32)).toBeLessThan(budget);
      }
    });

    it.each<[string, () => unknown, RegExp]>([
      [
        'an odd size',
        () => sinusoidal(3, 7, { device: on.device }),
        /even whole number of at least 2 for variant "paper"; got 7/,
      ],
      ['no length', () => sinusoidal(0, 8, { device: on.device }), /length must be a whole number of at least 1/],
      ['no positions', () => sinusoidal([], 8, { device: on.device }), /one or more finite numbers/],
      ['an infinite position', () => sinusoidal([Infinity], 8, { device: on.device }), /finite numbers/],
      ['a variant nobody knows', () => sinusoidal(3, 8, { variant: 't2t' as never }), /must be "paper", .*got "t2t"/],
      ['a base of 1', () => sinusoidal(3, 8, { base: 1 }), /base must be a number above 1; got 1/],
    ])('refuses %s', (_, run, message) => expect(run).toThrow(message));
  });

  describe('learnedPositions', () => {
    const numbered = (rows: number): Tensor =>
      given(
        Array.from({ length: rows * 2 }, (_, i) => Math.floor(i / 2)),
        [rows, 2],
      );
    const rowsOf = (values: number[]): number[] => values.filter((_, i) => i % 2 === 0);

    it('reads the rows from the offset on, for a length or for positions', async () => {
      expect(rowsOf(await read(() => learnedPositions(numbered(6), 3)))).toEqual([0, 1, 2]);
      expect(rowsOf(await read(() => learnedPositions(numbered(6), 4, { offset: 2 })))).toEqual([2, 3, 4, 5]);
      const restarting = Int32Array.of(0, 1, 2, 0, 1, 3);
      const positions = (): Tensor => tensor(restarting, [2, 3], { device: on.device });
      expect(rowsOf(await read(() => learnedPositions(numbered(6), positions(), { offset: 2 })))).toEqual([
        2, 3, 4, 2, 3, 5,
      ]);
    });

    it('sends gradients to the rows it read', async () => {
      const got = await read(() => {
        const table = numbered(4);
        const positions = tensor(Int32Array.of(0, 1, 0), [3], { device: on.device });
        const out = learnedPositions(table, positions, { offset: 1 });
        return gradients([out], [table], [tensor([1, 2, 3, 4, 5, 6], [3, 2], { device: on.device })])[0]!;
      });
      expect(got).toEqual([0, 0, 6, 8, 3, 4, 0, 0]);
    });

    it('repeats the learned rows behind the reserved ones, as from RoBERTa to Longformer', async () => {
      const extended = rowsOf(await read(() => extendPositions(numbered(514), 4098, { reserved: 2 })));
      expect(extended).toHaveLength(4098);
      expect(extended.slice(0, 3)).toEqual([0, 1, 2]);
      // row 2 + t is row 2 + (t mod 512)
      expect(extended.every((row, i) => i < 2 || row === 2 + ((i - 2) % 512))).toBe(true);
      expect(rowsOf(await read(() => extendPositions(numbered(3), 8)))).toEqual([0, 1, 2, 0, 1, 2, 0, 1]);
    });

    it.each<[string, (table: Tensor) => unknown, RegExp]>([
      [
        'a length beyond the table',
        (t) => learnedPositions(t, 5, { offset: 2 }),
        /holds positions 0 … 3 from row 2 on; got a length of 5/,
      ],
      [
        'a position beyond it',
        (t) => scope(() => learnedPositions(t, tensor(Int32Array.of(1, 4), [2], { device: on.device }), { offset: 2 })),
        /learnedPositions: .*\b4\b/,
      ],
      [
        'a position before 0',
        (t) => scope(() => learnedPositions(t, tensor(Int32Array.of(-1), [1], { device: on.device }), { offset: 2 })),
        /learnedPositions: .*-1/,
      ],
      [
        'an offset beyond it',
        (t) => learnedPositions(t, 1, { offset: 6 }),
        /offset must be a whole number from 0 to 5; got 6/,
      ],
      ['fewer rows', (t) => extendPositions(t, 5), /rows must be a whole number of at least 6; got 5/],
      [
        'only reserved rows',
        (t) => extendPositions(t, 8, { reserved: 6 }),
        /reserved must be a whole number from 0 to 5; got 6/,
      ],
      [
        'no table',
        (t) =>
          scope(() =>
            learnedPositions(
              t.pipe((x) => tensor([1], [1], { device: x.device })),
              1,
            ),
          ),
        /table must be \[P,D\]; got table=\[1\]/,
      ],
    ])('refuses %s', (_, run, message) => {
      const table = numbered(6);
      expect(() => run(table)).toThrow(message);
      table.dispose();
    });
  });
});

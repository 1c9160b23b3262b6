// of kernels/rotate, positions/{angles,frequencies,permute,rotate}

import { describe, expect, it } from 'vitest';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import { attend, reshape } from '../../src/ops/index.js';
import { permuteRopeWeight, rope, ropePermutation } from '../../src/positions/index.js';
import { gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { rope as oracle } from '../oracles/positions.js';
import { budgetOf, expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { checkOperation, exact } from '../support/operation.js';
import { normal } from '../support/random.js';

const range = (length: number, first = 0): number[] => Array.from({ length }, (_, i) => first + i);
const layouts = ['half', 'interleaved'] as const;

onEveryDevice((on) => {
  const read = async (make: () => Tensor): Promise<ArrayLike<number>> => {
    const out = scope(make);
    const values = await out.data();
    out.dispose();
    return values;
  };
  const given = (values: ArrayLike<number>, shape: number[]): Tensor => tensor(values, shape, { device: on.device });

  describe('rope', () => {
    it('gives the worked numbers of both layouts at position 3', async () => {
      const worked = {
        half: [-1.6955925, 0.1375517, 2.7886815, 3.9759822, -4.8088427, 6.3230596, 7.0868368, 8.0119638],
        interleaved: [-1.2722325, -1.838865, 1.6839286, 4.7079067, 4.8177772, 6.1472778, 6.9759684, 8.0209646],
      };
      for (const layout of layouts) {
        const got = await read(() => rope(given(range(8, 1), [1, 8]), { offset: 3, layout }));
        worked[layout].forEach((value, i) => expect(got[i]).toBeCloseTo(value, 5));
      }
    });

    // one pair, tails of every vector width, several blocks of rows, a partial rotation
    const sizes: readonly [number[], number][] = [
      [[1, 2], 2],
      [[2, 3, 5, 6], 6],
      [[2, 2, 7, 34], 34],
      [[1, 3, 70, 40], 26],
      [[2, 1, 300, 8], 4],
      [[3, 1, 64], 64],
    ];
    for (const layout of layouts) {
      it.each(sizes)(`${layout}: agrees with the formula for %j, %i components turning`, async (shape, turned) => {
        const [rows, columns] = shape.slice(-2) as [number, number];
        const count = shape.slice(0, -2).reduce((a, b) => a * b, 1);
        const offset = 1000;
        const problem = { layout, columns, turned, positions: range(count * rows).map((r) => offset + (r % rows)) };
        await checkOperation(on.device, {
          name: `rope ${layout} ${String(shape)}`,
          shapes: [shape],
          run: (x) => rope(x, { offset, layout, rotaryDim: turned }),
          forward: (r, x) => oracle(r, problem, x),
          backward: (r, d) => [oracle(r, problem, d, -1)],
        });
      });
    }

    it('agrees where a call has several tasks of rows and of heads, with a table for each entry', async () => {
      const [B, H, L, D] = [2, 8, 600, 64];
      const x = normal(9, B * H * L * D);
      const positions = range(B * L).map((i) => (i * 37) % 5000);
      const rows = range(B * H * L).map((r) => positions[Math.floor(r / (H * L)) * L + (r % L)]!);
      const problem = { layout: 'half' as const, columns: D, turned: D, positions: rows };
      const got = await read(() => rope(given(x, [B, H, L, D]), { positions }));
      expectClose('tasks', got, oracle(exact, problem, x), { budget: oracle(Math.fround, problem, x) });
    });

    it('takes positions for each row, and for each entry of the first axis', async () => {
      const x = normal(1, 2 * 3 * 4 * 8);
      const shared = [9, 0, 9, 250];
      const own = [...shared, 5, 130, 2 ** 20, 1];
      const rowsOf = (positions: number[]): number[] =>
        range(2 * 3 * 4).map((r) =>
          positions.length === 4 ? positions[r % 4]! : positions[4 * Math.floor(r / 12) + (r % 4)]!,
        );
      for (const positions of [shared, own]) {
        const problem = { layout: 'half' as const, columns: 8, turned: 8, base: 500, positions: rowsOf(positions) };
        const got = await read(() => rope(given(x, [2, 3, 4, 8]), { positions, base: 500 }));
        expectClose('positions', got, oracle(exact, problem, x), { budget: oracle(Math.fround, problem, x) });
      }
    });

    it('is exact to rounding at a million, where angles in f32 are off by a hundredth', async () => {
      const x = normal(2, 64);
      const positions = [1_048_575];
      const problem = { layout: 'half' as const, columns: 64, turned: 64, positions };
      const got = await read(() => rope(given(x, [1, 64]), { positions }));
      expectClose('far', got, oracle(exact, problem, x), { budget: oracle(Math.fround, problem, x) });
    });

    it('keeps norms, is the identity at position 0, and adds up', async () => {
      const x = normal(3, 5 * 16);
      const at = (position: number): { positions: number[] } => ({ positions: new Array<number>(5).fill(position) });
      expectSameBits('identity', await read(() => rope(given(x, [5, 16]), at(0))), x);
      const twice = await read(() => rope(rope(given(x, [5, 16]), at(300)), at(77)));
      const once = await read(() => rope(given(x, [5, 16]), at(377)));
      const squares = (values: ArrayLike<number>): number[] => Array.from(values, (value) => value * value);
      const total = (values: ArrayLike<number>): number => squares(values).reduce((a, b) => a + b, 0);
      // two roundings of every number instead of one
      expectClose('sum of angles', twice, once, { budget: 2 * budgetOf(once) });
      // every square is off by two roundings of a pair's
      expect(Math.abs(total(twice) / total(x) - 1)).toBeLessThan(16 * 2 ** -24);
    });

    it('makes scores depend on differences of positions, alike in both layouts after the permutation', async () => {
      const [q, k] = [normal(4, 64), normal(5, 64)];
      const score = async (p: number, r: number, layout: 'half' | 'interleaved'): Promise<number> => {
        const row = (values: Float32Array, position: number): Promise<ArrayLike<number>> =>
          read(() => {
            const x = given(values, [64]);
            const own = layout === 'half' ? x : permuteRopeWeight(x, { heads: 1, headDim: 64, to: 'interleaved' });
            return rope(reshape(own, [1, 64]), { offset: position, layout });
          });
        const [a, b] = [await row(q, p), await row(k, r)];
        return range(64).reduce((sum, i) => sum + a[i]! * b[i]!, 0);
      };
      const all = await Promise.all([
        score(3, 1, 'half'),
        score(1003, 1001, 'half'),
        score(3, 1, 'interleaved'),
        score(500, 498, 'interleaved'),
      ]);
      // a component of either row is off by two roundings of the pair's norm, and a pair's norms bound its part of the sum
      const norm = (x: Float32Array, i: number): number => Math.hypot(x[i]!, x[i + 32]!);
      const size = range(32).reduce((sum, i) => sum + norm(q, i) * norm(k, i), 0);
      for (const one of all) expect(Math.abs(one - all[0])).toBeLessThan(8 * 2 ** -24 * size);
    });

    it('keeps the dtype of halves, rounding once', async () => {
      const x = Float32Array.from(normal(6, 3 * 8), (value) => Math.round(value * 64) / 64);
      for (const dtype of ['f16', 'bf16'] as const) {
        const got = await read(() => {
          const turned = rope(tensor(x, [3, 8], { device: on.device, dtype }), { offset: 2 });
          expect(turned.dtype).toBe(dtype);
          return turned;
        });
        const stored = await read(() => rope(given(x, [3, 8]), { offset: 2 }));
        expectClose(dtype, got, stored, { budget: (dtype === 'f16' ? 2 ** -11 : 2 ** -8) * 4 });
      }
    });

    it('differentiates through attention, and gives equal bits for any number of threads', async () => {
      const x = normal(7, 2 * 130 * 16);
      const [one, many] = await withThreads(on.kind, [1, 3], async (device) => {
        const [dx] = scope(() => {
          const leaf = tensor(x, [1, 2, 130, 16], { device, requiresGradient: true });
          const turned = rope(leaf);
          const { out } = attend(turned, turned, leaf, { causal: true });
          return gradients([out], [leaf], [tensor(normal(8, out.size), out.shape, { device })]);
        });
        const values = await dx!.data();
        dx!.dispose();
        return values;
      });
      expectSameBits('threads', many!, one!);
      expect(one!.every(Number.isFinite)).toBe(true);
    });

    it.each<[string, (x: Tensor) => unknown, new (message: string) => Error, RegExp]>([
      [
        'a negative offset',
        (x) => rope(x, { offset: -1 }),
        OptionError,
        /offset must be a whole number of at least 0; got -1/,
      ],
      ['half a position', (x) => rope(x, { positions: [0, 1.5] }), OptionError, /got 1\.5 in row 1/],
      ['positions that do not fit', (x) => rope(x, { positions: [1] }), ShapeError, /got 1 for x=\[2,6\]/],
      ['both', (x) => rope(x, { positions: [0, 1], offset: 2 }), OptionError, /not both/],
      ['an odd rotaryDim', (x) => rope(x, { rotaryDim: 3 }), OptionError, /even whole number from 2 to 2\^20; got 3/],
      ['more than there is', (x) => rope(x, { rotaryDim: 8 }), OptionError, /at most D; got rotaryDim=8/],
      [
        'an unknown layout',
        (x) => rope(x, { layout: 'pairs' as never }),
        OptionError,
        /"half" or "interleaved"; got "pairs"/,
      ],
      ['a misspelt option', (x) => rope(x, { ofset: 1 } as never), OptionError, /did you mean "offset"/],
      ['a base of 1', (x) => rope(x, { base: 1 }), OptionError, /base must be a number above 1/],
    ])('refuses %s', (_, run, type, message) => {
      const x = given(range(12), [2, 6]);
      expect(() => run(x)).toThrow(type);
      expect(() => run(x)).toThrow(message);
      x.dispose();
    });
  });

  describe('permuteRopeWeight', () => {
    it('moves rows as published, and back', async () => {
      const w = range(2 * 6 * 3);
      const options = { heads: 2, headDim: 6, rotaryDim: 4 } as const;
      const half = await read(() => permuteRopeWeight(given(w, [12, 3]), { ...options, to: 'half' }));
      const rows = range(12).map((row) => half[3 * row]! / 3);
      expect(rows).toEqual([0, 2, 1, 3, 4, 5, 6, 8, 7, 9, 10, 11]);
      const back = await read(() => permuteRopeWeight(given(half, [12, 3]), { ...options, to: 'interleaved' }));
      expect(Array.from(back)).toEqual(w);
    });

    it('names what does not fit', () => {
      const w = given(range(12), [6, 2]);
      expect(() => permuteRopeWeight(w, { heads: 2, headDim: 4, to: 'half' })).toThrow(
        /\[8,\.\.\.\]; got weight=\[6,2\]/,
      );
      w.dispose();
      expect(() => ropePermutation({ heads: 2, headDim: 5, to: 'half' })).toThrow(/even; got 5/);
      expect([...ropePermutation({ heads: 1, headDim: 8, to: 'half' })]).toEqual([0, 2, 4, 6, 1, 3, 5, 7]);
    });
  });
});

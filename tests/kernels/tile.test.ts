import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Kernel } from '../../src/codegen/kernel.js';
import { accumulators, multiplyTile, registerTile, rowGroups } from '../../src/kernels/tile.js';
import { generator } from '../support/random.js';
import { onEveryTarget } from '../support/targets.js';

/** Numbers of an operand from one step, and from one row or vector, to the next. */
interface Layout {
  readonly step: number;
  readonly stride: number;
}
interface Product {
  readonly rows: number;
  readonly vectors: number;
  /** undefined: known only when the kernel runs. */
  readonly depth: number | undefined;
  readonly a: Layout;
  /** Vectors of b lie `stride` vectors apart. */
  readonly b: Layout;
  readonly skipZeros: 'a' | 'b' | undefined;
  readonly initial: boolean;
}

const MAX_DEPTH = 13;
const products = fc.sample(
  fc.record<Product>({
    rows: fc.constantFrom(1, 2, 3, 4, 6),
    vectors: fc.constantFrom(1, 2, 4),
    depth: fc.option(fc.constantFrom(0, 1, 3, 4, 5, 8, MAX_DEPTH), { nil: undefined }),
    // rows beside each other, or steps beside each other
    a: fc.constantFrom({ step: 1, stride: MAX_DEPTH }, { step: 7, stride: 1 }, { step: 1, stride: 17 }),
    b: fc.constantFrom({ step: 64, stride: 1 }, { step: 130, stride: 2 }),
    skipZeros: fc.constantFrom('a', 'b', undefined, undefined),
    initial: fc.boolean(),
  }),
  { seed: 9, numRuns: 24 },
);
const LONGEST = 2048;
/** Numbers of a result: rows times vectors times lanes. */
const RESULT = 6 * 4 * 16;

/** Arguments a, b, what is added to, the results, and the depth where it is not constant. */
const multiply: Kernel = {
  name: 'products of tiles',
  key: '',
  parameters: ['pointer', 'pointer', 'pointer', 'pointer', 'i32'],
  cpu: (k) => {
    const [a, b, initial, out] = [0, 1, 2, 3].map((i) => k.parameter(i, 'pointer'));
    const depth = k.parameter(4, 'i32');
    const { width } = k;
    products.forEach((p, n) => {
      const at = (r: number, v: number): number => 4 * width * (r * p.vectors + v);
      const c = accumulators(k, p.rows, p.vectors, p.initial ? (r, v) => k.loadVF(initial!, at(r, v)) : undefined);
      const left = { pointer: a!, step: 4 * p.a.step, stride: 4 * p.a.stride };
      const right = { pointer: b!, step: 4 * p.b.step, stride: 4 * width * p.b.stride };
      multiplyTile(k, c, left, right, p.depth ?? depth, p.skipZeros);
      c.forEach((row, r) => row.forEach((sum, v) => k.store(out!, sum, 4 * RESULT * n + at(r, v))));
    });
  },
};

function product(
  p: Product,
  width: number,
  depth: number,
  a: Float32Array,
  b: Float32Array,
  initial: Float32Array,
): number[] {
  const sums: number[] = [];
  for (let r = 0; r < p.rows; r++) {
    for (let v = 0; v < p.vectors; v++) {
      for (let lane = 0; lane < width; lane++) {
        let sum = p.initial ? initial[sums.length]! : 0;
        for (let i = 0; i < depth; i++) {
          const left = a[i * p.a.step + r * p.a.stride]!;
          const right = b[i * p.b.step + v * width * p.b.stride + lane]!;
          const weight = p.skipZeros === 'a' ? left : right;
          if (p.skipZeros === undefined || weight !== 0) sum += left * right;
        }
        sums.push(sum);
      }
    }
  }
  return sums;
}

/** Small whole numbers, whose sums are exact in any order and fused or not; `wild` of them are NaN or infinite. */
function wholeNumbers(seed: number, wild: number): Float32Array {
  const next = generator(seed);
  const draw = (): number => {
    if (next() < wild) return [NaN, Infinity, -Infinity][Math.floor(3 * next())]!;
    return next() < 0.4 ? (next() < 0.5 ? 0 : -0) : Math.floor(9 * next()) - 4;
  };
  return Float32Array.from({ length: LONGEST }, draw);
}

const groups: Kernel = {
  name: 'groups of rows',
  key: '',
  parameters: ['pointer', 'i32'],
  cpu: (k) => {
    const [out, count] = [k.parameter(0, 'pointer'), k.parameter(1, 'i32')];
    [1, 3, 4, 6].forEach((rows, n) => {
      for (const [m, known] of [undefined, 0, 1, 5, 12, 13].entries()) {
        const lines = k.variable('i32', 0);
        const to = k.offset(out, 256 * (6 * n + m));
        rowGroups(k, known ?? count, rows, (first, size) => {
          k.store(k.offset(to, lines, 8), first);
          k.store(k.offset(to, lines, 8), k.constant('i32', size), 4);
          k.assign(lines, k.add(lines, 1));
        });
      }
    });
  },
};

onEveryTarget((target) => {
  const { width } = target;
  test.each([
    ['finite', 0],
    ['some NaN and infinite', 0.03],
  ])(`${products.length} products of tiles: %s`, (_, wild) => {
    const [a, b, initial] = [1, 2, 3].map((seed) => wholeNumbers(seed, seed === 3 ? 0 : wild)) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    for (const depth of [0, 1, 3, 4, 7, MAX_DEPTH]) {
      const out = new Float32Array(RESULT * products.length);
      target.run(multiply, [a, b, initial, out, depth]);
      products.forEach((p, n) => {
        const want = product(p, width, p.depth ?? depth, a, b, initial);
        const got = [...out.subarray(RESULT * n, RESULT * n + want.length)];
        // + 0: the sign of a zero depends on the order
        expect(
          got.map((x) => x + 0),
          `${JSON.stringify(p)}, depth ${depth}`,
        ).toEqual(want.map((x) => x + 0));
      });
    }
  });

  test('groups of rows take every row once, in order', () => {
    for (const count of [0, 1, 2, 3, 6, 7, 11, 12, 23]) {
      const out = new Int32Array(64 * 24).fill(-1);
      target.run(groups, [out, count]);
      [1, 3, 4, 6].forEach((rows, n) => {
        [undefined, 0, 1, 5, 12, 13].forEach((known, m) => {
          const total = known ?? count;
          const whole = Math.floor(total / rows);
          const want = Array.from({ length: whole }, (_, i) => [i * rows, rows]);
          const rest = total - whole * rows;
          // what is left is one group where its size is known, else single rows
          if (known !== undefined && rest > 0) want.push([whole * rows, rest]);
          else for (let row = whole * rows; row < total; row++) want.push([row, 1]);
          const got = [...out.subarray(64 * (6 * n + m), 64 * (6 * n + m) + 2 * want.length + 2)];
          expect(got, `${total} in groups of ${rows}`).toEqual([...want.flat(), -1, -1]);
        });
      });
    }
  });
});

describe('a register tile', () => {
  test.each([
    [4, 16],
    [8, 16],
    [16, 32],
  ])('of %i lanes leaves room for its operands in %i registers', (width, registers) => {
    const { rows, vectors } = registerTile(width);
    const used = rows * vectors + vectors + 1;
    expect(used).toBeLessThanOrEqual(registers);
    // and is worth its loads: at least as many products as a quarter of the registers
    expect(rows * vectors).toBeGreaterThanOrEqual(registers / 2);
  });
});

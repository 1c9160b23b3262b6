import { expect, test } from 'vitest';
import { polysketch } from '../../../src/attention/kernel-methods/index.js';
import { sketchParameters, type SketchOptions } from '../../../src/attention/kernel-methods/sketch.js';
import { gate } from '../../contract/gate/index.js';
import * as oracles from '../../oracles/polynomial.js';
import { normal } from '../../support/random.js';
import { sweep } from '../../support/full.js';

const excuse = 'weights of hidden pairs are zeros in a plain product';
const small = { sketchSize: 4, blockSize: 5 } as const;
const powers = [2, 4, 8] as const;
const sketches = ['random', 'hadamard', 'learned'] as const;

/** Columns of x that are copied to every pair of numbers: products of the two are x ⊗ x, without a sketch. */
const everyPair = (name: string, [, rows, columns]: readonly number[]): Float32Array | undefined =>
  name === 'projection1'
    ? Float32Array.from({ length: 2 * rows! * columns! }, (_, n) => {
        const [side, row, column] = [
          Math.floor(n / (rows! * columns!)),
          Math.floor(n / columns!) % rows!,
          n % columns!,
        ];
        const picked = side === 0 ? Math.floor(column / rows!) : column % rows!;
        // theirs divide products by √r
        return row === picked ? columns! ** 0.25 : 0;
      })
    : undefined;

gate(polysketch, {
  oracle: oracles.polysketch,
  options: [
    small,
    { ...small, layerNorm: false, scaling: 'released', eps: 0.1 },
    { ...small, sketch: 'hadamard', blockSize: 0 },
    { ...small, sketch: 'learned' },
    { ...small, power: 8, blockSize: 6 },
    { ...small, power: 2 },
  ],
  exactWhen: [
    // one block
    { options: { blockSize: 17, sketchSize: 4, layerNorm: false }, causal: true, equals: exactly },
    {
      // 16^¼ is a whole number
      options: { sketchSize: 16, layerNorm: false, blockSize: 4 },
      shape: { D: 4 },
      parameters: everyPair,
      equals: exactly,
    },
    { options: { power: 2, layerNorm: false, blockSize: 4 }, equals: exactly },
  ],
  weights: 'positive',
  nanSpreads: { future: excuse },
  refused: [
    { options: { power: 3 } },
    { options: { power: 6 } },
    { options: { power: 8, sketch: 'learned' } },
    { options: { sketch: 'hadamard' }, shape: { D: 12 } },
  ],
  draw: (next, { D }) => {
    const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
    const sketch = pick(sketches.filter((one) => one !== 'hadamard' || Number.isInteger(Math.log2(D))));
    return {
      sketch,
      power: sketch === 'learned' ? 4 : pick(powers),
      sketchSize: pick([2, 4]),
      blockSize: pick([0, 3, 7, 64]),
      layerNorm: next() < 0.7,
      scaling: pick(['theory', 'released'] as const),
      eps: next(),
    };
  },
});

function exactly(...args: Parameters<typeof oracles.polynomial>): ReturnType<typeof oracles.polynomial> {
  return oracles.polynomial(...args);
}

/** Σ_c of the two projections of x and y, as often as there are drawn sketches of size r: estimates of (x·y)². */
function estimates(
  sketch: SketchOptions['sketch'],
  r: number,
  scaling: SketchOptions['scaling'],
  count: number,
): number[] {
  const D = 8;
  const options: SketchOptions = { power: 4, sketch, sketchSize: r, scaling };
  const { shape, init } = sketchParameters(D, options)['projection1']!;
  const [x, y] = [normal(5, D), normal(6, D)];
  const factor = scaling === 'theory' ? r : r * r;
  const along = (G: Float32Array, side: number, c: number, z: Float32Array): number =>
    z.reduce((sum, value, row) => sum + value * G[(side * D + row) * r + c]!, 0);
  return Array.from({ length: count }, (_, seed) => {
    const G = init(shape, seed, 'test');
    let sum = 0;
    for (let c = 0; c < r; c++) sum += along(G, 0, c, x) * along(G, 1, c, x) * along(G, 0, c, y) * along(G, 1, c, y);
    return sum / factor / x.reduce((dot, value, i) => dot + value * y[i]!, 0) ** 2;
  });
}

const mean = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0) / x.length;

test.each(['random', 'hadamard'] as const)(
  '%s sketches of degree 2 are unbiased, or 1/r of it as released',
  (sketch) => {
    for (const [scaling, want] of [
      ['theory', 1],
      ['released', 1 / 8],
    ] as const) {
      const found = estimates(sketch, 8, scaling, 20_000);
      const average = mean(found);
      const error = Math.sqrt(mean(found.map((x) => (x - average) ** 2)) / found.length);
      expect(Math.abs(average - want)).toBeLessThan(3 * error);
    }
  },
);

sweep('the squared error of a sketch falls as 1/r', () => {
  const sizes = [4, 16, 64, 256];
  const errors = sizes.map((r) => Math.log(mean(estimates('random', r, 'theory', 4000).map((x) => (x - 1) ** 2))));
  const slope = (errors.at(-1)! - errors[0]!) / (Math.log(sizes.at(-1)!) - Math.log(sizes[0]!));
  expect(Math.abs(slope + 1)).toBeLessThan(0.1);
});

import { uniform } from '../../core/random.js';
import { add, gelu, layerNorm, map, matmul, mul, reshape, slice, tanh } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import {
  constantOf,
  drawn,
  learned,
  normalOf,
  uniformOf,
  type Initialiser,
  type ParameterSpecs,
} from '../parameters.js';

/** Sketches of the polynomial kernel of half the power. */
export interface SketchOptions {
  readonly power: number;
  readonly sketch: 'random' | 'hadamard' | 'learned';
  readonly sketchSize: number;
  readonly scaling: 'theory' | 'released';
}

type Parameters = Readonly<Record<string, Tensor>>;

// of learned sketches, as released: levels of a norm and two layers, the first of which is wider than the sketch
const levels = [1, 2] as const;
const expansion = 8;

/** Numbers of a sketched row; power 2 needs no sketch. */
export const sketchWidth = (D: number, { power, sketchSize }: SketchOptions): number => (power === 2 ? D : sketchSize);

/** Matrices of each level, the first of which have D rows: two for every product. */
const matrices = ({ power }: SketchOptions): readonly number[] =>
  Array.from({ length: Math.log2(power / 2) }, (_, level) => power / 2 ** (level + 1));

export function sketchParameters(D: number, options: SketchOptions): ParameterSpecs {
  const { sketch, sketchSize: r } = options;
  if (sketch === 'learned') {
    const wide = expansion * r;
    const level = (index: number, from: number): ParameterSpecs => ({
      [`normWeight${index}`]: learned([2, 1, from], constantOf(1)),
      [`normBias${index}`]: learned([2, 1, from], constantOf(0)),
      [`expand${index}`]: learned([2, from, wide], uniformOf(from ** -0.5)),
      [`contract${index}`]: learned([2, wide, r], uniformOf(wide ** -0.5)),
    });
    return Object.assign({}, ...levels.map((index) => level(index, index === 1 ? D : r))) as ParameterSpecs;
  }
  const init = sketch === 'random' ? normalOf() : hadamardColumns;
  return Object.fromEntries(
    matrices(options).map((count, level) => [`projection${level + 1}`, drawn([count, level === 0 ? D : r, r], init)]),
  );
}

/** Multiply-adds of a row. */
export function sketchCost(D: number, options: SketchOptions): number {
  const { sketch, sketchSize: r } = options;
  if (sketch === 'learned') return 2 * expansion * r * (D + 3 * r);
  return matrices(options).reduce((sum, count, level) => sum + count * (level === 0 ? D : r) * r, 0);
}

/**
 * Rows `[B, heads, n, r]` whose inner products estimate the power/2-th power of those of x `[B, heads, n, D]`. A product of two
 * sketches of the degree before, each through a matrix of its own, is one of twice the degree.
 */
export function sketched(x: Tensor, parameters: Parameters, options: SketchOptions): Tensor {
  const [B, heads, n, D] = x.shape as [number, number, number, number];
  const { sketchSize: r, scaling } = options;
  let rows = reshape(x, [B, heads, 1, n, D]);
  if (options.sketch === 'learned') {
    for (const level of levels) rows = layers(rows, parameters, level); // [B, heads, 2, n, r]
    return reshape(mul(tanh(products(rows, r ** -0.5)), Math.sqrt(r)), [B, heads, n, r]);
  }
  matrices(options).forEach((_, level) => {
    rows = products(matmul(rows, parameters[`projection${level + 1}`]!), scaling === 'theory' ? r ** -0.5 : 1 / r);
  });
  return reshape(rows, [B, heads, n, sketchWidth(D, options)]);
}

/** `factor` times the product of neighbours in axis 2. */
const products = (x: Tensor, factor: number): Tensor =>
  map((a, b) => a.mul(b).mul(factor), slice(x, { axis: 2, step: 2 }), slice(x, { axis: 2, start: 1, step: 2 }));

function layers(x: Tensor, parameters: Parameters, level: number): Tensor {
  const of = (name: string): Tensor => parameters[`${name}${level}`]!;
  const normed = add(mul(layerNorm(x), of('normWeight')), of('normBias'));
  return matmul(gelu(matmul(normed, of('expand'))), of('contract'));
}

/** Columns, sampled with replacement, of D·H: the Hadamard matrix with random signs of its rows, a power of two of them. */
const hadamardColumns: Initialiser = (shape, seed, purpose) => {
  const [count, rows, columns] = shape as [number, number, number];
  const signs = uniform(seed, `${purpose} signs`, count * rows);
  const picked = uniform(seed, `${purpose} columns`, count * columns);
  return Float32Array.from({ length: count * rows * columns }, (_, n) => {
    const [matrix, row] = [Math.floor(n / (rows * columns)), Math.floor(n / columns) % rows];
    const column = Math.floor(rows * picked[matrix * columns + (n % columns)]!);
    return (signs[matrix * rows + row]! < 0.5 ? -1 : 1) * parity(row & column);
  });
};

/** −1 for an odd number of ones. */
function parity(bits: number): 1 | -1 {
  let odd = false;
  for (let rest = bits; rest > 0; rest &= rest - 1) odd = !odd;
  return odd ? -1 : 1;
}

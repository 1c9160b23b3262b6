import { constant, select, type F32 } from '../../codegen/expression/index.js';
import { concat, layerNorm, map, matmul, mul, neg, relu, slice, softmax, symmetricSquare } from '../../ops/index.js';
import { pairsOfRow } from '../../kernels/symmetric-square.js';
import { full, type Tensor } from '../../tensor/index.js';
import type { AttentionShape } from '../options.js';
import { constantOf, identity, learned, uniformOf, type ParameterSpecs } from '../parameters.js';

/** A call as a feature map sees it. */
interface Mapped {
  readonly scale: number;
  readonly parameters: Readonly<Record<string, Tensor>>;
  readonly nu: number;
}

/** How rows of D numbers become features. */
export interface FeatureMap {
  readonly count: (D: number, nu: number) => number;
  readonly parameters?: (shape: AttentionShape) => ParameterSpecs;
  /** Features of queries or of keys, `[B, heads, rows, count]`. */
  readonly of: (x: Tensor, side: 'q' | 'k', call: Mapped) => Tensor;
  /** Multiply-adds of a row, beside the sums. */
  readonly rowCost?: (D: number) => number;
}

const elementwise = (f: (x: F32) => F32): FeatureMap => ({ count: (D) => D, of: (x) => map(f, x) });

const columns = (parts: readonly Tensor[]): Tensor => concat(parts, { axis: -1 });

/** Products with a learned matrix of each head, `queryMap` `[H, D, D]` and `keyMap` `[G, D, D]`. */
const projected =
  (after: (x: Tensor) => Tensor): FeatureMap['of'] =>
  (x, side, { parameters }) =>
    after(matmul(x, parameters[side === 'q' ? 'queryMap' : 'keyMap']!, { transposeB: true }));

/** Numbers before or after those of the same row, which is a ring: element j is what j − steps was. */
const turned = (x: Tensor, steps: number): Tensor => {
  const n = x.shape.at(-1)!;
  return columns([slice(x, { axis: -1, start: n - steps }), slice(x, { axis: -1, end: n - steps })]);
};

/** All but exp(x), which would overflow: its exponents are attended to. */
export const featureMaps = {
  elu1: elementwise((x) => select(x.gt(0), x.add(1), x.exp())),
  relu: elementwise((x) => x.max(constant(0, 'f32'))),
  softmax: { count: (D) => D, of: (x) => softmax(x) },
  dpfp: {
    count: (D, nu) => 2 * D * nu,
    of: (x, _, { nu }) => {
      const both = columns([relu(x), relu(neg(x))]); // [B, heads, rows, 2D]
      return columns(Array.from({ length: nu }, (__, i) => mul(both, turned(both, i + 1))));
    },
  },
  hedgehog: {
    count: (D) => 2 * D,
    parameters: ({ H, G, D }) => ({ queryMap: learned([H, D, D], identity), keyMap: learned([G, D, D], identity) }),
    of: projected((y) => softmax(mul(columns([y, neg(y)]), 2))),
    rowCost: (D) => D * D,
  },
  t2r: {
    count: (D) => D,
    parameters: ({ H, G, D }) => ({
      queryMap: learned([H, D, D], uniformOf(D ** -0.5)),
      keyMap: learned([G, D, D], uniformOf(D ** -0.5)),
    }),
    of: projected(relu),
    rowCost: (D) => D * D,
  },
  taylor: {
    count: (D) => 1 + D + pairsOfRow(D),
    of: (x, side, { scale }) => {
      const y = side === 'q' ? mul(x, scale) : x;
      const one = full([...x.shape.slice(0, -1), 1], 1, { device: x.device });
      return columns([one, y, mul(symmetricSquare(y), Math.SQRT1_2)]);
    },
  },
  rebased: {
    count: pairsOfRow,
    parameters: ({ D }) => ({ weight: learned([D], constantOf(1)), bias: learned([D], constantOf(0)) }),
    of: (x, side, { scale, parameters: { weight, bias } }) => {
      const y = layerNorm(x, { weight: weight!, bias: bias! });
      return symmetricSquare(side === 'q' ? mul(y, scale) : y);
    },
  },
} as const satisfies Readonly<Record<string, FeatureMap>>;

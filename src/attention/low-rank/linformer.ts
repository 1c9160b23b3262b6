import { attend, matmul, pad, reshape, segmentMax, segmentMean } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { choice, integer, type AttentionShape, type OptionValues } from '../options.js';
import { drawn, learned, normalOf, uniformOf, type ParameterSpec } from '../parameters.js';
import { firstOf, withoutPadding } from './padding.js';

const options = {
  projectedLength: integer({
    min: 1,
    default: ({ S }) => Math.min(256, Math.ceil(S / 4)),
    help: 'rows that keys and values are projected to',
  }),
  method: choice(['learned', 'meanPool', 'maxPool', 'convolution', 'fixedGaussian'], {
    default: 'learned',
    help: 'how the length is projected',
  }),
  sharing: choice(['none', 'headwise', 'kv', 'layerwise'], {
    default: 'headwise',
    help: 'a projection for every head; one for keys and one for values; one for both; one for all layers',
  }),
  maxLength: integer({ min: 1, default: ({ S }) => S, help: 'keys that projections are learned for' }),
};
type Values = OptionValues<typeof options>;

/** Attention to keys and values whose length is projected to a fixed number of rows. */
export const linformer = defineAttention({
  name: 'linformer',
  family: 'low-rank',
  summary: 'Keys and values are projected along the length to a fixed number of rows, which every query attends to.',
  paper: {
    authors: 'Wang et al.',
    title: 'Linformer: Self-Attention with Linear Complexity',
    year: 2020,
    arxiv: '2006.04768',
  },
  formula: 'out = softmax(scale · q (PᵀK)ᵀ) (RᵀV),  P, R [n, k]',
  complexity: 'n·k·d',
  exactness: 'learned',
  relativeToPaper:
    'inputs shorter than maxLength use the first rows of a projection, and padding is cut off before it. With sharing by layers the caller passes one parameter to every layer; inside a layer it is the same as sharing between keys and values. Not causal: every projected row holds all positions.',
  options,
  supports: { causal: false, cross: true, padding: true, score: false, groupedHeads: true, decode: false },
  parameters: parametersOf,
  refuse: ({ S, D, E }, values) => [
    ...(S > values.maxLength ? [`maxLength must be at least the ${S} keys; got ${values.maxLength}`] : []),
    ...(pools(values) && values.projectedLength > S
      ? [`projectedLength must be at most the ${S} keys that ${values.method} divides; got ${values.projectedLength}`]
      : []),
    ...(values.method === 'convolution' && oneForBoth(values) && D !== E
      ? [`one convolution for keys and values needs one head size; got D=${D} and E=${E}; use sharing "headwise"`]
      : []),
  ],
  cost: ({ B, H, G, L, S, D, E }, values) => {
    const rows = projectedRows(values, S);
    const projecting = {
      learned: S * rows * (D + E),
      fixedGaussian: S * rows * (D + E),
      convolution: rows * stride(values) * (D * D + E * E),
      meanPool: 0,
      maxPool: 0,
    }[values.method];
    return { pairs: H * L * rows, multiplyAdds: B * (G * projecting + H * L * rows * (D + E)) };
  },
  forward: (call) => ({
    out: withoutPadding(call, ({ q, k, v, length }) => {
      const { keyProjection, valueProjection = keyProjection } = call.parameters;
      const keys = project(call, k, length, keyProjection); // [B, G, k, D]
      const values = project(call, v, length, valueProjection); // [B, G, k, E]
      return attend(q, keys, values, { scale: call.scale }).out;
    }),
  }),
});

const pools = ({ method }: Values): boolean => method === 'meanPool' || method === 'maxPool';
const oneForBoth = ({ sharing }: Values): boolean => sharing === 'kv' || sharing === 'layerwise';
/** Rows that one row of a convolution is made of. */
const stride = ({ maxLength, projectedLength }: Values): number => Math.ceil(maxLength / projectedLength);

const projectedRows = (values: Values, length: number): number =>
  values.method === 'convolution' ? Math.ceil(length / stride(values)) : values.projectedLength;

function parametersOf({ G, D, E }: AttentionShape, values: Values): Readonly<Record<string, ParameterSpec>> {
  const { method, sharing, maxLength, projectedLength } = values;
  if (pools(values)) return {};
  const heads = sharing === 'none' ? [G] : [];
  const projection = (columns: number): ParameterSpec => {
    if (method === 'convolution') {
      const inputs = stride(values) * columns;
      return learned([...heads, inputs, columns], uniformOf(inputs ** -0.5));
    }
    const shape = [...heads, maxLength, projectedLength];
    return method === 'learned'
      ? learned(shape, uniformOf(projectedLength ** -0.5))
      : drawn(shape, normalOf(1 / projectedLength));
  };
  return { keyProjection: projection(D), ...(!oneForBoth(values) && { valueProjection: projection(E) }) };
}

/** `[B, G, length, columns]` → `[B, G, rows, columns]`. */
function project({ options: values }: Call<typeof options>, x: Tensor, length: number, projection?: Tensor): Tensor {
  const count = Math.min(values.projectedLength, length);
  switch (values.method) {
    case 'meanPool':
      return segmentMean(x, count);
    case 'maxPool':
      return segmentMax(x, count);
    case 'convolution':
      return convolved(x, stride(values), projectedRows(values, length), projection!);
    case 'learned':
    case 'fixedGaussian':
      return matmul(firstOf(projection!, -2, length), x, { transposeA: true });
    default:
      return values.method satisfies never;
  }
}

/** A convolution whose kernel is as long as its stride is a product with the rows of each window side by side. */
function convolved(x: Tensor, window: number, rows: number, kernel: Tensor): Tensor {
  const [B, G, length, columns] = x.shape as [number, number, number, number];
  const missing = rows * window - length;
  const filled =
    missing === 0
      ? x
      : pad(x, [
          [0, 0],
          [0, 0],
          [0, missing],
          [0, 0],
        ]);
  return matmul(reshape(filled, [B, G, rows, window * columns]), kernel);
}

import {
  add,
  concat,
  cumulativeSum,
  layerNorm,
  linearAttend,
  matmul,
  pad,
  reshape,
  slice,
  symmetricSquare,
} from '../../ops/index.js';
import { pairsOfRow } from '../../kernels/symmetric-square.js';
import { zeros, type Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { choice, integer, type AttentionShape, type OptionValues } from '../options.js';
import { byKeyHeads } from './by-heads.js';
import { linearCost } from './cost.js';
import { quotient, withOnes } from './divide.js';
import type { ParameterSpecs } from '../parameters.js';
import { realKeys } from '../real-keys.js';
import { normParameters, polynomialOptions, raised } from './polynomial.js';
import { sketchCost, sketched, sketchParameters, sketchWidth } from './sketch.js';

const options = {
  power: integer({ min: 2, default: 4, help: 'p: weights near (q·k)^p; 2, 4 or a higher power of two' }),
  sketch: choice(['random', 'hadamard', 'learned'], {
    default: 'random',
    help: 'products of Gaussian projections; of sampled columns of a Hadamard matrix with random signs; of learned layers',
  }),
  sketchSize: integer({ min: 1, default: 32, help: 'r: numbers of a sketched row, of which pairs are features' }),
  blockSize: integer({ min: 0, default: 256, help: 'causal: tokens that see each other with exact weights; 0: none' }),
  scaling: choice(['theory', 'released'], {
    default: 'theory',
    help: 'products of sketches divided by √r, which is unbiased, or by r, as in the released code',
  }),
  ...polynomialOptions,
};
type Options = OptionValues<typeof options>;
type Sketch = Call<typeof options>;

/** Polynomial attention in linear time: weights are squared products of sketched rows. */
export const polysketch = defineAttention({
  name: 'polysketch',
  family: 'kernel-methods',
  summary:
    'Weights (q·k)^p by squared products of sketched rows, in linear time; exact within blocks of causal attention.',
  paper: {
    authors: 'Kacham, Mirrokni, Zhong',
    title: 'PolySketchFormer: Fast Transformers via Sketching Polynomial Kernels',
    year: 2023,
    arxiv: '2310.01655',
  },
  formula:
    'out_i = Σ_j w_ij v_j / (eps + Σ_j w_ij),  w_ij = (q′_i·k′_j)², or (q_i·k_j)^p in one block;  x′ = (xG₁ ∘ xG₂)/√r for p = 4',
  complexity: 'n·(r²/2 + b)·d',
  exactness: 'biased',
  relativeToPaper:
    'scale is not used, as the formula has none. Products of pairs are kept once instead of twice. Sketches are unbiased unless scaling is released; their squares are not. Bidirectional attention has no exact blocks; nor has p = 2 a sketch. A Hadamard sketch of p > 4 samples its inner matrices too.',
  options,
  supports: { causal: true, cross: true, padding: true, score: false, groupedHeads: true, decode: 'recurrent' },
  parameters: parametersOf,
  refuse: ({ D }, { power, sketch, sketchSize }) => {
    const whole = (x: number): boolean => Number.isInteger(Math.log2(x));
    const sizes = sketch === 'hadamard' && power > 2 ? [D, ...(power > 4 ? [sketchSize] : [])] : [];
    return [
      !whole(power) && `power must be 2, 4 or a higher power of two, as sketches are of half of it; got ${power}`,
      sketch === 'learned' && power !== 4 && `a learned sketch is of power 4; got ${power}; take a random one`,
      !sizes.every(whole) &&
        `a Hadamard sketch is of rows of a power of two; got ${sizes.join(' and ')} numbers; take a random one`,
    ].filter((fault) => typeof fault === 'string');
  },
  cost: (shape, options, causal) => {
    const { B, H, G, L, S, D, E } = shape;
    const M = featuresOf(D, options);
    const b = blockOf(shape, options, causal);
    const rows = b === 0 || Math.max(L, S) > b ? B * (H * L + G * S) * sketchCost(D, options) : 0;
    if (b === 0) return { multiplyAdds: rows + linearCost(shape, M).multiplyAdds };
    const blocks = Math.ceil(Math.max(L, S) / b);
    const near = H * blocks * b * (D + E + 1);
    const far = (H + G) * (blocks - 1) * M * (E + 1);
    return { multiplyAdds: rows + B * b * (near + far) };
  },
  forward: (call) => {
    const { shape, options, causal } = call;
    const { B, H, G, L, S, D, E } = shape;
    const b = blockOf(shape, options, causal);
    const M = featuresOf(D, options);
    const states = b === 0 ? 0 : 2 * Math.ceil(Math.max(L, S) / b) * M * (E + 1);
    const bytes = 4 * B * ((M + 2 * b) * (H / G) * L + M * S + states);
    return { out: byKeyHeads(call, bytes, (part) => (b === 0 ? attendFar(part).out : attendBlocks(part, b))) };
  },
  recurrence: {
    step: (call, state, start) =>
      call.options.blockSize === 0 ? attendFar(call, state) : stepBlocks(call, state, start),
  },
});

type States = Readonly<Record<string, Tensor>>;

const featuresOf = (D: number, options: Options): number => pairsOfRow(sketchWidth(D, options));

/** Tokens of a block, no more than there are; 0 without blocks. */
const blockOf = ({ L, S }: AttentionShape, { blockSize }: Options, causal: boolean): number =>
  causal ? Math.min(blockSize, Math.max(L, S)) : 0;

function parametersOf(shape: AttentionShape, options: Options): ParameterSpecs {
  const { layerNorm: normed, blockSize } = options;
  const { weight, bias } = normParameters(shape);
  return {
    ...(normed && { weight, bias }),
    ...(normed && blockSize > 0 && { localWeight: weight, localBias: bias }),
    ...sketchParameters(shape.D, options),
  };
}

/** Rows as sketches (`far`), or as exact weights in a block (`near`), take them. */
function normed(x: Tensor, { parameters }: Sketch, of: 'near' | 'far'): Tensor {
  const weight = parameters[of === 'far' ? 'weight' : 'localWeight'];
  const bias = parameters[of === 'far' ? 'bias' : 'localBias'];
  return weight && bias ? layerNorm(x, { weight, bias }) : x;
}

/** `[B, heads, n, M]`: products of two are squared products of sketches. */
const features = (x: Tensor, call: Sketch): Tensor =>
  symmetricSquare(sketched(normed(x, call, 'far'), call.parameters, call.options));

/** Sketched weights for all pairs. */
function attendFar(call: Sketch, state?: States): { readonly out: Tensor; readonly state: States } {
  const { q, v, causal, lengths, options } = call;
  const { out, state: sums } = linearAttend(features(q, call), features(realKeys(call.k, lengths), call), v, {
    causal,
    eps: options.eps,
    ...(lengths && { lengths }),
    ...(state?.['sums'] && { initialState: state['sums'] }),
  });
  return { out, state: { sums } };
}

/** Exact weights within blocks of b positions, of which the last row is the last token; sketched ones for the blocks before. */
function attendBlocks(call: Sketch, b: number): Tensor {
  const { shape, lengths, options } = call;
  const { B, H, G, L, S, E } = shape;
  const n = Math.max(L, S);
  const blocks = Math.ceil(n / b);
  // rows of 0 before the shorter of queries and keys, and after both: they have no weight
  const cut = (x: Tensor, groups: number): Tensor => {
    const [rows, columns] = x.shape.slice(2) as [number, number];
    const widths = [
      [0, 0],
      [0, 0],
      [n - rows, blocks * b - n],
      [0, 0],
    ] as const;
    return reshape(blocks * b === rows ? x : pad(x, widths), [B, G, groups, blocks, b, columns]);
  };
  const real = (x: Tensor): Tensor => realKeys(x, lengths);
  const [k, values] = [real(call.k), cut(withOnes(real(call.v)), 1)];
  const near = nearSums(
    cut(normed(call.q, call, 'near'), H / G),
    cut(real(normed(k, call, 'near')), 1),
    values,
    options,
  );
  const sums = blocks === 1 ? near : withFar(near);
  const rows = slice(reshape(sums, [B, H, blocks * b, E + 1]), { axis: 2, start: n - L, end: n });
  return quotient(rows, (weight) => weight.add(options.eps));

  function withFar(own: Tensor): Tensor {
    const before = (x: Tensor): Tensor => slice(x, { axis: 3, end: blocks - 1 });
    const keys = before(cut(real(features(k, call)), 1)); // [B, G, 1, blocks − 1, b, M]
    const states = cumulativeSum(matmul(keys, before(values), { transposeA: true }), { axis: 3 }); // […, M, E+1]
    const queries = slice(cut(features(call.q, call), H / G), { axis: 3, start: 1 });
    const far = matmul(queries, states); // [B, G, H/G, blocks − 1, b, E+1]
    return concat([slice(own, { axis: 3, end: 1 }), add(slice(own, { axis: 3, start: 1 }), far)], { axis: 3 });
  }
}

/** `Σ (q_i·k_j)^p [v_j, 1]` over the keys j ≤ i + keys − queries of a block, which are rows of the last two axes. */
function nearSums(q: Tensor, k: Tensor, values: Tensor, { power }: Options): Tensor {
  const first = k.shape.at(-2)! - q.shape.at(-2)!;
  return matmul(raised(matmul(q, k, { transposeB: true }), power, first), values);
}

/**
 * The next tokens. The state has the sums of all blocks that are full, `sums` `[B, G, M, E+1]`, and room for keys and values of the
 * last one.
 */
function stepBlocks(call: Sketch, state: States | undefined, start: number): { out: Tensor; state: States } {
  const { q, k, v, shape, options } = call;
  const { B, H, G, L, D, E } = shape;
  const b = options.blockSize;
  const sizes = [B, G, featuresOf(D, options), E + 1];
  let { sums = zeros(sizes, { device: q.device }), keys, values } = state ?? {};
  const parts: Tensor[] = [];
  for (let done = 0; done < L;) {
    const filled = (start + done) % b;
    const end = Math.min(L, done + b - filled);
    const rows = (x: Tensor): Tensor => slice(x, { axis: 2, start: done, end });
    const after = (x: Tensor | undefined, next: Tensor): Tensor =>
      filled === 0 ? next : concat([slice(x!, { axis: 2, end: filled }), next], { axis: 2 });
    keys = after(keys, rows(k));
    values = after(values, rows(withOnes(v)));
    const grouped = (x: Tensor): Tensor => reshape(x, [B, G, H / G, end - done, x.shape[3]!]);
    const alone = (x: Tensor): Tensor => reshape(x, [B, G, 1, ...x.shape.slice(2)]);
    const query = rows(q);
    const near = nearSums(
      grouped(normed(query, call, 'near')),
      alone(normed(keys, call, 'near')),
      alone(values),
      options,
    );
    const all = start + done < b ? near : add(near, matmul(grouped(features(query, call)), alone(sums)));
    parts.push(reshape(all, [B, H, end - done, E + 1]));
    if (filled + end - done === b) {
      sums = add(sums, matmul(features(keys, call), values, { transposeA: true }));
    }
    done = end;
  }
  const room = (x: Tensor): Tensor =>
    x.shape[2] === b
      ? x
      : pad(x, [
          [0, 0],
          [0, 0],
          [0, b - x.shape[2]!],
          [0, 0],
        ]);
  const out = quotient(concat(parts, { axis: 2 }), (weight) => weight.add(options.eps));
  return { out, state: { keys: room(keys!), values: room(values!), sums } };
}

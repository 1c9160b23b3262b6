import {
  add,
  attend,
  convolve,
  map,
  matmul,
  max,
  mul,
  pad,
  segmentMean,
  softmax,
  sum,
  transpose,
} from '../../ops/index.js';
import { tensor, type Tensor } from '../../tensor/index.js';
import { Lost } from '../lost.js';
import { defineAttention, type Call } from '../define.js';
import { choice, integer, type AttentionShape, type OptionValues } from '../options.js';
import { learned, uniformOf } from '../parameters.js';
import { firstOf, withoutPadding, type Whole } from './padding.js';
import { repeatHeads } from '../../ops/repeat-heads.js';

const options = {
  numLandmarks: integer({
    min: 0,
    default: ({ L, S }) => Math.min(64, L, S),
    help: 'segments of queries and of keys whose means stand for them; 0: as many as tokens, which is exact',
  }),
  iterations: integer({ min: 0, default: 6, help: 'steps of the iteration for the inverse; 20 converge' }),
  initial: choice(['exact', 'original'], {
    default: 'exact',
    help: 'divide the first inverse by a norm of each matrix, or by the largest of the batch as the paper’s code does',
  }),
  convolution: integer({
    min: 0,
    default: 0,
    help: 'rows of a learned convolution of v that is added to the output, an odd number; 0: none',
  }),
};
type Values = OptionValues<typeof options>;

/** Attention through means of segments of queries and keys, by the Nyström method. */
export const nystromformer = defineAttention({
  name: 'nystromformer',
  family: 'low-rank',
  summary: 'The weights are rebuilt from those between all tokens and a few segment means, by the Nyström method.',
  paper: {
    authors: 'Xiong et al.',
    title: 'Nyströmformer: A Nyström-Based Algorithm for Approximating Self-Attention',
    year: 2021,
    arxiv: '2102.03902',
  },
  formula:
    'out = softmax(s·q k̃ᵀ) · Z · (softmax(s·q̃ kᵀ) v) [+ w ∗ v],  Z ≈ softmax(s·q̃ k̃ᵀ)⁺,  q̃, k̃ means of m segments;  Z₀ = Aᵀ/‖A‖₁,  Z ← ¼Z(13I − AZ(15I − AZ(7I − AZ)))',
  complexity: 'n·m·d',
  exactness: 'biased',
  relativeToPaper:
    'any length: the first segments are one shorter where m does not divide it. Padding is cut off first, and with it the largest norm of the original start is that of one batch row. The convolution of v (kernels of 33 to 65 rows in published code) is off by default, because it is no approximation of attention. As many landmarks as tokens is exact attention, as in the paper’s code. Not causal: landmarks hold later tokens.',
  options,
  supports: { causal: false, cross: true, padding: true, score: false, groupedHeads: true, decode: false },
  parameters: ({ H }, { convolution }) =>
    (convolution === 0 ? {} : { kernel: learned([H, convolution], uniformOf(convolution ** -0.5)) }) as Readonly<
      Record<'kernel', ReturnType<typeof learned>>
    >,
  refuse: ({ L, S }, { numLandmarks, convolution }) => [
    ...(numLandmarks > Math.min(L, S)
      ? [`numLandmarks must be at most the ${Math.min(L, S)} tokens they are means of; got ${numLandmarks}`]
      : []),
    ...(convolution > 0 && convolution % 2 === 0 ? [`convolution must be odd or 0; got ${convolution}`] : []),
    ...(convolution > 0 && L !== S
      ? [`a convolution of v needs as many queries as keys; got L=${L} and S=${S}; use convolution 0`]
      : []),
  ],
  cost: (shape, values) => {
    const { B, H, L, S, D, E } = shape;
    const m = values.numLandmarks;
    const residual = L * E * values.convolution;
    if (isExact(shape, m)) return { pairs: H * L * S, multiplyAdds: B * H * (L * S * (D + E) + residual) };
    const inverse = m * m * (D + E) + 4 * values.iterations * m ** 3;
    return { pairs: H * m * (L + S), multiplyAdds: B * H * (m * (L + S) * (D + E) + inverse + residual) };
  },
  forward: (call) => {
    const { shape, options: values, parameters } = call;
    const { L, S } = shape;
    const lost = unseenLandmarks(shape, values);
    const out = withoutPadding(call, (part) => {
      // queries that are padding make no landmarks
      const queries = L === S ? part.length : L;
      const landmarks = Math.min(values.numLandmarks, queries, part.length);
      const approximate = isExact({ L: queries, S: part.length }, landmarks)
        ? attend(part.q, part.k, part.v, { scale: call.scale }).out
        : nystrom(call, part, queries, landmarks, lost);
      if (values.convolution === 0) return approximate;
      const local = convolve(repeatHeads(part.v, shape.H), parameters.kernel);
      return add(
        approximate,
        pad(local, [
          [0, 0],
          [0, 0],
          [0, L - part.length],
          [0, 0],
        ]),
      );
    });
    const exact = isExact(shape, values.numLandmarks);
    return { out, notes: exact ? ['as many landmarks as tokens: exact attention'] : lost.notes };
  },
});

const isExact = ({ L, S }: Pick<AttentionShape, 'L' | 'S'>, landmarks: number): boolean =>
  landmarks === 0 || (L === S && landmarks === L);

function nystrom(
  { scale, shape: { H }, options: values }: Call<typeof options>,
  part: Whole,
  queries: number,
  m: number,
  lost: Lost,
): Tensor {
  const { q, k, v } = part;
  const qm = segmentMean(firstOf(q, 2, queries), m); // [B, H, m, D]
  const km = repeatHeads(segmentMean(k, m), H); // [B, H, m, D]
  const landmarks = softmax(matmul(mul(qm, scale), km, { transposeB: true })); // [B, H, m, m]
  const columns = sum(landmarks, { axes: -2, keepDims: true }); // [B, H, 1, m]
  columns.device.guard(columns.buffer, (bytes) =>
    lost.add(new Float32Array(bytes.buffer, bytes.byteOffset, columns.size).filter((x) => x === 0).length),
  );
  const means = attend(qm, k, v, { scale }).out; // [B, H, m, E]
  const weighted = matmul(inverse(landmarks, columns, values), means); // [B, H, m, E]
  return attend(q, km, weighted, { scale }).out; // [B, H, L, E]
}

/** Counts columns of the landmarks' matrix that are 0: they have no inverse, and what they should give is 0. */
const unseenLandmarks = ({ B, H }: AttentionShape, { numLandmarks }: Values): Lost =>
  new Lost(
    (count) =>
      `${count} of ${B * H * numLandmarks} landmarks get no weight from any other within float32, and rows that attend to them are ` +
      'near 0; make queries and keys shorter, such as by a norm, or take fewer landmarks',
  );

/** The paper’s iteration for the pseudo-inverse of matrices whose rows sum to 1. */
function inverse(a: Tensor, columns: Tensor, { iterations, initial }: Values): Tensor {
  const m = a.shape.at(-1)!;
  const identity = tensor(
    Float32Array.from({ length: m * m }, (_, i) => (i % (m + 1) === 0 ? 1 : 0)),
    [m, m],
    { device: a.device, category: 'workspace' },
  );
  const norm = max(columns, { axes: initial === 'exact' ? -1 : [0, 1, 2, 3], keepDims: true }); // [B, H, 1, 1]
  const minus = (c: number, x: Tensor): Tensor => map((one, value) => one.mul(c).sub(value), identity, x);
  let z = map((x, n) => x.div(n), transpose(a), norm);
  for (let step = 0; step < iterations; step++) {
    const az = matmul(a, z);
    const inner = minus(13, matmul(az, minus(15, matmul(az, minus(7, az)))));
    z = mul(matmul(z, inner), 0.25);
  }
  return z;
}

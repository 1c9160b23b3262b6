import { constant, select } from '../../codegen/expression/index.js';
import { concat, map, matmul, mul, reshape, slice, softmax } from '../../ops/index.js';
import { scope, tensor, type Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { integer } from '../options.js';

/** Elements of f32 that no buffer holds: it has fewer than 2³² bytes. */
const largestTensor = 2 ** 30 - 32;

/** Attention as in a textbook: scores, softmax and product one after the other, with the n×n matrix in memory. */
export const standard = defineAttention({
  name: 'standard',
  family: 'exact',
  summary: 'Attention as in a textbook: scores, softmax and product one after the other, n×n matrices in memory.',
  paper: { authors: 'Vaswani et al.', title: 'Attention Is All You Need', year: 2017, arxiv: '1706.03762' },
  formula: 'out = softmax(scale · q kᵀ) v',
  complexity: 'n²·d',
  exactness: 'exact',
  relativeToPaper:
    'weights of hidden pairs are zeros in a product like any other, so NaN in a hidden value reaches every row; flash skips them.',
  options: {
    headsAtATime: integer({
      min: 1,
      default: ({ B, H, G, L, S }) => headsThatFit(H, H / G, B * L * S),
      help: 'query heads whose n×n matrices are in memory together; a multiple of the heads that share keys',
    }),
  },
  supports: { causal: true, cross: true, padding: true, score: false, groupedHeads: true, decode: 'cache' },
  refuse: ({ B, H, G, L, S }, { headsAtATime }) =>
    [
      !(H % headsAtATime === 0 && headsAtATime % (H / G) === 0) &&
        `headsAtATime must divide the ${H} heads and be a multiple of the ${H / G} that share keys; got ${headsAtATime}`,
      B * headsAtATime * L * S >= largestTensor &&
        `headsAtATime ${headsAtATime}: the n×n matrices have ${B * headsAtATime * L * S} elements, and a buffer holds ${largestTensor}: ` +
          `take fewer heads at a time, or at most ${Math.floor(Math.sqrt((largestTensor - 1) / (B * (H / G))))} positions`,
    ].filter((fault) => fault !== false),
  // every score is computed, seen or not
  cost: ({ B, H, L, S, D, E }) => ({ pairs: H * L * S, multiplyAdds: B * H * L * S * (D + E) }),
  forward: (call) => {
    const { q, k, v, shape, options } = call;
    const { H, G } = shape;
    const groups = H / options.headsAtATime;
    const cut = (x: Tensor, heads: number, i: number): Tensor =>
      groups === 1 ? x : slice(x, { axis: 1, start: (i * heads) / groups, end: ((i + 1) * heads) / groups });
    const parts = Array.from({ length: groups }, (_, i) =>
      scope(() => materialised(call, cut(q, H, i), cut(k, G, i), cut(v, G, i))),
    );
    return { out: groups === 1 ? parts[0]! : concat(parts, { axis: 1 }) };
  },
});

function headsThatFit(heads: number, sharing: number, perHead: number): number {
  for (let count = heads; count > sharing; count -= sharing) {
    if (heads % count === 0 && count * perHead < largestTensor) return count;
  }
  return sharing;
}

function materialised(call: Call, q: Tensor, k: Tensor, v: Tensor): Tensor {
  const { B, L, S, D, E } = call.shape;
  const [H, G] = [q.shape[1]!, k.shape[1]!];
  // the query heads of a group are rows of one product; scaling q costs n·D instead of n²
  const rows = reshape(mul(q, call.scale), [B, G, (H / G) * L, D]);
  const scores = hidden(reshape(matmul(rows, k, { transposeB: true }), [B, G, H / G, L, S]), call);
  const weights = reshape(softmax(scores), [B, G, (H / G) * L, S]);
  return reshape(matmul(weights, v), [B, H, L, E]);
}

/** Scores `[B, G, H/G, L, S]` with −∞ where the key may not be seen. */
function hidden(scores: Tensor, { q, causal, lengths, shape: { B, L, S } }: Call): Tensor {
  if (!causal && lengths === undefined) return scores;
  const { device } = q;
  const column = tensor(
    Float32Array.from({ length: L }, (_, i) => (causal ? i + S - L : S)),
    [L, 1],
    { device },
  );
  const row = tensor(
    Float32Array.from({ length: S }, (_, j) => j),
    [S],
    { device },
  );
  const limit = tensor(lengths ?? new Array<number>(B).fill(S), [B, 1, 1, 1, 1], { device });
  return map(
    (score, last, key, end) => select(key.le(last).and(key.lt(end)), score, constant(-Infinity, 'f32')),
    scores,
    column,
    row,
    limit,
  );
}

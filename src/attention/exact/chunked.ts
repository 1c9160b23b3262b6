import { lengths as padding, within } from '../../masks/index.js';
import { attend, cast, concat, mergeAttention, slice, type PartialAttention } from '../../ops/index.js';
import { recompute, scope, type Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { integer } from '../options.js';
import { allPairs } from '../pairs.js';

interface Stretch {
  readonly start: number;
  readonly end: number;
}

const stretches = (length: number, chunk: number): Stretch[] =>
  Array.from({ length: Math.ceil(length / chunk) }, (_, i) => ({
    start: i * chunk,
    end: Math.min(length, (i + 1) * chunk),
  }));

/** Exact attention chunk by chunk: each query chunk attends to one key chunk after the other, and the parts are merged. */
export const chunked = defineAttention({
  name: 'chunked',
  family: 'exact',
  summary: 'Exact attention over chunks of queries and keys whose partial results are merged by their log-sum-exp.',
  paper: {
    authors: 'Rabe, Staats',
    title: 'Self-attention Does Not Need O(n²) Memory',
    year: 2021,
    arxiv: '2112.05682',
  },
  formula: 'out_i = Σ_c exp(l_ic − l_i) out_ic,  l_i = log Σ_c exp(l_ic)  over key chunks c',
  complexity: 'n²·d',
  exactness: 'exact',
  relativeToPaper:
    'a chunk is computed by the fused kernel; a query chunk, not each pair of chunks, is computed again in the backward pass; a last chunk that is shorter is computed as it is.',
  options: {
    queryChunk: integer({ min: 1, default: 1024, help: 'queries of a chunk' }),
    keyChunk: integer({ min: 1, default: 4096, help: 'keys of a chunk' }),
  },
  supports: { causal: true, cross: true, padding: true, score: false, groupedHeads: true, decode: 'cache' },
  cost: (shape, _, causal) => allPairs(shape, causal),
  takesHalves: true,
  forward: (call) => {
    const { queryChunk, keyChunk } = call.options;
    const { L, S } = call.shape;
    const rows = stretches(L, queryChunk).map((queries) => {
      const [out, logsumexp] = recompute(
        (...given) => {
          // in f32, or every merge would round
          const [q, k, v] = given.map((x) => cast(x, 'f32')) as [Tensor, Tensor, Tensor];
          // the first chunk is computed even where it is hidden: it then gives (0, −∞)
          const parts = stretches(S, keyChunk)
            .filter((keys) => keys.start === 0 || !call.causal || keys.start < queries.end + S - L)
            .map((keys) => part({ ...call, q, k, v }, queries, keys));
          const merged = parts.reduce((a, b) => scope(() => mergeAttention(a, b)));
          return [cast(merged.out, call.q.dtype), merged.logsumexp];
        },
        [call.q, call.k, call.v],
      );
      return { out: out!, logsumexp: logsumexp! };
    });
    return {
      out: concat(
        rows.map(({ out }) => out),
        { axis: 2 },
      ),
      logsumexp: concat(
        rows.map(({ logsumexp }) => logsumexp),
        { axis: 2 },
      ),
    };
  },
});

function part(call: Call, queries: Stretch, keys: Stretch): PartialAttention {
  const { q, k, v, causal, scale, lengths, shape } = call;
  const { L, S } = shape;
  const [rows, columns] = [queries.end - queries.start, keys.end - keys.start];
  const cut = (x: Tensor, { start, end }: Stretch): Tensor => slice(x, { axis: 2, start, end });
  // key + keys.start ≤ i + queries.start + S − L, in a chunk whose rows are numbered i + columns − rows
  const shift = rows - columns + queries.start + S - L - keys.start;
  const past = within({ left: Infinity, right: shift });
  const real = lengths && padding(lengths.map((length) => Math.min(columns, Math.max(0, length - keys.start))));
  const mask = causal ? (real ? past.and(real) : past) : real;
  const parts = { q: cut(q, queries), k: cut(k, keys), v: cut(v, keys) };
  return attend(parts.q, parts.k, parts.v, { scale, ...(mask && { mask }) });
}

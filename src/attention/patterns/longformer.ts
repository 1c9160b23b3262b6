import { lookup, tableOf, type I32 } from '../../codegen/expression/index.js';
import { lengths as padding, mask, type Mask } from '../../masks/index.js';
import { attend, concat, gather, scatterAdd, slice, where, type PartialAttention } from '../../ops/index.js';
import { scope, tensor, zeros, type Tensor } from '../../tensor/index.js';
import { defineAttention, type Call, type ForwardResult } from '../define.js';
import { integer, integers } from '../options.js';
import { costOfPairs } from '../pairs.js';
import {
  headStretches,
  longformerMask,
  longformerPairs,
  type HeadStretch,
  type WindowOptions,
} from './longformer-masks.js';
import { placeScore } from './place-score.js';
import { overHeads } from './rows.js';

const options = {
  radius: integer({ min: 0, default: 256, help: 'keys on each side besides the query, before dilation' }),
  globals: integers({ min: 0, default: [0], help: 'positions of the global tokens' }),
  dilations: integers({
    min: 1,
    default: [1],
    help: 'step between the keys of the window: one for all, or one per head',
  }),
};

type Longformer = Call<typeof options, never, 'globalQ' | 'globalK' | 'globalV'>;

/** A sliding window, dilated in some heads, and global tokens that see and are seen by all, with projections of their own. */
export const longformer = defineAttention({
  name: 'longformer',
  family: 'patterns',
  summary: 'A sliding window for every token, and a few global tokens that see all and are seen by all.',
  paper: {
    authors: 'Beltagy, Peters, Cohan',
    title: 'Longformer: The Long-Document Transformer',
    year: 2020,
    arxiv: '2004.05150',
  },
  formula:
    'out_i = Σ_j softmax_j(scale · q_i·k_j) v_j over |i − j| ≤ radius or j ∈ G for i ∉ G; for i ∈ G over all j, with globalQ, globalK, globalV',
  complexity: 'n·(2r + 1 + 2g)·d',
  exactness: 'exact on its support',
  relativeToPaper:
    'causal attention takes global tokens too, where they are the first ones; the window of a causal query holds itself and radius tokens before it.',
  options,
  inputs: { globalQ: 'q', globalK: 'k', globalV: 'v' },
  supports: { causal: true, cross: false, padding: true, score: true, groupedHeads: true, decode: 'cache' },
  refuse: ({ H, S }, { globals, dilations }, causal) => {
    const outside = globals.filter((position) => position >= S);
    const prefix = new Set(globals);
    return [
      !causal && outside.length > 0 && `globals must be below the length ${S}; got ${outside.join(', ')}`,
      causal &&
        globals.some((position) => position >= prefix.size) &&
        `causal attention has global tokens at the start only: globals must be 0 … ${prefix.size - 1}; got ${globals.join(', ')}`,
      dilations.length !== 1 &&
        dilations.length !== H &&
        `dilations must be one for all heads, or ${H}; got ${dilations.length}`,
    ].filter((fault) => fault !== false);
  },
  pattern: ({ S }, { radius, globals, dilations }) =>
    longformerMask({ radius, globals: inside(globals, S) }, merged(dilations), 'all'),
  cost: (shape, { radius, globals, dilations }, causal) => {
    const window = { radius, globals: inside(globals, shape.S) };
    const perHead = dilations.map((dilation) => longformerPairs(shape, window, dilation, causal));
    return costOfPairs(shape, overHeads(shape.H, perHead));
  },
  takesHalves: true,
  forward: (call) => {
    const { q, k, v, inputs, shape, options } = call;
    const window = { radius: options.radius, globals: inside(options.globals, shape.S) };
    const own = inputs.globalQ !== q || inputs.globalK !== k || inputs.globalV !== v;
    const stretches = headStretches(options.dilations, shape);
    const parts = stretches.map((stretch) => ofHeads(call, window, stretch, own ? 'local' : 'all'));
    const all = parts.length === 1 ? parts[0]! : joined(parts);
    return own ? withGlobalRows(call, all, window.globals) : all;
  },
});

// under a causal mask a sequence may still be shorter than its prefix of global tokens
const inside = (globals: readonly number[], S: number): number[] =>
  [...new Set(globals)].filter((position) => position < S).sort((a, b) => a - b);

/** One for all heads where they are the same. */
const merged = (dilations: readonly number[]): readonly number[] =>
  new Set(dilations).size === 1 ? dilations.slice(0, 1) : dilations;

/** Attention of some of the heads. */
function ofHeads(
  call: Longformer,
  window: WindowOptions,
  stretch: HeadStretch,
  rows: 'all' | 'local',
): PartialAttention {
  const { q, k, v, shape, causal, scale, score, lengths } = call;
  const { start, end, dilations } = stretch;
  const pattern = longformerMask(window, dilations, rows);
  const options = { causal, scale, mask: lengths ? pattern.and(padding(lengths)) : pattern };
  if (end - start === shape.H) return attend(q, k, v, { ...options, ...(score && { score }) });
  const share = shape.H / shape.G;
  const cut = (x: Tensor, by: number): Tensor => slice(x, { axis: 1, start: start / by, end: end / by });
  const part = score && placeScore(score, shape, ({ h }) => ({ h: h.add(start) }));
  return scope(() => {
    const { out, logsumexp } = attend(cut(q, 1), cut(k, share), cut(v, share), {
      ...options,
      ...(part && { score: part }),
    });
    return { out, logsumexp };
  });
}

const joined = (parts: readonly PartialAttention[]): PartialAttention => ({
  out: concat(
    parts.map(({ out }) => out),
    { axis: 1 },
  ),
  logsumexp: concat(
    parts.map(({ logsumexp }) => logsumexp),
    { axis: 1 },
  ),
});

/** Puts the rows of global queries into `local`, where they are 0. */
function withGlobalRows(call: Longformer, local: PartialAttention, globals: readonly number[]): ForwardResult {
  const { inputs, shape, causal, scale, score, lengths, q } = call;
  const { L, S } = shape;
  const positions = globals.filter((position) => position >= S - L);
  if (positions.length === 0) return local;
  const { device } = q;
  const table = tableOf('globals', Int32Array.from(positions));
  // row i of the gathered queries has q = i + S − g
  const position = (x: I32): I32 => lookup(table, x.sub(S - positions.length));
  const past = causal ? mask((place) => place.k.le(position(place.q))) : undefined;
  const real = lengths && padding(lengths);
  const seen: Mask | undefined = past && real ? past.and(real) : (past ?? real);
  const change = score && placeScore(score, shape, (place) => ({ q: position(place.q) }));
  const rows = tensor(
    Int32Array.from(positions, (at) => at - (S - L)),
    [positions.length],
    { device },
  );
  const queries = gather(inputs.globalQ, rows, { axis: 2 });
  const global = attend(queries, inputs.globalK, inputs.globalV, {
    scale,
    ...(seen && { mask: seen }),
    ...(change && { score: change }),
  });
  const isGlobal = tensor(
    Float32Array.from({ length: L }, (_, i) => Number(positions.includes(i + S - L))),
    [L],
    { device },
  );
  const sums = scatterAdd(zeros(local.logsumexp.shape, { device }), rows, global.logsumexp, { axis: 2 });
  return {
    out: scatterAdd(local.out, rows, global.out, { axis: 2 }),
    logsumexp: where(isGlobal, sums, local.logsumexp),
  };
}

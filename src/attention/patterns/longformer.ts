import { lookup, tableOf, type I32 } from '../../codegen/expression/index.js';
import { memoised } from '../../core/memo.js';
import { mask, type Mask, type Place } from '../../masks/index.js';
import {
  add,
  attend,
  cast,
  concat,
  gatherRows,
  reshape,
  scatterRows,
  slice,
  where,
  type PartialAttention,
} from '../../ops/index.js';
import { scope, tensor, type Tensor } from '../../tensor/index.js';
import { defineAttention, type Call, type ForwardResult } from '../define.js';
import { integer, integers, type AttentionShape } from '../options.js';
import { costOfPairs } from '../pairs.js';
import {
  headStretches,
  longformerMask,
  longformerPairs,
  type HeadStretch,
  type WindowOptions,
} from './longformer-masks.js';
import { placeMask, placeScore } from './place-score.js';
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
  readsInputs: ({ globals }, globalTokens) => (globalTokens ?? [globals]).some((row) => row.length > 0),
  supports: {
    causal: true,
    cross: false,
    padding: true,
    score: true,
    mask: true,
    globalTokens: true,
    groupedHeads: true,
    decode: 'cache',
  },
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
    const { q, k, v, inputs, shape, options, globalTokens } = call;
    const shared = globalTokens === undefined || globalTokens.every((row) => String(row) === String(globalTokens[0]));
    const globals = inside(shared ? (globalTokens?.[0] ?? options.globals) : [], shape.S);
    const window = { radius: options.radius, globals, each: shared ? undefined : globalTokens };
    const own = inputs.globalQ !== q || inputs.globalK !== k || inputs.globalV !== v;
    const stretches = headStretches(options.dilations, shape);
    const parts = stretches.map((stretch) => ofHeads(call, window, stretch, own ? 'local' : 'all'));
    const all = parts.length === 1 ? parts[0]! : joined(parts);
    return own ? withGlobalRows(call, all, window.each ?? [globals]) : all;
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
  const { q, k, v, shape, causal, scale, score, allowed } = call;
  const { start, end, dilations } = stretch;
  const pattern = longformerMask(window, dilations, rows);
  if (end - start === shape.H) {
    const mask = allowed ? both(pattern, allowed) : pattern;
    return attend(q, k, v, { causal, scale, mask, ...(score && { score }) });
  }
  const share = shape.H / shape.G;
  const cut = (x: Tensor, by: number): Tensor => slice(x, { axis: 1, start: start / by, end: end / by });
  const part = score && placeScore(score, shape, ({ h }) => ({ h: h.add(start) }));
  const mask = allowed ? pattern.and(placeMask(allowed, shape, ({ h }) => ({ h: h.add(start) }))) : pattern;
  return scope(() => {
    const { out, logsumexp } = attend(cut(q, 1), cut(k, share), cut(v, share), {
      causal,
      scale,
      mask,
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

/** Puts the rows of global queries into `local`, where they are 0; `each` are those of every batch row, or one list for all. */
function withGlobalRows(
  call: Longformer,
  local: PartialAttention,
  each: readonly (readonly number[])[],
): ForwardResult {
  const { inputs, shape, causal, scale, score, allowed, q } = call;
  const { B, H, L, S } = shape;
  const { device } = q;
  const positions = each.map((row) => row.filter((position) => position >= S - L));
  const slots = Math.max(...positions.map((row) => row.length));
  if (slots === 0) return local;
  const rowOf = (b: number): readonly number[] => positions[positions.length === 1 ? 0 : b]!;
  const seen = rowsMask(positions, shape, causal, allowed);
  const change = score && placeScore(score, shape, (place) => ({ q: slotsOf(positions, shape).position(place) }));
  const host = (of: (b: number, slot: number) => number): number[] =>
    Array.from({ length: B * H * slots }, (_, i) => of(Math.floor(i / (H * slots)), i % slots));
  const rows = tensor(Int32Array.from(host((b, i) => (rowOf(b)[i] ?? S - L) - (S - L))), [B, H, slots], { device });
  const global = attend(gatherRows(inputs.globalQ, rows), inputs.globalK, inputs.globalV, {
    scale,
    ...(seen && { mask: seen }),
    ...(change && { score: change }),
  });
  const there = tensor(Float32Array.from(host((b, i) => Number(i < rowOf(b).length))), [B, H, slots], { device });
  const sums = reshape(where(there, global.logsumexp, 0), [B, H, slots, 1]);
  const isGlobal = tensor(
    Float32Array.from({ length: B * L }, (_, i) => Number(rowOf(Math.floor(i / L)).includes((i % L) + S - L))),
    [B, 1, L],
    { device },
  );
  return {
    out: add(local.out, cast(scatterRows(global.out, rows, L), local.out.dtype)),
    logsumexp: where(isGlobal, reshape(scatterRows(sums, rows, L), [B, H, L]), local.logsumexp),
  };
}

type Positions = readonly (readonly number[])[];

/** Gathered queries: row i has q = i + S − slots in the masks of its own attention. */
function slotsOf(positions: Positions, { B, L, S }: AttentionShape) {
  const slots = Math.max(...positions.map((row) => row.length));
  const rowOf = (b: number): readonly number[] => positions[positions.length === 1 ? 0 : b]!;
  const all = Int32Array.from({ length: B * slots }, (_, i) => rowOf(Math.floor(i / slots))[i % slots] ?? S - L);
  const table = tableOf('globals', all, [B, slots]);
  const counts = tableOf(
    'counts',
    Int32Array.from({ length: B }, (_, b) => rowOf(b).length),
  );
  const slot = (x: I32): I32 => x.sub(S - slots);
  return {
    position: ({ b, q }: Place): I32 => lookup(table, b, slot(q)),
    /** A row with fewer global tokens than others has slots that are none: they see nothing, and give 0 to some row. */
    filled: ({ b, q }: Place) => slot(q).lt(lookup(counts, b)),
    even: positions.every((row) => row.length === slots),
  };
}

const rowsMask = memoised(
  (positions: Positions, shape: AttentionShape, causal: boolean, allowed: Mask | undefined): Mask | undefined => {
    const { position, filled, even } = slotsOf(positions, shape);
    const masks = [
      even ? undefined : mask(filled),
      causal ? mask((place) => place.k.le(position(place))) : undefined,
      allowed && placeMask(allowed, shape, (place) => ({ q: position(place) })),
    ].filter((one) => one !== undefined);
    return masks.length === 0 ? undefined : masks.reduce((a, b) => a.and(b));
  },
  { by: (positions, { B, H, L, S }, causal, allowed) => [positions, B, H, L, S, causal, allowed], most: 64 },
);

// the same mask for the same batch, so that all layers share what was planned for it
const both = memoised((a: Mask, b: Mask): Mask => a.and(b), { by: (a, b) => [a, b] });

import { compile } from '../codegen/expression/index.js';
import { words } from '../core/random.js';
import type { Mask } from '../masks/index.js';

/** Self-attention of one batch as host numbers: `q`, `k`, `v` are `[H,L,D]`. */
export interface Problem {
  readonly heads: number;
  readonly length: number;
  readonly headDim: number;
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
}

/** Which keys a query sees; everything when both are absent. */
export interface Support {
  readonly causal: boolean;
  readonly mask: Mask | undefined;
}

/** Query `i` of head `h`. */
export interface Row {
  readonly h: number;
  readonly i: number;
}

/**
 * One row of attention by the formula, in float64 and in plain float32: the loops anybody would write. Of these some order of the sums
 * is as good as another, and has another error: each number is the one that is furthest from float64 of a few orders.
 */
export interface ReferenceRow {
  readonly exact: Float64Array;
  readonly plain: Float64Array;
  readonly logsumexp: number;
  readonly plainLogsumexp: number;
}

const { fround } = Math;

/** Upwards, downwards, and the odd ones after the even ones: place `n` of `count`. */
const orders: readonly ((n: number, count: number) => number)[] = [
  (n) => n,
  (n, count) => count - 1 - n,
  (n, count) => (2 * n < count ? 2 * n : 2 * (n - Math.ceil(count / 2)) + 1),
];

/** The rows to look at: one in each of `perHead` equal stretches of every head, chosen by the seed. */
export function sampleRows(heads: number, length: number, perHead: number, seed: number): Row[] {
  const count = Math.min(perHead, length);
  const random = words(seed, `rows ${length}`, heads * count);
  return Array.from({ length: heads * count }, (_, n) => {
    const [h, r] = [Math.floor(n / count), n % count];
    const first = Math.floor((r * length) / count);
    const last = Math.floor(((r + 1) * length) / count);
    return { h, i: first + (random[n]! % (last - first)) };
  });
}

/** Whether key j is seen, for one query after the other. */
export function keysSeen(
  support: Support,
  problem: Pick<Problem, 'heads' | 'length'>,
): (row: Row, j: number) => boolean {
  const { heads: H, length: L } = problem;
  const rule = support.mask && compile(support.mask.expression({ B: 1, H, G: H, L, S: L }), ['b', 'h', 'q', 'k']);
  return ({ h, i }, j) => (!support.causal || j <= i) && (rule === undefined || rule(0, h, i, j) !== 0);
}

/** Softmax attention of one row on each support; the scores are computed once. */
export function referenceRow(problem: Problem, row: Row, seen: readonly ReturnType<typeof keysSeen>[]): ReferenceRow[] {
  const { length, headDim: D, v } = problem;
  const exactScores = scores(problem, row);
  const plainScores = orders.map((order) => plainScoresOf(problem, row, order));
  const base = row.h * length * D;
  return seen.map((sees) => {
    const keys: number[] = [];
    for (let j = 0; j < length; j++) if (sees(row, j)) keys.push(j);
    // a row that sees nothing is 0 by definition
    if (keys.length === 0) {
      const zeros = (): Float64Array => new Float64Array(D);
      return { exact: zeros(), plain: zeros(), logsumexp: -Infinity, plainLogsumexp: -Infinity };
    }
    const exact = new Float64Array(D);
    const max = largest(exactScores, keys);
    let sum = 0;
    for (const j of keys) {
      const weight = Math.exp(exactScores[j]! - max);
      sum += weight;
      for (let d = 0, at = base + j * D; d < D; d++, at++) exact[d]! += weight * v[at]!;
    }
    for (let d = 0; d < D; d++) exact[d]! /= sum;
    const logsumexp = max + Math.log(sum);
    const tries = orders.map((order, n) => plainRow(problem, base, plainScores[n]!, keys, order));
    const furthest = (values: readonly number[], from: number): number =>
      values.reduce((a, b) => (Math.abs(b - from) > Math.abs(a - from) ? b : a));
    return {
      exact,
      plain: exact.map((x, d) =>
        furthest(
          tries.map(({ out }) => out[d]!),
          x,
        ),
      ),
      logsumexp,
      plainLogsumexp: furthest(
        tries.map((one) => one.logsumexp),
        logsumexp,
      ),
    };
  });
}

/** A row in plain float32 code, its keys in some order. */
function plainRow(
  { headDim: D, v }: Problem,
  base: number,
  scores: Float64Array,
  keys: readonly number[],
  order: (n: number, count: number) => number,
): { readonly out: Float64Array; readonly logsumexp: number } {
  const out = new Float64Array(D);
  const max = largest(scores, keys);
  let sum = 0;
  for (let n = 0; n < keys.length; n++) {
    const j = keys[order(n, keys.length)]!;
    const weight = fround(Math.exp(fround(scores[j]! - max)));
    sum = fround(sum + weight);
    for (let d = 0, at = base + j * D; d < D; d++, at++) out[d] = fround(out[d]! + fround(weight * v[at]!));
  }
  return { out: out.map((x) => fround(x / sum)), logsumexp: fround(max + fround(Math.log(sum))) };
}

function largest(values: Float64Array, keys: readonly number[]): number {
  let max = -Infinity;
  for (const j of keys) if (values[j]! > max) max = values[j]!;
  return max;
}

function scores({ length, headDim: D, q, k }: Problem, { h, i }: Row): Float64Array {
  const [base, query] = [h * length * D, (h * length + i) * D];
  const scale = 1 / Math.sqrt(D);
  return Float64Array.from({ length }, (_, j) => {
    let dot = 0;
    for (let d = 0, at = base + j * D; d < D; d++, at++) dot += q[query + d]! * k[at]!;
    return dot * scale;
  });
}

function plainScoresOf(
  { length, headDim: D, q, k }: Problem,
  { h, i }: Row,
  order: (n: number, count: number) => number,
): Float64Array {
  const [base, query] = [h * length * D, (h * length + i) * D];
  const scale = fround(1 / Math.sqrt(D));
  const places = Array.from({ length: D }, (_, n) => order(n, D));
  return Float64Array.from({ length }, (_, j) => {
    let dot = 0;
    const at = base + j * D;
    for (const d of places) dot = fround(dot + fround(q[query + d]! * k[at + d]!));
    return fround(dot * scale);
  });
}

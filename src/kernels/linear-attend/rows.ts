import { exp } from '../../codegen/math.js';
import type { I32, Pointer, Variable, VectorBuilder, VF } from '../../codegen/vector.js';
import { eachVector } from '../lanes.js';
import { accumulators, multiplyTile, rowGroups, type Accumulators } from '../tile.js';
import type { Chunk, Head, Values } from './chunk.js';
import type { Parameters, Workspace } from './spec.js';
import { vectorGroups } from './state.js';

/** A group of rows of a chunk: `rows` of them from `first`. */
interface Group {
  readonly head: Head;
  readonly chunk: Chunk;
  readonly first: I32;
  readonly rows: number;
  readonly q: Pointer;
  /** The extra feature of each row. */
  readonly extra: readonly VF[];
}

/** Outputs of a chunk from the state before it and, where causal, from its own keys. `adds` is not 0 to add to what is there. */
export function writeRows(
  k: VectorBuilder,
  w: Workspace,
  p: Parameters,
  head: Head,
  chunk: Chunk,
  values: Values | undefined,
  adds: I32 | undefined,
): void {
  const { M, E, causal, normalise, extra } = w.spec;
  rowGroups(k, chunk.rowCount, w.tile.rows, (first, rows) => {
    const row = k.add(chunk.row, first);
    const features = k.offset(head.extra, row, 4);
    const each = <T>(make: (r: number) => T): T[] => Array.from({ length: rows }, (_, r) => make(r));
    const group: Group = {
      head,
      chunk,
      first,
      rows,
      q: k.offset(head.q, row, 4 * M),
      extra:
        extra === undefined ? [] : each((r) => (extra === 'row' ? k.loadSplat(features, 4 * r) : k.constant('vf', 1))),
    };
    const sums = each(() => k.variable('vf', 0));
    if (normalise) fromKeySum(k, w, group, sums);
    if (causal) scores(k, w, group, sums);
    const inverse = normalise ? divisors(k, p, group, sums) : undefined;
    vectorGroups(k, E, w.tile.vectors, (firstVector, vectors, lanes) => {
      const c = fromState(k, w, group, firstVector, vectors);
      if (values) fromChunk(k, w, group, values, c, firstVector);
      if (inverse) c.forEach((line, r) => line.forEach((x) => k.assign(x, k.mul(x, inverse[r]!))));
      const to = k.offset(k.offset(head.out, row, 4 * E), firstVector, 4 * k.width);
      const store = (before: boolean): void =>
        c.forEach((line, r) =>
          line.forEach((x, v) => {
            const [at, count] = [4 * (r * E + v * k.width), v === vectors - 1 ? lanes : undefined];
            k.store(to, before ? k.add(x, k.loadVF(to, at, count)) : x, at, count);
          }),
        );
      if (adds)
        k.if(
          adds,
          () => store(true),
          () => store(false),
        );
      else store(false);
    });
  });
}

/** `sums_r = decay_r · q_r ∘ Σ k`, lane by lane. */
function fromKeySum(k: VectorBuilder, w: Workspace, group: Group, sums: readonly Variable<'vf'>[]): void {
  const { M, decay } = w.spec;
  eachVector(k, k.constant('i32', 0), k.constant('i32', M), (m, count) => {
    const keys = k.loadVF(k.offset(w.keySum, m, 4));
    const from = k.offset(group.q, m, 4);
    sums.forEach((sum, r) => k.assign(sum, k.fma(k.loadVF(from, 4 * r * M, count), keys, sum)));
  });
  if (decay) sums.forEach((sum, r) => k.assign(sum, k.mul(sum, rowFactor(k, w, group, r))));
}

const rowFactor = (k: VectorBuilder, w: Workspace, group: Group, r: number): VF =>
  k.loadSplat(k.offset(w.rowFactors, group.first, 4), 4 * r);

/**
 * Divisors below this count as 0. Such a row has lost its features to underflow, and its gradients, which grow with the
 * reciprocal, would overflow.
 */
export const smallestDivisor = 2 ** -96;

/** Stores `Σ + eps` of each row, or 0 where that is too small, and returns its reciprocal, or 0 for 0. */
function divisors(k: VectorBuilder, p: Parameters, group: Group, sums: readonly VF[]): readonly VF[] {
  const to = k.offset(k.offset(group.head.norm, group.chunk.row, 4), group.first, 4);
  const zero = k.constant('f32', 0);
  return sums.map((lanes, r) => {
    const sum = k.add(k.reduceAdd(lanes), p.eps);
    const tiny = k.lt(k.abs(sum), smallestDivisor);
    k.store(to, k.select(tiny, zero, sum), 4 * r);
    return k.splat(k.select(tiny, zero, k.div(k.constant('f32', 1), sum)));
  });
}

/** Products of the rows with the chunk's keys that some of them see, to `w.scores`; their sums as well if normalised. */
function scores(k: VectorBuilder, w: Workspace, group: Group, sums: readonly Variable<'vf'>[]): void {
  const { chunk, first, rows } = group;
  const W = k.width;
  const vectorsTo = (count: I32): I32 => k.div(k.add(count, W - 1), W);
  const from = k.variable('i32', w.spec.reverse ? k.div(first, W) : 0);
  const to = vectorsTo(w.spec.reverse ? chunk.keyCount : k.min(k.add(first, rows), chunk.keyCount));
  const begin = k.add(from, 0);
  // every size is code to compile: halves are enough, and single rows are rare
  for (let vectors = rows === 1 ? 1 : w.tile.vectors; vectors >= 1; vectors /= 2) {
    if (vectors * W > w.line) continue;
    k.while(
      () => k.le(k.add(from, vectors), to),
      () => {
        scoreTile(k, w, group, from, vectors);
        k.assign(from, k.add(from, vectors));
      },
    );
  }
  if (w.spec.decay || w.spec.normalise) k.loop(begin, to, (at) => adjust(k, w, group, sums, at));
}

function scoreTile(k: VectorBuilder, w: Workspace, group: Group, firstVector: I32, vectors: number): void {
  const { M, extra } = w.spec;
  const { head, chunk, rows } = group;
  const W = k.width;
  const c = accumulators(k, rows, vectors);
  const b = { pointer: k.offset(w.keys, firstVector, 4 * W), step: 4 * w.line, stride: 4 * W };
  multiplyTile(k, c, { pointer: group.q, step: 4, stride: 4 * M }, b, M);
  const to = k.offset(w.scores, firstVector, 4 * W);
  for (let v = 0; v < vectors; v++) {
    const lane = k.mul(k.add(firstVector, v), W);
    const keyExtra =
      extra === 'key'
        ? k.loadVF(k.offset(k.offset(head.extra, chunk.key, 4), lane, 4), 0, k.min(k.sub(chunk.keyCount, lane), W))
        : k.constant('vf', 1);
    c.forEach((line, r) => {
      const score = extra ? k.fma(group.extra[r]!, keyExtra, line[v]!) : line[v]!;
      k.store(to, score, 4 * (r * w.line + v * W));
    });
  }
}

/** Weighs a vector of scores of each row by their decay, and adds them to the rows' sums. */
function adjust(k: VectorBuilder, w: Workspace, group: Group, sums: readonly Variable<'vf'>[], vector: I32): void {
  const { reverse, normalise, decay } = w.spec;
  const W = k.width;
  const lane = k.mul(vector, W);
  const to = k.offset(w.scores, lane, 4);
  const key = k.add(k.iota(), k.splat(lane));
  const keyDecay = decay ? k.loadVF(k.offset(w.decay, lane, 4)) : undefined;
  sums.forEach((sum, r) => {
    let score = k.loadVF(to, 4 * r * w.line);
    if (keyDecay) {
      const rowDecay = k.loadSplat(k.offset(w.decay, group.first, 4), 4 * r);
      score = k.mul(score, exp(k, reverse ? k.sub(keyDecay, rowDecay) : k.sub(rowDecay, keyDecay)));
      k.store(to, score, 4 * r * w.line);
    }
    if (!normalise) return;
    // sums of unseen keys must not count; their scores are never read
    const seen = k.le(key, k.splat(k.add(group.first, r)));
    k.assign(sum, k.add(sum, k.select(seen, score, 0)));
  });
}

/** `decay_r · q_r S` for some columns. */
function fromState(k: VectorBuilder, w: Workspace, group: Group, firstVector: I32, vectors: number): Accumulators {
  const { M, extra, decay } = w.spec;
  const W = k.width;
  const c = accumulators(k, group.rows, vectors);
  const state = k.offset(w.state, firstVector, 4 * W);
  multiplyTile(
    k,
    c,
    { pointer: group.q, step: 4, stride: 4 * M },
    { pointer: state, step: 4 * w.wide, stride: 4 * W },
    M,
  );
  if (extra) {
    const last = Array.from({ length: vectors }, (_, v) => k.loadVF(k.offset(state, 4 * M * w.wide), 4 * v * W));
    c.forEach((line, r) => line.forEach((x, v) => k.assign(x, k.fma(group.extra[r]!, last[v]!, x))));
  }
  if (decay) {
    c.forEach((line, r) => {
      const factor = rowFactor(k, w, group, r);
      line.forEach((x) => k.assign(x, k.mul(x, factor)));
    });
  }
  return c;
}

/** Adds `Σ_c score_rc v_c`: the keys all rows of the group see as one product, those at the diagonal row by row. */
function fromChunk(
  k: VectorBuilder,
  w: Workspace,
  group: Group,
  values: Values,
  c: Accumulators,
  firstVector: I32,
): void {
  const { reverse } = w.spec;
  const { chunk, first, rows } = group;
  const W = k.width;
  const columns = k.offset(values.rows, firstVector, 4 * W);
  const between = (from: I32, count: I32): void =>
    multiplyTile(
      k,
      c,
      { pointer: k.offset(w.scores, from, 4), step: 4, stride: 4 * w.line },
      { pointer: k.offset(columns, from, values.pitch), step: values.pitch, stride: 4 * W },
      count,
    );
  if (!reverse) between(k.constant('i32', 0), k.min(first, chunk.keyCount));
  for (let j = 0; j < rows; j++) {
    const key = k.add(first, j);
    k.if(k.lt(key, chunk.keyCount), () => {
      const line = k.offset(columns, key, values.pitch);
      const lanes = c[0]!.map((_, v) => k.loadVF(line, 4 * v * W));
      c.forEach((row, r) => {
        if (reverse ? r > j : r < j) return;
        const score = k.loadSplat(k.offset(w.scores, key, 4), 4 * r * w.line);
        row.forEach((x, v) => k.assign(x, k.fma(score, lanes[v]!, x)));
      });
    });
  }
  if (reverse) {
    const after = k.add(first, rows);
    between(after, k.max(k.sub(chunk.keyCount, after), 0));
  }
}

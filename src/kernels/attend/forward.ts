import { gpuModule } from '../../codegen/gpu.js';
import { expOfNegative, log } from '../../codegen/math.js';
import type { I32, Pointer, VectorBuilder, VF, VI } from '../../codegen/vector.js';
import type { Kernel } from '../../codegen/kernel.js';
import { memoised } from '../../core/memo.js';
import { parameterList } from '../parameters.js';
import { dropTile } from './dropout.js';
import { attendTiles, type AttendTiles } from './layout.js';
import { fill, pack, prefetch, unpack } from './panel.js';
import { Expressions, shared, specKey, type AttendSpec } from './spec.js';
import { accumulate, forEachKeyTile, guardOf, queryPositions, rowsOfClass, rowsTimesPanel } from './tiles.js';

const texts = gpuModule(() => import('./gpu/forward.js'));

export const forwardParameters = parameterList({
  ...shared,
  out: 'pointer',
  /**
   * A word for each head of each batch. Not 0: this call sets all its rows. 0: `out` and `logsumexp` hold attention over other
   * keys, to which these are added; rows that visit none stay untouched.
   */
  opens: 'pointer',
  /** Rows from one head's keys and values to the next one's: S, or more where they are the first S of a larger room. */
  keyRows: 'i32',
});

/** Bytes of workspace a thread needs: the queries and outputs of a tile, its row statistics, one step of scores. */
export function forwardScratch(width: number, spec: AttendSpec): number {
  const { D, E } = spec;
  const t = attendTiles(width, spec);
  return 4 * (t.queryTile * (D + E + 2) + t.keyTile * t.panel);
}

/**
 * Exact attention without the score matrix (online softmax: Milakov & Gimelshein 2018, arXiv:1805.02867; tiles:
 * Dao 2023, arXiv:2307.08691). A task is one tile of queries of one head and residue class.
 *
 * Everything is computed transposed, with queries along the lanes: Sᵀ = K Qᵀ, Oᵀ += Vᵀ Pᵀ. So only the queries are
 * ever repacked, keys and values are read where they lie as scalars, and the row statistics are lane-wise.
 */
export const attendForward = memoised((spec: AttendSpec): Kernel => ({
  name: 'attend forward',
  key: specKey(spec),
  parameters: forwardParameters.kinds,
  cpu: (k) => text(k, spec),
  gpu: (target) => texts().forwardText(target, spec, forwardParameters.wgsl),
}));

function text(k: VectorBuilder, spec: AttendSpec): void {
  const { D, E, period } = spec;
  const t = attendTiles(k.width, spec);
  const p = forwardParameters.read(k);
  const expressions = new Expressions(k, spec, p.constants, p.tables);
  const queries = k.scratch;
  const outputs = k.offset(queries, 4 * t.queryTile * D);
  const top = k.offset(outputs, 4 * t.queryTile * E);
  const sum = k.offset(top, 4 * t.queryTile);
  const scores = k.offset(sum, 4 * t.queryTile);
  const tiles = k.div(k.add(p.L, t.queryTile * period - 1), t.queryTile * period);
  const group = k.div(p.H, p.G);
  const guard = guardOf(k, spec, p.flags);

  k.loop(k.begin, k.end, (task) => {
    const [head, residue] = divide(k, k.div(task, tiles), period);
    // the last tiles first: under a causal mask they are the longest
    const tile = k.sub(k.sub(tiles, 1), k.rem(task, tiles));
    const b = k.div(head, p.H);
    const h = k.rem(head, p.H);
    const kvHead = k.add(k.mul(b, p.G), k.div(h, group));
    const rowsOf = rowsOfClass(k, period, residue, p.L, p.S);
    const classOf = k.add(k.mul(b, p.classPerBatch), k.mul(h, p.classPerHead));
    const row = k.add(k.mul(classOf, tiles), tile);
    const offsets = k.offset(p.rowOffsets, row, 4);
    const visits = k.lt(k.loadI32(offsets), k.loadI32(offsets, 4));
    const opens = k.loadI32(k.offset(p.opens, head, 4));
    k.if(k.or(visits, opens), () => {
      const { L, S, start, pitch } = rowsOf;
      const q0 = k.mul(tile, t.queryTile);
      const rowsOfTile = rowsOf.tile(head, q0, t.queryTile);
      const keys = start(p.k, kvHead, p.keyRows, D);
      const values = start(p.v, kvHead, p.keyRows, E);

      pack(k, t, { ...rowsOfTile(p.q, D), panels: queries }, p.scale);
      k.if(
        opens,
        () => {
          fill(k, outputs, 4 * t.queryTile * E, 0);
          fill(k, top, 4 * t.queryTile, -Infinity);
          fill(k, sum, 4 * t.queryTile, 0);
        },
        () => {
          pack(k, t, { ...rowsOfTile(p.out, E), panels: outputs });
          pack(k, t, { ...rowsOfTile(p.logsumexp, 1), panels: top });
          for (let v = 0; v < t.queryTile; v += k.width) {
            const none = k.eq(k.loadVF(top, 4 * v), -Infinity);
            k.store(sum, k.select(none, k.constant('vf', 0), k.constant('vf', 1)), 4 * v);
          }
        },
      );

      // beside the products of each group of keys: a share of the next step's keys and values, which the panels divide among them,
      // and of this tile's outputs and the next tile's queries
      const nextTile = rowsOf.tile(head, k.max(k.sub(q0, t.queryTile), 0), t.queryTile);
      const fetched = k.variable('i32', 0);
      const fetch = (k0: I32, panel: I32, first: I32, rows: number): void => {
        if (rows === 1) return;
        const own = k.add(k.mul(panel, t.keyTile / t.panels), k.div(first, t.panels));
        const key = k.add(k.add(k0, t.keyTile), own);
        prefetch(k, { rows: values, pitch: pitch(E), columns: E }, key, Math.ceil(rows / t.panels));
        prefetch(k, { rows: keys, pitch: pitch(D), columns: D }, key, Math.ceil(rows / t.panels));
        k.if(k.lt(fetched, t.queryTile), () => {
          prefetch(k, rowsOfTile(p.out, E), fetched, 2, 'write');
          prefetch(k, nextTile(p.q, D), fetched, 2);
          k.assign(fetched, k.add(fetched, 2));
        });
      };

      const map = { rowOffsets: p.rowOffsets, runs: p.runs, row, S };
      forEachKeyTile(k, t, map, undefined, (k0, count, partial) => {
        k.loop(0, t.panels, (panel) => {
          const firstQuery = k.add(q0, k.mul(panel, t.panel));
          const out = k.offset(outputs, panel, 4 * t.panel * E);
          rowsTimesPanel(k, t, {
            rows: k.offset(keys, k0, pitch(D)),
            pitch: pitch(D),
            columns: D,
            panel: k.offset(queries, panel, 4 * t.panel * D),
            out: scores,
            count,
            ahead: (first, rows) => fetch(k0, panel, first, rows),
          });
          const at = { b, h, k0, residue, positions: queryPositions(k, t, { firstQuery, L, S }) };
          const change = (masked: boolean): void => changeScores(k, t, expressions, masked, scores, count, at);
          if (spec.mask) k.if(partial, () => change(true), spec.score && (() => change(false)));
          else if (spec.score) change(false);
          const statistics = { top: k.offset(top, panel, 4 * t.panel), sum: k.offset(sum, panel, 4 * t.panel) };
          softmaxTile(k, t, { scores, count, ...statistics, out, E });
          if (spec.dropout) dropTile(k, t, p, { lines: scores, count, k0, firstQuery, head, residue, period });
          accumulate(k, t, {
            out,
            pitch: 4 * t.panel,
            count: E,
            vectors: t.vectors,
            a: { pointer: k.offset(values, k0, pitch(E)), step: pitch(E), stride: 4 },
            b: { pointer: scores, step: 4 * t.panel, stride: 4 * k.width },
            depth: count,
            weights: 'b',
            careful: guard?.(partial),
          });
        });
      });

      k.loop(0, t.panels, (panel) => {
        const statistics = { top: k.offset(top, panel, 4 * t.panel), sum: k.offset(sum, panel, 4 * t.panel) };
        finish(k, t, E, { out: k.offset(outputs, panel, 4 * t.panel * E), ...statistics });
      });
      unpack(k, t, { ...rowsOfTile(p.out, E), panels: outputs });
      unpack(k, t, { ...rowsOfTile(p.logsumexp, 1), panels: top });
    });
  });
}

/** Quotient and remainder by a constant. */
export function divide(k: VectorBuilder, value: I32, by: number): readonly [I32, I32] {
  return by === 1 ? [value, k.constant('i32', 0)] : [k.div(value, k.constant('i32', by)), k.rem(value, by)];
}

export interface TilePosition {
  readonly b: I32;
  readonly h: I32;
  readonly k0: I32;
  readonly residue: I32;
  readonly positions: readonly VI[];
}

/** Applies the score change and the mask to a step of scores. */
function changeScores(
  k: VectorBuilder,
  t: AttendTiles,
  expressions: Expressions,
  masked: boolean,
  scores: Pointer,
  count: I32,
  at: TilePosition,
): void {
  k.loop(0, count, (j) => {
    const line = k.offset(scores, j, 4 * t.panel);
    at.positions.forEach((q, v) => {
      const position = { ...at, k: k.add(at.k0, j), q };
      const raw = k.loadVF(line, 4 * v * k.width);
      const changed = expressions.score(position, raw);
      const allowed = masked ? expressions.mask(position) : undefined;
      k.store(line, allowed ? k.select(allowed, changed, -Infinity) : changed, 4 * v * k.width);
    });
  });
}

interface SoftmaxTile {
  readonly scores: Pointer;
  readonly count: I32;
  readonly top: Pointer;
  readonly sum: Pointer;
  readonly out: Pointer;
  readonly E: number;
}

/** Scores to weights: exp(s − top), with the running maximum and sum of each query; rescales `out` when a maximum grows. */
function softmaxTile(k: VectorBuilder, t: AttendTiles, x: SoftmaxTile): void {
  const lanes = Array.from({ length: t.vectors }, (_, v) => 4 * v * k.width);
  const old = lanes.map((at) => k.loadVF(x.top, at));
  const top = old.map((value) => k.variable('vf', value));
  k.loop(0, x.count, (j) => {
    const line = k.offset(x.scores, j, 4 * t.panel);
    lanes.forEach((at, v) => k.assign(top[v]!, k.max(top[v]!, k.loadVF(line, at))));
  });
  // a row without any key so far: −∞ − 0, not −∞ − −∞
  const base = top.map((value) => k.select(k.eq(value, -Infinity), k.constant('vf', 0), value));
  const grew = old.map((value, v) => k.lt(value, top[v]!)).reduce((a, b) => k.or(a, b));
  k.if(k.any(grew), () => {
    const factor = old.map((value, v) => expOfNegative(k, k.sub(value, base[v]!)));
    lanes.forEach((at, v) => {
      k.store(x.top, top[v]!, at);
      k.store(x.sum, k.mul(k.loadVF(x.sum, at), factor[v]!), at);
    });
    k.loop(0, x.E, (e) => {
      const line = k.offset(x.out, e, 4 * t.panel);
      lanes.forEach((at, v) => k.store(line, k.mul(k.loadVF(line, at), factor[v]!), at));
    });
  });
  const sums = lanes.map((at) => k.variable('vf', k.loadVF(x.sum, at)));
  k.loop(0, x.count, (j) => {
    const line = k.offset(x.scores, j, 4 * t.panel);
    lanes.forEach((at, v) => {
      const weight = expOfNegative(k, k.sub(k.loadVF(line, at), base[v]!));
      k.assign(sums[v]!, k.add(sums[v]!, weight));
      k.store(line, weight, at);
    });
  });
  lanes.forEach((at, v) => k.store(x.sum, sums[v]!, at));
}

/** Divides a panel of outputs by its sums and turns `top` into the logsumexp; a row without any key gives 0 and −∞. */
function finish(
  k: VectorBuilder,
  t: AttendTiles,
  E: number,
  x: { readonly out: Pointer; readonly top: Pointer; readonly sum: Pointer },
): void {
  for (let v = 0; v < t.vectors; v++) {
    const at = 4 * v * k.width;
    const total = k.loadVF(x.sum, at);
    const empty = k.eq(total, 0);
    const inverse: VF = k.select(empty, k.constant('vf', 0), k.div(k.constant('vf', 1), total));
    k.loop(0, E, (e) => {
      const line = k.offset(x.out, e, 4 * t.panel);
      k.store(line, k.mul(k.loadVF(line, at), inverse), at);
    });
    const logsumexp = k.add(k.loadVF(x.top, at), log(k, total));
    k.store(x.top, k.select(empty, k.constant('vf', -Infinity), logsumexp), at);
  }
}

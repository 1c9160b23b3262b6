import type { I32, Pointer, VectorBuilder, VF } from '../../codegen/vector.js';
import { divide } from '../attend/forward.js';
import { fill, pack, unpack } from '../attend/panel.js';
import { Expressions } from '../attend/spec.js';
import { accumulate, forEachKeyTile, guardOf, queryPositions, rowsOfClass, rowsTimesPanel } from '../attend/tiles.js';
import { typedKernel } from '../typed-kernel.js';
import { anyAbove, eachLane, gatherRows, keepLine, lineBytes } from './kept.js';
import { entmaxKey, entmaxTiles, shared, weightsOf, type EntmaxSpec } from './spec.js';
import { findThresholds } from './threshold.js';

/** Bytes of workspace a thread needs for `keys` keys of a residue class: above all a number for each key and row of a panel. */
export function forwardScratch(width: number, { attend }: EntmaxSpec, keys: number): number {
  const { D, E } = attend;
  const t = entmaxTiles(width, attend);
  return 4 * (t.panel * (D + E) + t.keyTile * E + (keys + t.keyTile) * (t.panel + 1));
}

/**
 * `out_i = Σ_j p_ij v_j`, `p = (x − τ)_+^(1/(α−1))`, `x = (α − 1)·scale·q kᵀ`, with the τ of each row at which its weights sum to 1
 * (α-entmax: Peters et al. 2019, arXiv:1905.05702), in tiles (AdaSplash: Gonçalves et al. 2025, arXiv:2502.12082). A task is a panel of
 * queries. Scores are computed once; of each key those are kept that may have a weight in any row: x > max x − 1 at first, and fewer with
 * every step towards τ. Values are read of the keys alone that are left.
 */
export const entmaxForward = typedKernel({
  name: 'entmax forward',
  key: entmaxKey,
  parameters: { ...shared, out: 'pointer' },
  text: (k, spec: EntmaxSpec, p) => {
    const { D, E, period } = spec.attend;
    const t = entmaxTiles(k.width, spec.attend);
    const expressions = new Expressions(k, spec.attend, p.constants, p.tables);
    const queries = k.scratch;
    const outputs = k.offset(queries, 4 * t.panel * D);
    const rowsOfValues = k.offset(outputs, 4 * t.panel * E);
    const lines = k.offset(rowsOfValues, 4 * t.keyTile * E);
    const careful = guardOf(k, spec.attend, p.flags)?.(k.constant('i32', 1));
    const panels = panelsOf(k, p.L, t.panel, period);
    const tiles = panelsOf(k, p.L, spec.attend.queryTile, period);
    const group = k.div(p.H, p.G);

    k.loop(k.begin, k.end, (task) => {
      const [head, residue] = divide(k, k.div(task, panels), period);
      // the last panels first: under a causal mask they are the longest
      const q0 = k.mul(k.sub(k.sub(panels, 1), k.rem(task, panels)), t.panel);
      const [b, h] = [k.div(head, p.H), k.rem(head, p.H)];
      const kvHead = k.add(k.mul(b, p.G), k.div(h, group));
      const { L, S, start, pitch, tile } = rowsOfClass(k, period, residue, p.L, p.S);
      const rows = tile(head, q0, t.panel);
      const weights = weightsOf(k, spec, p.excess, h);
      const keyRows = start(p.k, kvHead, p.S, D);
      const kept = {
        lines,
        keys: k.offset(lines, k.add(S, t.keyTile), lineBytes(t)),
        count: k.variable('i32', 0),
      };
      pack(k, t, { ...rows(p.q, D), panels: queries }, k.mul(p.scale, k.lane(weights.less, 0)));
      const exists = eachLane(k, t, (_, v) => k.lt(k.add(k.iota(), k.splat(k.add(q0, v * k.width))), k.splat(L)));
      const top = exists.map(() => k.variable('vf', -Infinity));
      const classOf = k.add(k.mul(b, p.classPerBatch), k.mul(h, p.classPerHead));
      const row = k.add(k.mul(classOf, tiles), k.div(q0, spec.attend.queryTile));
      const map = { rowOffsets: p.rowOffsets, runs: p.runs, row, S };
      const positions = queryPositions(k, t, { firstQuery: q0, L, S });
      forEachKeyTile(k, t, map, undefined, (k0, count, partial) => {
        const fresh = k.offset(lines, kept.count, lineBytes(t));
        const from = k.offset(keyRows, k0, pitch(D));
        rowsTimesPanel(k, t, { rows: from, pitch: pitch(D), columns: D, panel: queries, out: fresh, count });
        const largest = (masked: boolean): void =>
          k.loop(0, count, (j) => {
            const line = k.offset(fresh, j, lineBytes(t));
            eachLane(k, t, (at, v) => {
              const raw = k.loadVF(line, at);
              const allowed = masked ? expressions.mask({ b, h, k: k.add(k0, j), q: positions[v]! }) : undefined;
              const x = allowed ? k.select(allowed, raw, -Infinity) : raw;
              if (allowed) k.store(line, x, at);
              k.assign(top[v]!, k.max(top[v]!, x));
            });
          });
        if (spec.attend.mask)
          k.if(
            partial,
            () => largest(true),
            () => largest(false),
          );
        else largest(false);
        const limits = top.map((most, v) => k.select(exists[v]!, k.sub(most, 1), Infinity));
        k.loop(0, count, (j) => {
          const line = k.offset(fresh, j, lineBytes(t));
          const values = eachLane(k, t, (at) => k.loadVF(line, at));
          keepLine(k, t, kept, { values, key: k.add(k0, j), keep: anyAbove(k, values, limits) });
        });
      });

      // a row that may see no key has no weights
      const found = top.map((most, v) => k.and(exists[v]!, k.gt(most, -Infinity)));
      const base = top.map((most, v) => k.select(found[v]!, most, k.constant('vf', 0)));
      const numbers = exists.map((one) => k.variable('vi', one));
      const all = k.variable('i32', kept.count);
      k.assign(kept.count, 0);
      const lowest = exists.map((one) => k.select(one, k.constant('vf', -1), Infinity));
      k.loop(0, all, (j) => {
        const line = k.offset(lines, j, lineBytes(t));
        const key = k.loadI32(k.offset(kept.keys, j, 4));
        const values = eachLane(k, t, (at, v) => k.sub(k.loadVF(line, at), base[v]!));
        // NaN is kept, as nothing is known of it
        values.forEach((value, v) => k.assign(numbers[v]!, k.and(numbers[v]!, k.eq(value, value))));
        keepLine(k, t, kept, { values, key, keep: anyAbove(k, values, lowest) });
      });
      const tau = found.map((one, v) => {
        const start = k.select(one, k.constant('vf', -1), Infinity);
        const nan = k.and(exists[v]!, k.xor(numbers[v]!, -1));
        return k.variable('vf', k.select(nan, k.constant('vf', NaN), start));
      });
      findThresholds(k, t, kept, weights, tau);

      fill(k, outputs, 4 * t.panel * E, 0);
      const sums = tau.map(() => k.variable('vf', 0));
      const valueRows = start(p.v, kvHead, p.S, E);
      forEachBlock(k, kept.count, t.keyTile, (first, count) => {
        const block = k.offset(lines, first, lineBytes(t));
        k.loop(0, count, (j) => {
          const line = k.offset(block, j, lineBytes(t));
          eachLane(k, t, (at, v) => {
            const { weight } = weights.of(k.sub(k.loadVF(line, at), tau[v]!));
            k.assign(sums[v]!, k.add(sums[v]!, weight));
            k.store(line, weight, at);
          });
        });
        const keys = k.offset(kept.keys, first, 4);
        gatherRows(k, { to: rowsOfValues, from: valueRows, pitch: pitch(E), columns: E, keys, count });
        accumulate(k, t, {
          out: outputs,
          pitch: lineBytes(t),
          count: E,
          vectors: t.vectors,
          a: { pointer: rowsOfValues, step: 4 * E, stride: 4 },
          b: { pointer: block, step: lineBytes(t), stride: 4 * k.width },
          depth: count,
          weights: 'b',
          careful,
        });
      });
      const inverse = sums.map((sum) => k.select(k.eq(sum, 0), k.constant('vf', 0), k.div(k.constant('vf', 1), sum)));
      k.loop(0, E, (e) => {
        const line = k.offset(outputs, e, lineBytes(t));
        eachLane(k, t, (at, v) => k.store(line, k.mul(k.loadVF(line, at), inverse[v]!), at));
      });
      unpack(k, t, { ...rows(p.out, E), panels: outputs });
      // the queries are not needed any more
      const write = (to: Pointer, values: readonly VF[]): void => {
        eachLane(k, t, (at, v) => k.store(queries, values[v]!, at));
        unpack(k, t, { ...rows(to, 1), panels: queries });
      };
      write(p.tops, base);
      write(p.thresholds, tau);
    });
  },
});

/** Pieces of `size` rows in a residue class, the longest of them. */
export const panelsOf = (k: VectorBuilder, rows: I32, size: number, period: number): I32 =>
  k.div(k.add(rows, size * period - 1), size * period);

/** `body(first, count)` for blocks of at most `size`. */
export function forEachBlock(k: VectorBuilder, count: I32, size: number, body: (first: I32, count: I32) => void): void {
  k.loop(0, count, (first) => body(first, k.min(k.sub(count, first), size)), size);
}

import type { Pointer, VF } from '../../codegen/vector.js';
import { fill, pack, unpack } from '../attend/panel.js';
import { guardOf } from '../attend/tiles.js';
import { typedKernel } from '../typed-kernel.js';
import { anyAbove, eachLane, gatherRows, keepLine, lineBytes } from './kept.js';
import { addProducts, forEachBlock, forEachPanel, scaleLines } from './panel.js';
import { entmaxKey, entmaxTiles, shared, type EntmaxSpec } from './spec.js';
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
    const { D, E } = spec.attend;
    const t = entmaxTiles(k.width, spec.attend);
    const queries = k.scratch;
    const outputs = k.offset(queries, 4 * t.panel * D);
    const rowsOfValues = k.offset(outputs, 4 * t.panel * E);
    const lines = k.offset(rowsOfValues, 4 * t.keyTile * E);
    const careful = guardOf(k, spec.attend, p.flags)?.(k.constant('i32', 1));

    forEachPanel(k, t, spec, p, ({ kvHead, S, start, pitch, rows, weights, exists, forEachTile }) => {
      const kept = {
        lines,
        keys: k.offset(lines, k.add(S, t.keyTile), lineBytes(t)),
        count: k.variable('i32', 0),
      };
      pack(k, t, { ...rows(p.q, D), panels: queries }, k.mul(p.scale, k.lane(weights.less, 0)));
      const top = exists.map(() => k.variable('vf', -Infinity));
      const next = (): Pointer => k.offset(lines, kept.count, lineBytes(t));
      forEachTile(queries, next, ({ lines: fresh, k0, count, byMask }) => {
        byMask((allowed) =>
          k.loop(0, count, (j) => {
            const line = k.offset(fresh, j, lineBytes(t));
            eachLane(k, t, (at, v) => {
              const raw = k.loadVF(line, at);
              const seen = allowed(j, v);
              const x = seen ? k.select(seen, raw, -Infinity) : raw;
              if (seen) k.store(line, x, at);
              k.assign(top[v]!, k.max(top[v]!, x));
            });
          }),
        );
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
        addProducts(k, t, { out: outputs, rows: rowsOfValues, columns: E, lines: block, count, careful });
      });
      const inverse = sums.map((sum) => k.select(k.eq(sum, 0), k.constant('vf', 0), k.div(k.constant('vf', 1), sum)));
      scaleLines(k, t, outputs, E, inverse);
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

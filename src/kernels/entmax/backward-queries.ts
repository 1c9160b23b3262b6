import type { Pointer, Variable, VF, VI } from '../../codegen/vector.js';
import { fill, pack, unpack } from '../attend/panel.js';
import { guardOf, rowsTimesPanel } from '../attend/tiles.js';
import { typedKernel } from '../typed-kernel.js';
import { anyAbove, eachLane, gatherRows, keepLine, lineBytes } from './kept.js';
import { addProducts, forEachBlock, forEachPanel, scaleLines } from './panel.js';
import { entmaxKey, entmaxTiles, shared, type EntmaxSpec } from './spec.js';

export interface QueriesSpec extends EntmaxSpec {
  /** Whether the gradient of α is wanted. */
  readonly ofAlpha: boolean;
}

/** As `forwardScratch`, for two numbers of each key and row. */
export function queriesScratch(width: number, { attend }: EntmaxSpec, keys: number): number {
  const { D, E } = attend;
  const t = entmaxTiles(width, attend);
  return 4 * (t.panel * (2 * D + E) + t.keyTile * Math.max(D, E) + (keys + t.keyTile) * (2 * t.panel + 1));
}

/**
 * Gradients by row: with `s = p^(2−α)` and `dp = dO·Vᵀ`, `dz = s ⊙ (dp − δ)`, `δ = ⟨s, dp⟩/Σs`; dQ += scale·dz·K. A task is a panel of
 * queries, whose kept keys are found again by their thresholds. δ is written for the pass over keys, and, where wanted, the gradient of α
 * by each row: `Σ (dp − δ) p (1/(α−1) − ln p) / (α−1)`, which is what Correia et al. 2019 (arXiv:1909.00015) have, as the factors of dp add
 * up to 0.
 */
export const entmaxQueries = typedKernel({
  name: 'entmax backward queries',
  key: (spec: QueriesSpec) => `${entmaxKey(spec)}/${spec.ofAlpha}`,
  parameters: { ...shared, dout: 'pointer', delta: 'pointer', dalpha: 'pointer', dq: 'pointer' },
  text: (k, spec, p) => {
    const { D, E } = spec.attend;
    const t = entmaxTiles(k.width, spec.attend);
    const queries = k.scratch;
    const cotangents = k.offset(queries, 4 * t.panel * D);
    const gradients = k.offset(cotangents, 4 * t.panel * E);
    const rowsOfKeys = k.offset(gradients, 4 * t.panel * D);
    const lines = k.offset(rowsOfKeys, 4 * t.keyTile * Math.max(D, E));
    const careful = guardOf(k, spec.attend, p.flags)?.(k.constant('i32', 1));

    forEachPanel(k, t, spec, p, ({ kvHead, S, start, pitch, rows, weights, exists, forEachTile }) => {
      const [keyRows, valueRows] = [start(p.k, kvHead, p.S, D), start(p.v, kvHead, p.S, E)];
      const products = k.offset(lines, k.add(S, t.keyTile), lineBytes(t));
      const kept = {
        lines,
        keys: k.offset(products, k.add(S, t.keyTile), lineBytes(t)),
        count: k.variable('i32', 0),
      };
      const read = (from: Pointer, otherwise: number): readonly VF[] => {
        pack(k, t, { ...rows(from, 1), panels: queries });
        return eachLane(k, t, (at, v) => k.select(exists[v]!, k.loadVF(queries, at), otherwise));
      };
      const [top, tau] = [read(p.tops, 0), read(p.thresholds, Infinity)];
      pack(k, t, { ...rows(p.q, D), panels: queries }, k.mul(p.scale, k.lane(weights.less, 0)));
      pack(k, t, { ...rows(p.dout, E), panels: cotangents });
      const none = tau.map(() => k.constant('vf', 0));
      const next = (): Pointer => k.offset(lines, kept.count, lineBytes(t));
      forEachTile(queries, next, ({ lines: fresh, k0, count, byMask }) =>
        byMask((allowed) =>
          k.loop(0, count, (j) => {
            const line = k.offset(fresh, j, lineBytes(t));
            const values = eachLane(k, t, (at, v) => {
              const u = k.sub(k.sub(k.loadVF(line, at), top[v]!), tau[v]!);
              const seen = allowed(j, v);
              return seen ? k.select(seen, u, -Infinity) : u;
            });
            keepLine(k, t, kept, { values, key: k.add(k0, j), keep: anyAbove(k, values, none) });
          }),
        ),
      );

      const sums = () => tau.map(() => k.variable('vf', 0));
      const [slopes, means] = [sums(), sums()];
      const ofAlpha = { sums: sums(), factors: sums(), left: sums() };
      const add = (sum: Variable<'vf'>, value: VF): void => k.assign(sum, k.add(sum, value));
      // what is hidden, or has no weight, adds nothing, were it NaN
      const unless = (zero: VI, value: VF): VF => k.select(zero, k.constant('vf', 0), value);
      forEachBlock(k, kept.count, t.keyTile, (first, count) => {
        const block = k.offset(lines, first, lineBytes(t));
        const dps = k.offset(products, first, lineBytes(t));
        const keys = k.offset(kept.keys, first, 4);
        gatherRows(k, { to: rowsOfKeys, from: valueRows, pitch: pitch(E), columns: E, keys, count });
        rowsTimesPanel(k, t, { rows: rowsOfKeys, pitch: 4 * E, columns: E, panel: cotangents, out: dps, count });
        k.loop(0, count, (j) => {
          const line = k.offset(block, j, lineBytes(t));
          eachLane(k, t, (at, v) => {
            const { slope } = weights.of(k.loadVF(line, at));
            const dp = k.loadVF(k.offset(dps, j, lineBytes(t)), at);
            add(slopes[v]!, slope);
            add(means[v]!, unless(k.eq(slope, 0), k.mul(slope, dp)));
          });
        });
      });
      const delta = means.map((mean, v) => k.select(k.eq(slopes[v]!, 0), k.constant('vf', 0), k.div(mean, slopes[v]!)));

      fill(k, gradients, 4 * t.panel * D, 0);
      forEachBlock(k, kept.count, t.keyTile, (first, count) => {
        const block = k.offset(lines, first, lineBytes(t));
        const keys = k.offset(kept.keys, first, 4);
        k.loop(0, count, (j) => {
          const line = k.offset(block, j, lineBytes(t));
          const dps = k.offset(k.offset(products, first, lineBytes(t)), j, lineBytes(t));
          eachLane(k, t, (at, v) => {
            const u = k.loadVF(line, at);
            const { weight, slope } = weights.of(u);
            const apart = k.sub(k.loadVF(dps, at), delta[v]!);
            k.store(line, unless(k.eq(slope, 0), k.mul(slope, apart)), at);
            if (!spec.ofAlpha) return;
            const factor = unless(k.eq(weight, 0), k.mul(weight, k.sub(weights.power, weights.logarithm(u))));
            add(ofAlpha.sums[v]!, unless(k.eq(weight, 0), k.mul(factor, apart)));
            add(ofAlpha.factors[v]!, factor);
            add(ofAlpha.left[v]!, unless(k.eq(slope, 0), k.mul(slope, apart)));
          });
        });
        gatherRows(k, { to: rowsOfKeys, from: keyRows, pitch: pitch(D), columns: D, keys, count });
        addProducts(k, t, { out: gradients, rows: rowsOfKeys, columns: D, lines: block, count, careful });
      });
      const factor = k.splat(p.scale);
      scaleLines(
        k,
        t,
        gradients,
        D,
        delta.map(() => factor),
      );
      unpack(k, t, { ...rows(p.dq, D), panels: gradients });
      eachLane(k, t, (at, v) => k.store(queries, delta[v]!, at));
      unpack(k, t, { ...rows(p.delta, 1), panels: queries });
      if (!spec.ofAlpha) return;
      eachLane(k, t, (at, v) => {
        // what δ was off by
        const off = k.select(k.eq(slopes[v]!, 0), k.constant('vf', 0), k.div(ofAlpha.left[v]!, slopes[v]!));
        const sum = k.sub(ofAlpha.sums[v]!, k.mul(off, ofAlpha.factors[v]!));
        k.store(queries, k.mul(sum, weights.power), at);
      });
      unpack(k, t, { ...rows(p.dalpha, 1), panels: queries });
    });
  },
});

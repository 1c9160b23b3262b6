import type { Pointer, Variable, VF, VI } from '../../codegen/vector.js';
import { divide } from '../attend/forward.js';
import { fill, pack, unpack } from '../attend/panel.js';
import { Expressions } from '../attend/spec.js';
import { accumulate, forEachKeyTile, guardOf, queryPositions, rowsOfClass, rowsTimesPanel } from '../attend/tiles.js';
import { typedKernel } from '../typed-kernel.js';
import { forEachBlock, panelsOf } from './forward.js';
import { anyAbove, eachLane, gatherRows, keepLine, lineBytes } from './kept.js';
import { entmaxKey, entmaxTiles, shared, weightsOf, type EntmaxSpec } from './spec.js';

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
    const { D, E, period } = spec.attend;
    const t = entmaxTiles(k.width, spec.attend);
    const expressions = new Expressions(k, spec.attend, p.constants, p.tables);
    const queries = k.scratch;
    const cotangents = k.offset(queries, 4 * t.panel * D);
    const gradients = k.offset(cotangents, 4 * t.panel * E);
    const rowsOfKeys = k.offset(gradients, 4 * t.panel * D);
    const lines = k.offset(rowsOfKeys, 4 * t.keyTile * Math.max(D, E));
    const careful = guardOf(k, spec.attend, p.flags)?.(k.constant('i32', 1));
    const panels = panelsOf(k, p.L, t.panel, period);
    const tiles = panelsOf(k, p.L, spec.attend.queryTile, period);
    const group = k.div(p.H, p.G);

    k.loop(k.begin, k.end, (task) => {
      const [head, residue] = divide(k, k.div(task, panels), period);
      const q0 = k.mul(k.sub(k.sub(panels, 1), k.rem(task, panels)), t.panel);
      const [b, h] = [k.div(head, p.H), k.rem(head, p.H)];
      const kvHead = k.add(k.mul(b, p.G), k.div(h, group));
      const { L, S, start, pitch, tile } = rowsOfClass(k, period, residue, p.L, p.S);
      const rows = tile(head, q0, t.panel);
      const weights = weightsOf(k, spec, p.excess, h);
      const [keyRows, valueRows] = [start(p.k, kvHead, p.S, D), start(p.v, kvHead, p.S, E)];
      const products = k.offset(lines, k.add(S, t.keyTile), lineBytes(t));
      const kept = {
        lines,
        keys: k.offset(products, k.add(S, t.keyTile), lineBytes(t)),
        count: k.variable('i32', 0),
      };
      const read = (from: Pointer, otherwise: number): readonly VF[] => {
        pack(k, t, { ...rows(from, 1), panels: queries });
        return eachLane(k, t, (at, v) => {
          const exists = k.lt(k.add(k.iota(), k.splat(k.add(q0, v * k.width))), k.splat(L));
          return k.select(exists, k.loadVF(queries, at), otherwise);
        });
      };
      const [top, tau] = [read(p.tops, 0), read(p.thresholds, Infinity)];
      pack(k, t, { ...rows(p.q, D), panels: queries }, k.mul(p.scale, k.lane(weights.less, 0)));
      pack(k, t, { ...rows(p.dout, E), panels: cotangents });
      const classOf = k.add(k.mul(b, p.classPerBatch), k.mul(h, p.classPerHead));
      const row = k.add(k.mul(classOf, tiles), k.div(q0, spec.attend.queryTile));
      const map = { rowOffsets: p.rowOffsets, runs: p.runs, row, S };
      const positions = queryPositions(k, t, { firstQuery: q0, L, S });
      const none = tau.map(() => k.constant('vf', 0));
      forEachKeyTile(k, t, map, undefined, (k0, count, partial) => {
        const fresh = k.offset(lines, kept.count, lineBytes(t));
        const from = k.offset(keyRows, k0, pitch(D));
        rowsTimesPanel(k, t, { rows: from, pitch: pitch(D), columns: D, panel: queries, out: fresh, count });
        const above = (masked: boolean): void =>
          k.loop(0, count, (j) => {
            const line = k.offset(fresh, j, lineBytes(t));
            const values = eachLane(k, t, (at, v) => {
              const u = k.sub(k.sub(k.loadVF(line, at), top[v]!), tau[v]!);
              const allowed = masked ? expressions.mask({ b, h, k: k.add(k0, j), q: positions[v]! }) : undefined;
              return allowed ? k.select(allowed, u, -Infinity) : u;
            });
            keepLine(k, t, kept, { values, key: k.add(k0, j), keep: anyAbove(k, values, none) });
          });
        if (spec.attend.mask)
          k.if(
            partial,
            () => above(true),
            () => above(false),
          );
        else above(false);
      });

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
        accumulate(k, t, {
          out: gradients,
          pitch: lineBytes(t),
          count: D,
          vectors: t.vectors,
          a: { pointer: rowsOfKeys, step: 4 * D, stride: 4 },
          b: { pointer: block, step: lineBytes(t), stride: 4 * k.width },
          depth: count,
          weights: 'b',
          careful,
        });
      });
      const factor = k.splat(p.scale);
      k.loop(0, D, (d) => {
        const line = k.offset(gradients, d, lineBytes(t));
        eachLane(k, t, (at) => k.store(line, k.mul(k.loadVF(line, at), factor), at));
      });
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

import type { I32 } from '../../codegen/vector.js';
import { divide } from '../attend/forward.js';
import { fill, pack, unpack } from '../attend/panel.js';
import { Expressions } from '../attend/spec.js';
import { guardOf, PARTIAL, rowsOfClass, rowsTimesPanel } from '../attend/tiles.js';
import { typedKernel } from '../typed-kernel.js';
import { anyAbove, copyRow, eachLane, lineBytes } from './kept.js';
import { addProducts, byMask, panelsOf, scaleLines } from './panel.js';
import { entmaxKey, entmaxTiles, shared, weightsOf, type EntmaxSpec } from './spec.js';

/** Queries whose rows are held until there are enough for products. */
const held = 96;

const roomFor = ({ attend: { queryTile } }: EntmaxSpec): number => held + queryTile;

export function keysScratch(width: number, spec: EntmaxSpec): number {
  const { D, E, queryTile } = spec.attend;
  const t = entmaxTiles(width, spec.attend);
  const room = roomFor(spec);
  return 4 * (2 * t.panel * (D + E) + queryTile * (D + t.panel) + room * (D + E + 1 + 2 * t.panel));
}

/**
 * Gradients by key: dV += Pᵀ·dO, dK += scale·dZᵀ·Q. A task is a panel of keys of one key/value head, along the lanes; it goes through the
 * queries that may see them and holds the rows of those that have a weight on any, until there are enough of them for products.
 */
export const entmaxKeys = typedKernel({
  name: 'entmax backward keys',
  key: entmaxKey,
  parameters: { ...shared, dout: 'pointer', delta: 'pointer', dk: 'pointer', dv: 'pointer' },
  text: (k, spec: EntmaxSpec, p) => {
    const { D, E, period, queryTile, keyBlock } = spec.attend;
    const t = entmaxTiles(k.width, spec.attend);
    const room = roomFor(spec);
    const expressions = new Expressions(k, spec.attend, p.constants, p.tables);
    let end = k.scratch;
    const part = (floats: number): typeof end => {
      const at = end;
      end = k.offset(at, 4 * floats);
      return at;
    };
    const [keys, values, dk, dv] = [D, E, D, E].map((columns) => part(t.panel * columns)) as [
      typeof end,
      typeof end,
      typeof end,
      typeof end,
    ];
    const fresh = { queries: part(queryTile * D), lines: part(queryTile * t.panel) };
    const kept = {
      queries: part(room * D),
      cotangents: part(room * E),
      delta: part(room),
      lines: part(room * t.panel),
      products: part(room * t.panel),
    };
    const careful = guardOf(k, spec.attend, p.flags)?.(k.constant('i32', 1));
    const panels = panelsOf(k, p.S, t.panel, period);
    const tiles = panelsOf(k, p.L, queryTile, period);
    const group = k.div(p.H, p.G);

    k.loop(k.begin, k.end, (task) => {
      const [kvHead, residue] = divide(k, k.div(task, panels), period);
      const k0 = k.mul(k.rem(task, panels), t.panel);
      const b = k.div(kvHead, p.G);
      const { L, S, start, pitch } = rowsOfClass(k, period, residue, p.L, p.S);
      const block = k.div(k0, keyBlock);
      const places = eachLane(k, t, (_, v) => k.add(k.iota(), k.splat(k.add(k0, v * k.width))));
      const exists = places.map((place) => k.lt(place, k.splat(S)));
      const panelOf = (base: typeof end, columns: number, panel: typeof end) => ({
        rows: k.offset(start(base, kvHead, p.S, columns), k0, pitch(columns)),
        columns,
        pitch: pitch(columns),
        valid: k.sub(S, k0),
        panels: panel,
      });
      pack(k, t, panelOf(p.k, D, keys));
      pack(k, t, panelOf(p.v, E, values));
      fill(k, dk, 4 * t.panel * D, 0);
      fill(k, dv, 4 * t.panel * E, 0);

      k.loop(0, group, (member) => {
        const h = k.add(k.mul(k.rem(kvHead, p.G), group), member);
        const head = k.add(k.mul(b, p.H), h);
        const weights = weightsOf(k, spec, p.excess, h);
        const factor = k.splat(k.mul(p.scale, k.lane(weights.less, 0)));
        const count = k.variable('i32', 0);

        const flush = (): void => {
          const products = {
            rows: kept.cotangents,
            pitch: 4 * E,
            columns: E,
            panel: values,
            out: kept.products,
            count,
          };
          rowsTimesPanel(k, t, products);
          k.loop(0, count, (i) => {
            const line = k.offset(kept.lines, i, lineBytes(t));
            const dline = k.offset(kept.products, i, lineBytes(t));
            const delta = k.loadSplat(k.offset(kept.delta, i, 4));
            eachLane(k, t, (at) => {
              const { weight, slope } = weights.of(k.loadVF(line, at));
              const change = k.mul(slope, k.sub(k.loadVF(dline, at), delta));
              k.store(line, weight, at);
              k.store(dline, k.select(k.eq(slope, 0), k.constant('vf', 0), change), at);
            });
          });
          const into = (out: typeof end, columns: number, rows: typeof end, lines: typeof end): void =>
            addProducts(k, t, { out, rows, columns, lines, count, careful });
          into(dv, E, kept.cotangents, kept.lines);
          into(dk, D, kept.queries, kept.products);
          k.assign(count, 0);
        };

        const visit = (tile: I32, partial: I32): void => {
          const q0 = k.mul(tile, queryTile);
          const rows = k.min(k.sub(L, q0), queryTile);
          const row = (base: typeof end, columns: number, i: I32): typeof end =>
            k.offset(start(base, head, p.L, columns), k.add(q0, i), pitch(columns));
          // the same product as in the pass over queries, to the bit
          k.loop(0, rows, (i) => copyRow(k, k.offset(fresh.queries, i, 4 * D), row(p.q, D, i), D, factor));
          const { queries, lines } = fresh;
          rowsTimesPanel(k, t, { rows: queries, pitch: 4 * D, columns: D, panel: keys, out: lines, count: rows });
          byMask(spec, k, partial, (masked) =>
            k.loop(0, rows, (i) => {
              const top = k.loadSplat(row(p.tops, 1, i));
              const tau = k.loadSplat(row(p.thresholds, 1, i));
              const at = { b, h, q: k.add(k.add(q0, i), k.sub(S, L)) };
              const line = eachLane(k, t, (offset, v) => {
                const x = k.loadVF(k.offset(lines, i, lineBytes(t)), offset);
                const u = k.sub(k.sub(x, top), tau);
                const allowed = masked ? expressions.mask({ ...at, k: places[v]! }) : undefined;
                const seen = allowed ? k.and(allowed, exists[v]!) : exists[v]!;
                return k.select(seen, u, -Infinity);
              });
              const none = line.map(() => k.constant('vf', 0));
              k.if(anyAbove(k, line, none), () => {
                const to = (base: typeof end, columns: number): typeof end => k.offset(base, count, 4 * columns);
                line.forEach((u, v) => k.store(to(kept.lines, t.panel), u, 4 * v * k.width));
                copyRow(k, to(kept.queries, D), row(p.q, D, i), D);
                copyRow(k, to(kept.cotangents, E), row(p.dout, E, i), E);
                k.store(to(kept.delta, 1), k.loadF32(row(p.delta, 1, i)));
                k.assign(count, k.add(count, 1));
              });
            }),
          );
          k.if(k.ge(count, held), flush);
        };

        const classOf = k.add(k.mul(b, p.classPerBatch), k.mul(h, p.classPerHead));
        k.loop(0, k.div(k.add(L, queryTile - 1), queryTile), (tile) => {
          const offsets = k.offset(p.rowOffsets, k.add(k.mul(classOf, tiles), tile), 4);
          k.loop(k.loadI32(offsets), k.loadI32(offsets, 4), (r) => {
            const run = k.offset(p.runs, r, 12);
            const inside = k.and(k.le(k.loadI32(run), block), k.gt(k.loadI32(run, 4), block));
            k.if(inside, () => visit(tile, k.eq(k.loadI32(run, 8), PARTIAL)));
          });
        });
        k.if(k.gt(count, 0), flush);
      });

      const scale = k.splat(p.scale);
      scaleLines(
        k,
        t,
        dk,
        D,
        places.map(() => scale),
      );
      unpack(k, t, panelOf(p.dk, D, dk));
      unpack(k, t, panelOf(p.dv, E, dv));
    });
  },
});

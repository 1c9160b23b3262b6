import type { F32, I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import type { Kernel } from '../../codegen/kernel.js';
import { memoised } from '../../core/memo.js';
import { eachVector } from '../lanes.js';
import { parameterList } from '../parameters.js';
import type { Operand } from '../tile.js';
import { dropTile } from './dropout.js';
import { divide } from './forward.js';
import { attendTiles, backwardChunk } from './layout.js';
import { fill, pack, unpack } from './panel.js';
import { Expressions, shared, specKey, type AttendSpec } from './spec.js';
import { accumulate, forEachKeyTile, guardOf, queryPositions, rowsOfClass, rowsTimesPanel } from './tiles.js';
import { weigh } from './weigh.js';

export const backwardParameters = parameterList({
  ...shared,
  dout: 'pointer',
  /** Σ_e dout·out − dlogsumexp of each query. */
  delta: 'pointer',
  dq: 'pointer',
  dk: 'pointer',
  dv: 'pointer',
  /** The key chunks of this step: those that have a pair with their query chunk. */
  chunks: 'pointer',
  chunkCount: 'i32',
  /** Key chunks, query chunks, and how far each key chunk's query chunk is ahead in this step. */
  keyChunks: 'i32',
  queryChunks: 'i32',
  ahead: 'i32',
});

const padded = (columns: number, width: number): number => Math.ceil(columns / width) * width;

/** Where the parts of a thread's workspace start, in bytes. */
function layout(width: number, spec: AttendSpec) {
  const { D, E } = spec;
  const t = attendTiles(width, spec);
  const chunk = backwardChunk(t);
  let total = 0;
  const part = (floats: number): number => (total += 4 * floats) - 4 * floats;
  const parts = {
    q: part(t.queryTile * D),
    dout: part(t.queryTile * E),
    dq: part(t.queryTile * D),
    logsumexp: part(t.queryTile),
    delta: part(t.queryTile),
    weights: part(t.keyTile * t.panel),
    dscores: part(t.keyTile * t.panel),
    rows: part(t.panel * Math.max(padded(D, width), padded(E, width))),
    dk: part(chunk * padded(D, width)),
    dv: part(chunk * padded(E, width)),
  };
  return { ...parts, total };
}

export const backwardScratch = (width: number, spec: AttendSpec): number => layout(width, spec).total;

/**
 * Gradients of attention with recomputed weights (Dao 2023, arXiv:2307.08691, algorithm 2). A task is one chunk of keys
 * against one chunk of queries, of one key/value head and residue class; a step pairs every key chunk with another query
 * chunk, so no two tasks of a step write the same row, and every row is summed in one order whatever the number of threads.
 *
 * P = exp(s − logsumexp), dP = dO·Vᵀ, dS = P ⊙ (dP − δ) ⊙ ∂score; dV += Pᵀ·dO, dK += dSᵀ·Q·scale, dQ += dS·K·scale.
 */
export const attendBackward = memoised((spec: AttendSpec): Kernel => ({
  name: 'attend backward',
  key: specKey(spec),
  parameters: backwardParameters.kinds,
  cpu: (k) => text(k, spec),
}));

function text(k: VectorBuilder, spec: AttendSpec): void {
  const { D, E, period } = spec;
  const t = attendTiles(k.width, spec);
  const chunk = backwardChunk(t);
  const p = backwardParameters.read(k);
  const expressions = new Expressions(k, spec, p.constants, p.tables);
  const { total: _, ...starts } = layout(k.width, spec);
  const part = Object.fromEntries(
    Object.entries(starts).map(([name, at]) => [name, k.offset(k.scratch, at)]),
  ) as Record<keyof typeof starts, Pointer>;
  const [pitchD, pitchE] = [4 * padded(D, k.width), 4 * padded(E, k.width)];
  const tiles = k.div(k.add(p.L, t.queryTile * period - 1), t.queryTile * period);
  const group = k.div(p.H, p.G);
  const rotation = k.max(p.keyChunks, p.queryChunks);
  const guard = guardOf(k, spec, p.flags);

  k.loop(k.begin, k.end, (task) => {
    const keyChunk = k.loadI32(k.offset(p.chunks, k.rem(task, p.chunkCount), 4));
    const [kvHead, residue] = divide(k, k.div(task, p.chunkCount), period);
    const queryChunk = k.rem(k.add(keyChunk, p.ahead), rotation);
    const b = k.div(kvHead, p.G);
    const rowsOf = rowsOfClass(k, period, residue, p.L, p.S);
    const { L, S, start, pitch } = rowsOf;
    const firstKey = k.mul(keyChunk, chunk);
    const keyCount = k.max(k.min(k.sub(S, firstKey), chunk), 0);
    const keys = start(p.k, kvHead, p.S, D);
    const values = start(p.v, kvHead, p.S, E);
    const blocks = chunk / t.keyBlock;
    const range = { first: k.mul(keyChunk, blocks), last: k.mul(k.add(keyChunk, 1), blocks) };

    // rows of the chunk that were visited
    const low = k.variable('i32', chunk);
    const high = k.variable('i32', 0);

    const queryTile = (head: I32, h: I32, tile: I32): void => {
      const classOf = k.add(k.mul(b, p.classPerBatch), k.mul(h, p.classPerHead));
      const map = { rowOffsets: p.rowOffsets, runs: p.runs, row: k.add(k.mul(classOf, tiles), tile), S };
      const q0 = k.mul(tile, t.queryTile);
      const rows = rowsOf.tile(head, q0, t.queryTile);
      const valid = k.min(k.sub(L, q0), t.queryTile);
      const packed = k.variable('i32', 0);
      forEachKeyTile(k, t, map, range, (k0, count, partial) => {
        k.if(k.eq(high, 0), () => {
          fill(k, part.dk, k.mul(keyCount, pitchD), 0);
          fill(k, part.dv, k.mul(keyCount, pitchE), 0);
        });
        const local = k.sub(k0, firstKey);
        k.assign(low, k.min(low, local));
        k.assign(high, k.max(high, k.add(local, count)));
        k.if(k.eq(packed, 0), () => {
          pack(k, t, { ...rows(p.q, D), panels: part.q }, p.scale);
          pack(k, t, { ...rows(p.dout, E), panels: part.dout });
          pack(k, t, { ...rows(p.logsumexp, 1), panels: part.logsumexp });
          pack(k, t, { ...rows(p.delta, 1), panels: part.delta });
          fill(k, part.dq, 4 * t.queryTile * D, 0);
          k.assign(packed, 1);
        });
        k.loop(0, t.panels, (panel) => {
          const queries = k.min(k.sub(valid, k.mul(panel, t.panel)), t.panel);
          const firstQuery = k.add(q0, k.mul(panel, t.panel));
          const line = (base: Pointer, columns: number): Pointer => k.offset(base, panel, 4 * t.panel * columns);
          const keyRows = k.offset(keys, k0, pitch(D));
          const { weights, dscores } = part;

          k.if(k.gt(queries, 0), () => {
            rowsTimesPanel(k, t, {
              rows: keyRows,
              pitch: pitch(D),
              columns: D,
              panel: line(part.q, D),
              out: weights,
              count,
            });
            const valueRows = k.offset(values, k0, pitch(E));
            rowsTimesPanel(k, t, {
              rows: valueRows,
              pitch: pitch(E),
              columns: E,
              panel: line(part.dout, E),
              out: dscores,
              count,
            });
            const drop = { count, k0, firstQuery, head, residue, period };
            if (spec.dropout) dropTile(k, t, p, { lines: dscores, ...drop });
            weigh(k, t, expressions, partial, {
              weights,
              dscores,
              count,
              logsumexp: line(part.logsumexp, 1),
              delta: line(part.delta, 1),
              at: { b, h, k0, residue, positions: queryPositions(k, t, { firstQuery, L, S }) },
            });
            if (spec.dropout) dropTile(k, t, p, { lines: weights, ...drop });
            const careful = guard?.(partial);
            accumulate(k, t, {
              out: line(part.dq, D),
              pitch: 4 * t.panel,
              count: D,
              vectors: t.vectors,
              a: { pointer: keyRows, step: pitch(D), stride: 4 },
              b: { pointer: dscores, step: 4 * t.panel, stride: 4 * k.width },
              depth: count,
              weights: 'b',
              careful,
            });
            const source = (base: Pointer, columns: number): Operand =>
              vectorRows(
                k,
                k.offset(start(base, head, p.L, columns), firstQuery, pitch(columns)),
                columns,
                pitch(columns),
                queries,
                part.rows,
              );
            const intoKeys = (out: Pointer, rowPitch: number, lines: Pointer, from: Operand): void =>
              accumulate(k, t, {
                out: k.offset(out, local, rowPitch),
                pitch: rowPitch,
                count,
                vectors: rowPitch / (4 * k.width),
                a: { pointer: lines, step: 4, stride: 4 * t.panel },
                b: from,
                depth: queries,
                weights: 'a',
                careful,
              });
            intoKeys(part.dv, pitchE, weights, source(p.dout, E));
            intoKeys(part.dk, pitchD, dscores, source(p.q, D));
          });
        });
      });
      k.if(packed, () => unpack(k, t, { ...rows(p.dq, D), panels: part.dq }, p.scale));
    };

    k.if(k.lt(queryChunk, p.queryChunks), () => {
      const firstTile = k.mul(queryChunk, chunk / t.queryTile);
      const lastTile = k.min(k.add(firstTile, chunk / t.queryTile), k.div(k.add(L, t.queryTile - 1), t.queryTile));
      k.loop(0, group, (member) => {
        const h = k.add(k.mul(k.rem(kvHead, p.G), group), member);
        k.loop(firstTile, lastTile, (tile) => queryTile(k.add(k.mul(b, p.H), h), h, tile));
      });
      const first = k.add(firstKey, low);
      const visited = (base: Pointer, from: Pointer, columns: number) => ({
        to: k.offset(start(base, kvHead, p.S, columns), first, pitch(columns)),
        from: k.offset(from, low, 4 * padded(columns, k.width)),
        count: k.sub(high, low),
        columns,
        pitch: pitch(columns),
      });
      k.if(high, () => {
        addRows(k, visited(p.dk, part.dk, D), p.scale);
        addRows(k, visited(p.dv, part.dv, E));
      });
    });
  });
}

/** Rows as vectors: where they lie if whole vectors fit, else a copy padded with zeros. */
function vectorRows(
  k: VectorBuilder,
  rows: Pointer,
  columns: number,
  pitch: number,
  count: I32,
  copy: Pointer,
): Operand {
  const stride = 4 * k.width;
  if (columns % k.width === 0) return { pointer: rows, step: pitch, stride };
  const step = 4 * padded(columns, k.width);
  const rest = k.constant('i32', columns % k.width);
  const whole = Math.floor(columns / k.width);
  k.loop(0, count, (r) => {
    const [from, to] = [k.offset(rows, r, pitch), k.offset(copy, r, step)];
    if (whole > 0) k.loop(0, whole, (v) => k.store(k.offset(to, v, stride), k.loadVF(k.offset(from, v, stride))));
    k.store(to, k.loadVF(from, whole * stride, rest), whole * stride);
  });
  return { pointer: copy, step, stride };
}

/** Adds padded rows of the workspace to rows of a tensor, times `factor`. */
function addRows(
  k: VectorBuilder,
  x: {
    readonly to: Pointer;
    readonly from: Pointer;
    readonly count: I32;
    readonly columns: number;
    readonly pitch: number;
  },
  factor?: F32,
): void {
  k.loop(0, x.count, (j) => {
    const from = k.offset(x.from, j, 4 * padded(x.columns, k.width));
    const to = k.offset(x.to, j, x.pitch);
    eachVector(k, k.constant('i32', 0), k.constant('i32', x.columns), (c, lanes) => {
      const [value, cell] = [k.loadVF(k.offset(from, c, 4)), k.offset(to, c, 4)];
      const old = k.loadVF(cell, 0, lanes);
      k.store(cell, factor ? k.fma(value, k.splat(factor), old) : k.add(value, old), 0, lanes);
    });
  });
}

import { exp2, log2e } from '../../codegen/math.js';
import type { I32, Pointer, VectorBuilder, VF, VI } from '../../codegen/vector.js';
import { parameterList, type Kernel } from '../kernel.js';
import { forEachKept } from './dropout.js';
import { attendTiles, backwardChunk, type AttendTiles } from './layout.js';
import { fill, pack, unpack } from './panel.js';
import { Expressions, shared, specKey, type AttendSpec, type Position } from './spec.js';
import { accumulate, forEachKeyTile, queryPositions, rowsTimesPanel } from './tiles.js';

export const backwardParameters = parameterList({
  ...shared,
  dout: 'pointer',
  /** Σ_e dout·out − dlogsumexp of each query. */
  delta: 'pointer',
  dq: 'pointer',
  dk: 'pointer',
  dv: 'pointer',
  scale: 'f32',
  /** Key chunks, query chunks, and how far each key chunk's query chunk is ahead in this step. */
  keyChunks: 'i32',
  queryChunks: 'i32',
  ahead: 'i32',
});

/** Where the parts of a thread's workspace start, in bytes. */
function layout(width: number, D: number, E: number): Record<'dout' | 'dq' | 'p' | 'ds' | 'rowsQ' | 'rowsDout' | 'dk' | 'dv' | 'total', number> {
  const t = attendTiles(width);
  const chunk = backwardChunk(t);
  const [paddedD, paddedE] = [padded(D, width), padded(E, width)];
  const sizes = {
    q: t.queryTile * D,
    dout: t.queryTile * E,
    dq: t.queryTile * D,
    p: t.keyTile * t.panel,
    ds: t.keyTile * t.panel,
    rowsQ: paddedD === D ? 0 : t.panel * paddedD,
    rowsDout: paddedE === E ? 0 : t.panel * paddedE,
    dk: chunk * paddedD,
    dv: chunk * paddedE,
    total: 0,
  };
  let at = 0;
  const starts = Object.entries(sizes).map(([name, size]) => [name, (at += 4 * size) - 4 * size]);
  return Object.fromEntries(starts) as ReturnType<typeof layout>;
}

const padded = (columns: number, width: number): number => Math.ceil(columns / width) * width;

export const backwardScratch = (width: number, D: number, E: number): number => layout(width, D, E).total;

/**
 * Gradients of attention with recomputed weights (Dao 2023, arXiv:2307.08691, algorithm 2). A task is one chunk of keys
 * against one chunk of queries, of one key/value head; a step pairs every key chunk with another query chunk, so no two
 * tasks of a step write the same row, and every row is summed in one order whatever the number of threads.
 *
 * P = 2^(s − logsumexp), dP = dO·Vᵀ, dS = P ⊙ (dP − δ) ⊙ ∂score; dV += Pᵀ·dO, dK += dSᵀ·Q·scale, dQ += dS·K·scale.
 */
export function attendBackward(spec: AttendSpec): Kernel {
  return {
    name: 'attend backward',
    key: `attend-backward/${specKey(spec)}`,
    parameters: backwardParameters.kinds,
    cpu: (k) => text(k, spec),
  };
}

function text(k: VectorBuilder, spec: AttendSpec): void {
  const { D, E } = spec;
  const t = attendTiles(k.width);
  const chunk = backwardChunk(t);
  const p = backwardParameters.read(k);
  const expressions = new Expressions(k, spec, p.constants, p.tables);
  const starts = layout(k.width, D, E);
  const part = (name: keyof typeof starts): Pointer => k.offset(k.scratch, starts[name]);
  const [qT, doutT, dqT, weights, dscores, dk, dv] = [k.scratch, part('dout'), part('dq'), part('p'), part('ds'), part('dk'), part('dv')];
  const [pitchD, pitchE] = [4 * padded(D, k.width), 4 * padded(E, k.width)];
  const tiles = k.div(k.add(p.L, t.queryTile - 1), t.queryTile);
  const group = k.div(p.H, p.G);
  const rotation = k.max(p.keyChunks, p.queryChunks);

  k.loop(k.begin, k.end, (task) => {
    const keyChunk = k.rem(task, p.keyChunks);
    const kvHead = k.div(task, p.keyChunks);
    const queryChunk = k.rem(k.add(keyChunk, p.ahead), rotation);
    const b = k.div(kvHead, p.G);
    const firstKey = k.mul(keyChunk, chunk);
    const keyCount = k.min(k.sub(p.S, firstKey), chunk);
    const keys = k.offset(p.k, k.mul(kvHead, p.S), 4 * D);
    const values = k.offset(p.v, k.mul(kvHead, p.S), 4 * E);
    const blocks = k.constant('i32', chunk / t.keyBlock);
    const range = { first: k.mul(keyChunk, blocks), last: k.add(k.mul(keyChunk, blocks), blocks) };

    k.if(k.lt(queryChunk, p.queryChunks), () => {
      fill(k, dk, k.mul(keyCount, pitchD), 0);
      fill(k, dv, k.mul(keyCount, pitchE), 0);
      k.loop(0, group, (member) => {
        const h = k.add(k.mul(k.rem(kvHead, p.G), group), member);
        const head = k.add(k.mul(b, p.H), h);
        const firstTile = k.mul(queryChunk, chunk / t.queryTile);
        const lastTile = k.min(k.add(firstTile, chunk / t.queryTile), tiles);
        k.loop(firstTile, lastTile, (tile) => {
          const classOf = k.add(k.mul(b, p.classPerBatch), k.mul(h, p.classPerHead));
          const map = { rowOffsets: p.rowOffsets, runs: p.runs, row: k.add(k.mul(classOf, tiles), tile), S: p.S };
          const q0 = k.mul(tile, t.queryTile);
          const valid = k.min(k.sub(p.L, q0), t.queryTile);
          const rows = (base: Pointer, columns: number): Pointer =>
            k.offset(k.offset(base, k.mul(head, p.L), 4 * columns), q0, 4 * columns);
          const visited = k.variable('i32', 0);
          forEachKeyTile(k, t, map, range, (k0, count, partial) => {
            k.if(k.eq(visited, 0), () => {
              pack(k, t, { rows: rows(p.q, D), columns: D, panels: qT, valid }, p.queryFactor);
              pack(k, t, { rows: rows(p.dout, E), columns: E, panels: doutT, valid });
              fill(k, dqT, 4 * t.queryTile * D, 0);
              k.assign(visited, 1);
            });
            k.loop(0, t.panels, (panel) => {
              const inPanel = k.min(k.sub(valid, k.mul(panel, t.panel)), t.panel);
              k.if(k.gt(inPanel, 0), () => {
                const firstQuery = k.add(q0, k.mul(panel, t.panel));
                const row = k.add(k.mul(head, p.L), firstQuery);
                const line = (base: Pointer, columns: number): Pointer => k.offset(base, panel, 4 * t.panel * columns);
                const keyRows = k.offset(keys, k0, 4 * D);
                rowsTimesPanel(k, t, { rows: keyRows, columns: D, panel: line(qT, D), out: weights, count });
                rowsTimesPanel(k, t, { rows: k.offset(values, k0, 4 * E), columns: E, panel: line(doutT, E), out: dscores, count });
                if (spec.dropout) dropGradients(k, t, p, dscores, { count, k0, firstQuery, head });
                weigh(k, t, expressions, partial, {
                  weights, dscores, count, inPanel,
                  logsumexp: k.offset(p.logsumexp, row, 4),
                  delta: k.offset(p.delta, row, 4),
                  at: { b, h, k0, positions: queryPositions(k, t, { firstQuery, L: p.L, S: p.S }) },
                });
                accumulate(k, t, {
                  out: line(dqT, D), pitch: 4 * t.panel, count: D, vectors: t.vectors,
                  a: { pointer: keyRows, step: 4 * D, stride: 4 },
                  b: { pointer: dscores, step: 4 * t.panel, stride: 4 * k.width },
                  depth: count, skipZeros: spec.careful ? 'b' : undefined,
                });
                if (spec.dropout) dropWeights(k, t, p, weights, { count, k0, firstQuery, head });
                const local = k.sub(k0, firstKey);
                const intoKeys = (out: Pointer, pitch: number, from: Pointer, source: Pointer, columns: number, copy: Pointer): void => {
                  const b_ = naturalRows(k, k.offset(source, row, 4 * columns), columns, inPanel, copy);
                  accumulate(k, t, {
                    out: k.offset(out, local, pitch), pitch, count, vectors: pitch / (4 * k.width),
                    a: { pointer: from, step: 4, stride: 4 * t.panel },
                    b: b_, depth: inPanel, skipZeros: spec.careful ? 'a' : undefined,
                  });
                };
                intoKeys(dv, pitchE, weights, p.dout, E, part('rowsDout'));
                intoKeys(dk, pitchD, dscores, p.q, D, part('rowsQ'));
              });
            });
          });
          k.if(visited, () => {
            const add = (value: Parameters<NonNullable<Parameters<typeof unpack>[3]>>[0], target: Pointer) => k.fma(value, p.scale, k.loadF32(target));
            unpack(k, t, { rows: rows(p.dq, D), columns: D, panels: dqT, valid }, add);
          });
        });
      });
      const into = (base: Pointer, from: Pointer, columns: number, pitch: number, factor?: typeof p.scale): void => {
        const to = k.offset(k.offset(base, k.mul(kvHead, p.S), 4 * columns), firstKey, 4 * columns);
        k.loop(0, keyCount, (j) => {
          const [source, target] = [k.offset(from, j, pitch), k.offset(to, j, 4 * columns)];
          k.loop(0, columns, (c) => {
            const value = k.loadF32(k.offset(source, c, 4));
            const cell = k.offset(target, c, 4);
            k.store(cell, factor ? k.fma(value, factor, k.loadF32(cell)) : k.add(value, k.loadF32(cell)));
          });
        });
      };
      into(p.dk, dk, D, pitchD, p.scale);
      into(p.dv, dv, E, pitchE);
    });
  });
}

/** Rows as vectors: where they lie if whole vectors fit, else a copy padded with zeros. */
function naturalRows(k: VectorBuilder, rows: Pointer, columns: number, count: I32, copy: Pointer): { pointer: Pointer; step: number; stride: number } {
  const stride = 4 * k.width;
  if (columns % k.width === 0) return { pointer: rows, step: 4 * columns, stride };
  const step = 4 * padded(columns, k.width);
  const rest = k.constant('i32', columns % k.width);
  k.loop(0, count, (r) => {
    const [from, to] = [k.offset(rows, r, 4 * columns), k.offset(copy, r, step)];
    const whole = Math.floor(columns / k.width);
    for (let v = 0; v < whole; v++) k.store(to, k.loadVF(from, v * stride), v * stride);
    k.store(to, k.loadVF(from, whole * stride, rest), whole * stride);
  });
  return { pointer: copy, step, stride };
}

interface Weigh {
  readonly weights: Pointer;
  readonly dscores: Pointer;
  readonly count: I32;
  readonly inPanel: I32;
  readonly logsumexp: Pointer;
  readonly delta: Pointer;
  readonly at: { readonly b: I32; readonly h: I32; readonly k0: I32; readonly positions: readonly VI[] };
}

/** In place: scores → weights P, and dP → dS. */
function weigh(k: VectorBuilder, t: AttendTiles, expressions: Expressions, partial: I32, x: Weigh): void {
  const { spec } = expressions;
  const lanes = x.at.positions.map((_, v) => {
    const left = k.sub(x.inPanel, v * k.width);
    const logsumexp = k.loadVF(x.logsumexp, 4 * v * k.width, left);
    // a row without any key has no weights; its scores must not meet −∞ − −∞
    const base = k.select(k.eq(logsumexp, -Infinity), k.constant('vf', 0), k.mul(logsumexp, log2e));
    return { base, delta: k.loadVF(x.delta, 4 * v * k.width, left) };
  });
  const sweep = (masked: boolean): void =>
    k.loop(0, x.count, (j) => {
      const [line, dline] = [k.offset(x.weights, j, 4 * t.panel), k.offset(x.dscores, j, 4 * t.panel)];
      lanes.forEach(({ base, delta }, v) => {
        const at = 4 * v * k.width;
        const position: Position = { b: x.at.b, h: x.at.h, k: k.add(x.at.k0, j), q: x.at.positions[v]! };
        const raw = k.loadVF(line, at);
        const score = spec.score ? k.mul(expressions.score(position, raw), log2e) : raw;
        const allowed = masked ? expressions.mask(position) : undefined;
        const only = (value: VF): VF => (allowed ? k.select(allowed, value, 0) : value);
        const weight = only(exp2(k, k.sub(score, base)));
        const slope = expressions.slope(position, raw);
        const change = k.mul(weight, k.sub(k.loadVF(dline, at), delta));
        k.store(line, weight, at);
        k.store(dline, only(slope ? k.mul(change, slope) : change), at);
      });
    });
  if (spec.mask) k.if(partial, () => sweep(true), () => sweep(false));
  else sweep(false);
}

type Drop = Parameters<typeof forEachKept>[2];
type DropAt = Parameters<typeof forEachKept>[3];

/** dP of the weights before dropout. */
function dropGradients(k: VectorBuilder, t: AttendTiles, p: Drop, lines: Pointer, x: DropAt): void {
  const factor = k.splat(p.keepFactor);
  forEachKept(k, t, p, x, (j, at, keep) => {
    const line = k.offset(lines, j, 4 * t.panel);
    k.store(line, k.select(keep, k.mul(k.loadVF(line, at), factor), 0), at);
  });
}

const dropWeights = dropGradients;

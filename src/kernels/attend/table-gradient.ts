import { gpuModule } from '../../codegen/gpu.js';
import { key, type TableGradient } from '../../codegen/expression/index.js';
import type { Lowered } from '../../codegen/lower.js';
import type { F32, I32, Pointer, VectorBuilder, VF } from '../../codegen/vector.js';
import type { Kernel } from '../../codegen/kernel.js';
import { memoised } from '../../core/memo.js';
import { parameterList } from '../parameters.js';
import { dropTile } from './dropout.js';
import { divide } from './forward.js';
import { attendTiles } from './layout.js';
import { pack } from './panel.js';
import { Expressions, shared, specKey, type AttendSpec, type Position } from './spec.js';
import { forEachKeyTile, queryPositions, rowsOfClass, rowsTimesPanel } from './tiles.js';
import { weigh } from './weigh.js';

const texts = gpuModule(() => import('./gpu/table.js'));

export const tableGradientParameters = parameterList({
  ...shared,
  B: 'i32',
  dout: 'pointer',
  delta: 'pointer',
  dtable: 'pointer',
  /** Tasks of the call; each takes every `stripes`-th tile of queries, of all heads. */
  stripes: 'i32',
  /** Elements from one task's copy of the table to the next; 0 where all write to one. */
  copyPitch: 'i32',
});

export function tableGradientScratch(width: number, spec: AttendSpec): number {
  const { D, E } = spec;
  const t = attendTiles(width, spec);
  return 4 * (t.queryTile * (D + E + 2) + 2 * t.keyTile * t.panel);
}

/**
 * The gradient of a table read by the score change: `dtable[indices] += dScore′ · factor` over all allowed pairs. Each task
 * adds in one order to a copy of its own, or to rows that no other task touches.
 */
export const attendTableGradient = memoised((spec: AttendSpec, gradient: TableGradient): Kernel => {
  const parts = [...gradient.indices, gradient.factor].map(key).join(';');
  return {
    name: 'attend table gradient',
    key: `${specKey(spec)}/${spec.tables.indexOf(gradient.table)}/${parts}`,
    parameters: tableGradientParameters.kinds,
    cpu: (k) => text(k, spec, gradient),
    gpu: (target) => texts().tableText(target, spec, gradient, tableGradientParameters.wgsl),
  };
});

function text(k: VectorBuilder, spec: AttendSpec, gradient: TableGradient): void {
  const { D, E, period } = spec;
  const t = attendTiles(k.width, spec);
  const p = tableGradientParameters.read(k);
  const expressions = new Expressions(k, spec, p.constants, p.tables);
  const queries = k.scratch;
  const douts = k.offset(queries, 4 * t.queryTile * D);
  const logsumexp = k.offset(douts, 4 * t.queryTile * E);
  const delta = k.offset(logsumexp, 4 * t.queryTile);
  const weights = k.offset(delta, 4 * t.queryTile);
  const dscores = k.offset(weights, 4 * t.keyTile * t.panel);
  const tiles = k.div(k.add(p.L, t.queryTile * period - 1), t.queryTile * period);
  const group = k.div(p.H, p.G);

  const queryTile = (dtable: Pointer, head: I32, residue: I32, tile: I32): void => {
    const rowsOf = rowsOfClass(k, period, residue, p.L, p.S);
    const { L, S, start, pitch } = rowsOf;
    const b = k.div(head, p.H);
    const h = k.rem(head, p.H);
    const kvHead = k.add(k.mul(b, p.G), k.div(h, group));
    const q0 = k.mul(tile, t.queryTile);
    const rows = rowsOf.tile(head, q0, t.queryTile);
    pack(k, t, { ...rows(p.q, D), panels: queries }, p.scale);
    pack(k, t, { ...rows(p.dout, E), panels: douts });
    pack(k, t, { ...rows(p.logsumexp, 1), panels: logsumexp });
    pack(k, t, { ...rows(p.delta, 1), panels: delta });
    const classOf = k.add(k.mul(b, p.classPerBatch), k.mul(h, p.classPerHead));
    const map = { rowOffsets: p.rowOffsets, runs: p.runs, row: k.add(k.mul(classOf, tiles), tile), S };
    forEachKeyTile(k, t, map, undefined, (k0, count, partial) => {
      k.loop(0, t.panels, (panel) => {
        const firstQuery = k.add(q0, k.mul(panel, t.panel));
        const line = (base: Pointer, columns: number): Pointer => k.offset(base, panel, 4 * t.panel * columns);
        const product = (base: Pointer, columns: number, lines: Pointer, out: Pointer): void =>
          rowsTimesPanel(k, t, {
            rows: k.offset(start(base, kvHead, p.S, columns), k0, pitch(columns)),
            pitch: pitch(columns),
            columns,
            panel: line(lines, columns),
            out,
            count,
          });
        product(p.k, D, queries, weights);
        product(p.v, E, douts, dscores);
        if (spec.dropout) dropTile(k, t, p, { lines: dscores, count, k0, firstQuery, head, residue, period });
        const at = { b, h, k0, residue, positions: queryPositions(k, t, { firstQuery, L, S }) };
        const lines = { weights, dscores, count, logsumexp: line(logsumexp, 1), delta: line(delta, 1), at };
        weigh(k, t, expressions, partial, lines, (j, v, change, raw, only) => {
          const position = { ...at, k: k.add(k0, j), q: at.positions[v]! };
          scatter(k, expressions, gradient, dtable, position, (factor) => only(k.mul(change, factor)), raw);
        });
      });
    });
  };

  k.loop(k.begin, k.end, (task) => {
    const dtable = k.offset(p.dtable, k.mul(task, p.copyPitch), 4);
    k.loop(0, k.mul(k.mul(p.B, p.H), period), (line) => {
      const [head, residue] = divide(k, line, period);
      const tile = k.variable('i32', task);
      k.while(
        () => k.lt(tile, tiles),
        () => {
          queryTile(dtable, head, residue, tile);
          k.assign(tile, k.add(tile, p.stripes));
        },
      );
    });
  });
}

/** Adds one vector of score gradients, `times` the slope, to the table; reads out of range have no gradient. */
function scatter(
  k: VectorBuilder,
  expressions: Expressions,
  gradient: TableGradient,
  dtable: Pointer,
  at: Position,
  times: (factor: VF) => VF,
  raw: VF,
): void {
  const factor = expressions.value(gradient.factor, at, raw);
  const product = times(factor.kind === 'f32' ? k.splat(factor) : (factor as VF));
  const indices = gradient.indices.map((index) => expressions.value(index, at, raw));
  const { dimensions } = expressions.binding(gradient.table);
  const add = (read: (index: Lowered) => I32, value: F32): void => {
    let inside: I32 | undefined;
    let flat = k.constant('i32', 0);
    indices.forEach((index, d) => {
      const i = read(index);
      const within = k.and(k.ge(i, 0), k.lt(i, dimensions[d]!));
      inside = inside ? k.and(inside, within) : within;
      flat = k.add(k.mul(flat, dimensions[d]!), i);
    });
    k.if(inside!, () => {
      const cell = k.offset(dtable, flat, 4);
      k.store(cell, k.add(k.loadF32(cell), value));
    });
  };
  if (indices.every((index) => index.kind === 'i32')) return add((index) => index as I32, k.reduceAdd(product));
  for (let lane = 0; lane < k.width; lane++) {
    const read = (index: Lowered): I32 => (index.kind === 'vi' ? k.lane(index, lane) : (index as I32));
    add(read, k.lane(product, lane));
  }
}

export const sumCopiesParameters = parameterList({ copies: 'pointer', out: 'pointer', count: 'i32', size: 'i32' });

/** Elements of one task. */
export const sumCopiesChunk = 4096;

/** `out[i] = Σ_c copies[c][i]`, in order of c. */
export const sumCopies: Kernel = {
  name: 'sum copies',
  key: '',
  parameters: sumCopiesParameters.kinds,
  cpu: (k) => {
    const p = sumCopiesParameters.read(k);
    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(task, sumCopiesChunk);
      k.loop(first, k.min(k.add(first, sumCopiesChunk), p.size), (i) => {
        const sum = k.variable('f32', 0);
        k.loop(0, p.count, (c) => {
          const copy = k.offset(p.copies, c, k.mul(p.size, 4));
          k.assign(sum, k.add(sum, k.loadF32(k.offset(copy, i, 4))));
        });
        k.store(k.offset(p.out, i, 4), sum);
      });
    });
  },
};

import type { FloatDtype } from '../../core/dtype.js';
import type { I32, Pointer, VectorBuilder, VF } from '../../codegen/vector.js';
import type { Kernel } from '../kernel.js';
import { accumulators, multiplyTile, type Accumulators } from '../tile.js';
import { matmulTiles } from './layout.js';
import { loadVector, packScalars } from './pack.js';

/** Bytes a task needs: a packed block of A, an edge tile, and a slice of a panel of B if it packs its own. */
export function multiplyScratch(width: number): number {
  const t = matmulTiles(width);
  return 4 * (t.block * t.depth + t.panel * t.depth + t.rows * t.panel);
}

export function packKernel(dtype: FloatDtype, contiguous: boolean): Kernel {
  return {
    name: 'matmul pack',
    key: `matmul-pack/${dtype}/${contiguous}`,
    // B, packed, K, N, row and column steps in bytes, panels, bytes of a matrix
    parameters: ['pointer', 'pointer', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32'],
    cpu: (k) => {
      const t = matmulTiles(k.width);
      const [K, N, row, column, panels, matrix] = [2, 3, 4, 5, 6, 7].map((i) => k.parameter(i, 'i32')) as [I32, I32, I32, I32, I32, I32];
      k.loop(k.begin, k.end, (task) => {
        const panel = k.rem(task, panels);
        const n0 = k.mul(panel, t.panel);
        const from = k.offset(k.offset(k.parameter(0, 'pointer'), k.div(task, panels), matrix), n0, column);
        const to = k.offset(k.parameter(1, 'pointer'), k.mul(task, K), 4 * t.panel);
        packPanel(k, { from, to, row, column, dtype, contiguous, columns: k.sub(N, n0), length: K });
      });
    },
  };
}

interface PanelCopy {
  readonly from: Pointer; readonly to: Pointer; readonly row: I32; readonly column: I32; readonly dtype: FloatDtype;
  readonly contiguous: boolean; readonly columns: I32; readonly length: I32;
}

function packPanel(k: VectorBuilder, c: PanelCopy): void {
  const { panel, vectors } = matmulTiles(k.width);
  const W = k.width;
  const size = c.dtype === 'f32' ? 4 : 2;
  if (!c.contiguous) {
    // a register tile's worth of lanes at a time
    k.loop(0, panel, (lane) => {
      const last = k.sub(c.columns, 1);
      const source = k.variable('pointer', k.offset(c.from, k.min(lane, last), c.column));
      const target = k.variable('pointer', k.offset(c.to, lane, 4));
      k.loop(0, c.length, () => {
        k.store(target, k.loadF32(source));
        k.assign(source, k.offset(source, 1, c.row));
        k.assign(target, k.offset(target, 4 * panel));
      });
    });
    return;
  }
  const source = k.variable('pointer', c.from);
  const target = k.variable('pointer', c.to);
  const advance = (): void => {
    k.assign(source, k.offset(source, 1, c.row));
    k.assign(target, k.offset(target, 4 * panel));
  };
  const lanes = Array.from({ length: vectors }, (_, v) => v);
  k.if(
    k.ge(c.columns, panel),
    () =>
      k.loop(0, c.length, () => {
        lanes.forEach((v) => k.store(target, loadVector(k, c.dtype, source, size * v * W), 4 * v * W));
        advance();
      }),
    () =>
      k.loop(0, c.length, () => {
        k.loop(0, vectors, (v) => {
          const count = k.sub(c.columns, k.mul(v, W));
          k.store(k.offset(target, v, 4 * W), loadVector(k, c.dtype, k.offset(source, v, size * W), 0, count));
        });
        advance();
      }),
  );
}

export interface MultiplySpec {
  readonly a: FloatDtype;
  readonly b: FloatDtype | 'packed';
  readonly bContiguous?: boolean;
}

export function multiplyKernel(spec: MultiplySpec): Kernel {
  return {
    name: 'matmul',
    key: `matmul/${JSON.stringify(spec)}`,
    // A, B, C, M, N, K, A row step, A column step, blocks of M, ranges of N, panels a range
    parameters: ['pointer', 'pointer', 'pointer', ...new Array<'i32'>(8).fill('i32')],
    cpu: (k) => text(k, spec),
  };
}

function text(k: VectorBuilder, spec: MultiplySpec): void {
  const t = matmulTiles(k.width);
  const A = k.parameter(0, 'pointer');
  const B = k.parameter(1, 'pointer');
  const C = k.parameter(2, 'pointer');
  const [M, N, K, aRow, aColumn, blocks, ranges, panelsPerRange] = [3, 4, 5, 6, 7, 8, 9, 10].map((i) => k.parameter(i, 'i32')) as [I32, I32, I32, I32, I32, I32, I32, I32];
  const aBlock = k.scratch;
  const edge = k.offset(k.scratch, 4 * (t.block * t.depth + t.panel * t.depth));
  const panels = k.div(k.add(N, t.panel - 1), t.panel);
  k.loop(k.begin, k.end, (task) => {
    const block = k.rem(task, blocks);
    const range = k.rem(k.div(task, blocks), ranges);
    const batch = k.div(k.div(task, blocks), ranges);
    const m0 = k.mul(block, t.block);
    const rows = k.min(k.sub(M, m0), t.block);
    const firstPanel = k.mul(range, panelsPerRange);
    const lastPanel = k.min(k.add(firstPanel, panelsPerRange), panels);
    k.loop(
      0,
      K,
      (k0) => {
        const depth = k.min(k.sub(K, k0), t.depth);
        const aFrom = k.offset(k.offset(A, m0, aRow), k0, aColumn);
        k.loop(
          0,
          rows,
          (r) => {
            const from = { pointer: k.offset(aFrom, r, aRow), lane: aRow, step: aColumn, dtype: spec.a };
            packScalars(k, from, k.offset(aBlock, r, 4 * t.depth), t.rows, k.sub(rows, r), depth);
          },
          t.rows,
        );
        k.loop(firstPanel, lastPanel, (panel) => {
          const n0 = k.mul(panel, t.panel);
          const b = k.offset(k.offset(B, k.mul(k.add(k.mul(batch, panels), panel), K), 4 * t.panel), k0, 4 * t.panel);
          k.loop(
            0,
            rows,
            (r) => {
              const row = k.add(k.mul(batch, M), k.add(m0, r));
              const c = k.offset(k.offset(C, k.mul(row, N), 4), n0, 4);
              tile(k, {
                a: k.offset(aBlock, r, 4 * t.depth), b, c, edge, depth,
                pitch: k.shl(N, 2),
                rows: k.sub(rows, r), columns: k.sub(N, n0),
                first: k.eq(k0, 0),
              });
            },
            t.rows,
          );
        });
      },
      t.depth,
    );
  });
}

interface Tile {
  readonly a: Pointer; readonly b: Pointer; readonly c: Pointer; readonly edge: Pointer;
  readonly depth: I32; readonly pitch: I32; readonly rows: I32; readonly columns: I32; readonly first: I32;
}

function tile(k: VectorBuilder, s: Tile): void {
  const t = matmulTiles(k.width);
  const W = k.width;
  const product = (vectors: number): Accumulators => {
    const c = accumulators(k, t.rows, vectors);
    multiplyTile(k, c, { pointer: s.a, step: 4 * t.rows, stride: 4 }, { pointer: s.b, step: 4 * t.panel, stride: 4 * W }, s.depth);
    return c;
  };
  const whole = k.and(k.ge(s.rows, t.rows), k.ge(s.columns, t.panel));
  k.if(
    whole,
    () => {
      const c = product(t.vectors);
      const rows = c.map((_, r) => k.offset(s.c, r, s.pitch));
      k.if(k.eq(s.first, 0), () =>
        c.forEach((row, r) => row.forEach((x, v) => k.assign(x, k.add(x, k.loadVF(rows[r]!, 4 * v * W))))),
      );
      c.forEach((row, r) => row.forEach((x, v) => k.store(rows[r]!, x, 4 * v * W)));
    },
    () => {
      for (let v = 1; v <= t.vectors; v++) {
        const fits = v === t.vectors ? k.gt(s.columns, (v - 1) * W) : k.and(k.gt(s.columns, (v - 1) * W), k.le(s.columns, v * W));
        k.if(fits, () => product(v).forEach((row, r) => row.forEach((x, i) => k.store(s.edge, x, 4 * (r * t.panel + i * W)))));
      }
      const columns = k.min(s.columns, t.panel);
      k.loop(0, k.min(s.rows, t.rows), (r) => {
        const from = k.offset(s.edge, r, 4 * t.panel);
        const to = k.offset(s.c, r, s.pitch);
        k.loop(0, columns, (j) => {
          const count = k.sub(columns, j);
          const sum: VF = k.loadVF(k.offset(from, j, 4));
          const target = k.offset(to, j, 4);
          const x = k.variable('vf', sum);
          k.if(k.eq(s.first, 0), () => k.assign(x, k.add(x, k.loadVF(target, 0, count))));
          k.store(target, x, 0, count);
        }, W);
      });
    },
  );
}

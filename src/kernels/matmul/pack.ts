import type { I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import { bytesPerElement, type FloatDtype } from '../../core/dtype.js';
import { loadFloats, loadSplat } from '../cast/convert.js';
import { registerTile } from '../tile.js';
import { transpose } from '../transpose.js';
import { panelColumns } from './layout.js';
import { typedKernel } from '../typed-kernel.js';

/** An operand as it is stored: `contiguous` along its columns, or along its rows. */
export interface Stored {
  readonly dtype: FloatDtype;
  readonly contiguous: boolean;
}

export const storedKey = ({ dtype, contiguous }: Stored): string => `${dtype}${contiguous ? '' : 'ᵀ'}`;

interface LaneCopy {
  readonly from: Pointer;
  readonly dtype: FloatDtype;
  /** Elements between lanes, and between steps. */
  readonly laneStride: I32;
  readonly stepStride: I32;
  /** Lanes that exist. */
  readonly count: I32;
  readonly length: I32;
  readonly to: Pointer;
  /** Lanes written, and elements from one step to the next where they are written. */
  readonly lanes: number;
  readonly pitch: number;
}

/**
 * `to[step·pitch + lane] = from[lane·laneStride + step·stepStride]` as f32. Lanes past `count` repeat the last one:
 * what is computed from them is never stored.
 */
export function packLanes(k: VectorBuilder, copy: LaneCopy): void {
  const element = bytesPerElement[copy.dtype];
  const last = k.sub(copy.count, 1);
  const sources = Array.from({ length: copy.lanes }, (_, lane) => {
    const nearest = k.max(k.min(k.constant('i32', lane), last), 0);
    return k.variable('pointer', k.offset(copy.from, k.mul(nearest, copy.laneStride), element));
  });
  const target = k.variable('pointer', copy.to);
  k.loop(0, copy.length, () => {
    sources.forEach((source, lane) => {
      const value = copy.dtype === 'f32' ? k.loadF32(source) : k.lane(asVector(k, copy.dtype, source), 0);
      k.store(target, value, 4 * lane);
      k.assign(source, k.offset(source, copy.stepStride, element));
    });
    k.assign(target, k.offset(target, 4 * copy.pitch));
  });
}

const asVector = (k: VectorBuilder, dtype: FloatDtype, from: Pointer) =>
  loadSplat(k, dtype, from) as ReturnType<VectorBuilder['loadVF']>;

interface PanelCopy extends Stored {
  /** Element (0, 0) of the panel. */
  readonly from: Pointer;
  readonly rowStride: I32;
  readonly columnStride: I32;
  /** Columns that exist, at least 1. */
  readonly columns: I32;
  readonly length: I32;
  readonly to: Pointer;
}

/** Copies `length` rows of a panel of B to `[row][column]`. Columns that do not exist get any value. */
export function packPanel(k: VectorBuilder, copy: PanelCopy): void {
  if (copy.contiguous) packRows(k, copy);
  else packColumns(k, copy);
}

/** Rows are contiguous: whole vectors. */
function packRows(k: VectorBuilder, copy: PanelCopy): void {
  const { vectors } = registerTile(k.width);
  const panel = panelColumns(k.width);
  const element = bytesPerElement[copy.dtype];
  const source = k.variable('pointer', copy.from);
  const target = k.variable('pointer', copy.to);
  const eachRow = (row: () => void): void =>
    k.loop(0, copy.length, () => {
      row();
      k.assign(source, k.offset(source, copy.rowStride, element));
      k.assign(target, k.offset(target, 4 * panel));
    });
  const whole = (): void => {
    for (let v = 0; v < vectors; v++) {
      k.store(target, loadFloats(k, copy.dtype, source, element * v * k.width), 4 * v * k.width);
    }
  };
  const partial = (): void =>
    k.loop(
      0,
      k.min(copy.columns, panel),
      (column) => {
        const from = k.offset(source, column, element);
        const left = k.sub(copy.columns, column);
        const to = k.offset(target, column, 4);
        k.if(
          k.ge(left, k.width),
          () => k.store(to, loadFloats(k, copy.dtype, from)),
          () => k.store(to, loadFloats(k, copy.dtype, from, 0, left)),
        );
      },
      k.width,
    );
  k.if(
    k.ge(copy.columns, panel),
    () => eachRow(whole),
    () => eachRow(partial),
  );
}

/** Columns are contiguous: squares of whole panels are turned in registers, what is left goes some columns at a time. */
function packColumns(k: VectorBuilder, copy: PanelCopy): void {
  const first = k.variable('i32', 0);
  if (copy.dtype === 'f32') {
    k.if(k.ge(copy.columns, panelColumns(k.width)), () => {
      k.assign(first, k.and(copy.length, -k.width));
      k.loop(0, first, (step) => packSquares(k, copy, step), k.width);
    });
  }
  packStretches(k, copy, first);
}

/** `width` rows of a whole panel. */
function packSquares(k: VectorBuilder, copy: PanelCopy, step: I32): void {
  const panel = panelColumns(k.width);
  const rows = k.offset(copy.from, k.mul(step, copy.rowStride), 4);
  const to = k.offset(copy.to, step, 4 * panel);
  k.loop(
    0,
    panel,
    (column) => {
      const source = k.variable('pointer', k.offset(rows, k.mul(column, copy.columnStride), 4));
      const columns = Array.from({ length: k.width }, () => {
        const loaded = k.variable('vf', k.loadVF(source));
        k.assign(source, k.offset(source, copy.columnStride, 4));
        return loaded;
      });
      const target = k.offset(to, column, 4);
      transpose(k, columns).forEach((row, i) => k.store(target, row, 4 * panel * i));
    },
    k.width,
  );
}

/** Some columns at a time, from row `first` on, in stretches whose copies stay in the first cache level. */
function packStretches(k: VectorBuilder, copy: PanelCopy, first: I32): void {
  const panel = panelColumns(k.width);
  const [lanes, stretch] = [Math.min(8, panel), 64];
  const element = bytesPerElement[copy.dtype];
  k.loop(
    first,
    copy.length,
    (step) => {
      const rows = k.offset(copy.from, k.mul(step, copy.rowStride), element);
      const to = k.offset(copy.to, step, 4 * panel);
      k.loop(
        0,
        k.min(copy.columns, panel),
        (column) =>
          packLanes(k, {
            from: k.offset(rows, k.mul(column, copy.columnStride), element),
            dtype: copy.dtype,
            laneStride: copy.columnStride,
            stepStride: copy.rowStride,
            count: k.sub(copy.columns, column),
            length: k.min(k.sub(copy.length, step), stretch),
            to: k.offset(to, column, 4),
            lanes,
            pitch: panel,
          }),
        lanes,
      );
    },
    stretch,
  );
}

/** Rows of B that one task packs. */
export const packRowsPerTask = 512;

/** Packs matrices `[K,N]` into panels `[panel][row][column]`, columns padded; a task takes a stretch of one panel. */
export const packKernel = typedKernel({
  name: 'matmul pack',
  key: storedKey,
  parameters: { b: 'pointer', packed: 'pointer', N: 'i32', K: 'i32', panels: 'i32', stretches: 'i32' },
  text: (k, b: Stored, p) => {
    const panel = panelColumns(k.width);
    const one = k.constant('i32', 1);
    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(k.rem(task, p.stretches), packRowsPerTask);
      const index = k.div(task, p.stretches);
      const column = k.mul(k.rem(index, p.panels), panel);
      const matrix = k.mul(k.div(index, p.panels), k.mul(p.K, p.N));
      const [rowStride, columnStride] = b.contiguous ? [p.N, one] : [one, p.K];
      const start = k.add(matrix, k.add(k.mul(first, rowStride), k.mul(column, columnStride)));
      packPanel(k, {
        ...b,
        from: k.offset(p.b, start, bytesPerElement[b.dtype]),
        rowStride,
        columnStride,
        columns: k.sub(p.N, column),
        length: k.min(k.sub(p.K, first), packRowsPerTask),
        to: k.offset(p.packed, k.add(k.mul(index, p.K), first), 4 * panel),
      });
    });
  },
});

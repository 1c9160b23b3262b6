import type { I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import { bytesPerElement, type FloatDtype } from '../../core/dtype.js';
import { loadFloats } from '../cast/convert.js';
import { accumulators, multiplyTile, registerTile, type Accumulators } from '../tile.js';
import { eachVector } from '../lanes.js';
import { epilogueKey, finishRow, type Epilogue } from './epilogue.js';
import { depth, panelColumns, type MultiplyPlan } from './layout.js';
import { packLanes, packPanel, storedKey, type Stored } from './pack.js';
import type { Read } from '../typed-kernel.js';

/** What every product in tiles is given, whichever part of a result a task has. */
export const productNames = {
  a: 'pointer',
  b: 'pointer',
  bias: 'pointer',
  out: 'pointer',
  kept: 'pointer',
  N: 'i32',
  K: 'i32',
  aRow: 'i32',
  aColumn: 'i32',
  panels: 'i32',
  panelsPerRange: 'i32',
  ranges: 'i32',
  /** Not 0: a tile of rows meets all panels of the range, then the next; else a panel meets all tiles. */
  byRows: 'i32',
} as const;

export interface MultiplySpec {
  readonly rows: number;
  readonly a: Stored;
  /** B as panels from `packKernel`, or as it is stored: then every task packs what it needs. */
  readonly b: 'packed' | Stored;
  readonly bias: FloatDtype | undefined;
  readonly epilogue: Epilogue;
}

export const multiplyKey = ({ rows, a, b, bias, epilogue }: MultiplySpec): string =>
  `${rows}/${storedKey(a)}/${b === 'packed' ? b : storedKey(b)}/${bias ?? '-'}/${epilogueKey(epilogue)}`;

type Parameters = Read<typeof productNames>;

/** Bytes of thread workspace: an edge tile, starting values of a range, a slice of a panel, a block of A. */
export function multiplyScratch(
  width: number,
  plan: Pick<MultiplyPlan, 'rows' | 'packed' | 'blockRows' | 'panelsPerRange'>,
): number {
  const panel = panelColumns(width);
  const tiles = Math.ceil(plan.blockRows / plan.rows);
  const slice = plan.packed ? 0 : depth * panel;
  return 4 * ((plan.rows + plan.panelsPerRange) * panel + slice + tiles * plan.rows * depth);
}

/** Which part of a result a task has, and of what it is the product. */
export interface Part {
  /** Element of A where the rows of the block begin, at step 0 of the inner sum. */
  readonly aStart: I32;
  /** Matrix of B. */
  readonly bMatrix: I32;
  readonly bias: Pointer;
  /** Row of `out` where the block begins. */
  readonly outRow: I32;
  readonly rows: I32;
  /** Range of columns. */
  readonly range: I32;
  /** Steps of the inner sum, which may be empty: then it is 0. */
  readonly kFirst: I32;
  readonly kLast: I32;
}

/** What stays the same within a task. */
interface Task extends Part {
  readonly spec: MultiplySpec;
  readonly p: Parameters;
  readonly firstConstant: number;
  readonly edge: Pointer;
  readonly initial: Pointer;
  readonly slice: Pointer;
  readonly block: Pointer;
  /** The range of panels. */
  readonly firstPanel: I32;
  readonly panels: I32;
}

/** One step of the inner sum: `length` rows of B from `first`. */
interface Step {
  readonly first: I32;
  readonly length: I32;
  readonly continues: I32;
  readonly ends: I32;
}

/** The workspace of a thread, in its parts. */
export function workspace(k: VectorBuilder, spec: MultiplySpec, p: Parameters) {
  const panel = panelColumns(k.width);
  const edge = k.scratch;
  const initial = k.offset(edge, 4 * spec.rows * panel);
  const slice = k.offset(initial, p.panelsPerRange, 4 * panel);
  const block = spec.b === 'packed' ? slice : k.offset(slice, 4 * depth * panel);
  return { edge, initial, slice, block };
}

/** `out = activation(A·B + bias)` of one part: a block of A is packed into tiles of `rows` rows, then each panel of B meets all of them. */
export function multiplyPart(
  k: VectorBuilder,
  spec: MultiplySpec,
  p: Parameters,
  firstConstant: number,
  space: ReturnType<typeof workspace>,
  part: Part,
): void {
  const firstPanel = k.mul(part.range, p.panelsPerRange);
  const panels = k.min(k.sub(p.panels, firstPanel), p.panelsPerRange);
  const task: Task = { ...part, ...space, spec, p, firstConstant, firstPanel, panels };
  const { kFirst, kLast } = part;
  k.loop(
    kFirst,
    // once at least, so that an empty sum is written too
    k.max(kLast, k.add(kFirst, 1)),
    (first) => {
      const length = k.min(k.sub(kLast, first), depth);
      const step = { first, length, continues: k.ne(first, kFirst), ends: k.eq(k.add(first, length), kLast) };
      const from = k.offset(p.a, k.add(part.aStart, k.mul(first, p.aColumn)), bytesPerElement[spec.a.dtype]);
      packBlock(k, task, from, length);
      if (spec.bias !== undefined) startingValues(k, task, step);
      eachTile(k, task, step);
    },
    depth,
  );
}

/** Row r of the block goes to `depth` elements from r·depth on; where A is stored by columns, a tile of rows is interleaved. */
function packBlock(k: VectorBuilder, { spec, p, block, rows }: Task, from: Pointer, length: I32): void {
  const { dtype, contiguous } = spec.a;
  const element = bytesPerElement[dtype];
  if (contiguous) {
    k.loop(0, rows, (row) => {
      const [source, target] = [k.offset(from, k.mul(row, p.aRow), element), k.offset(block, row, 4 * depth)];
      eachVector(k, k.constant('i32', 0), length, (at, count) =>
        k.store(k.offset(target, at, 4), loadFloats(k, dtype, k.offset(source, at, element), 0, count)),
      );
    });
    return;
  }
  k.loop(
    0,
    rows,
    (row) =>
      packLanes(k, {
        from: k.offset(from, k.mul(row, p.aRow), element),
        dtype,
        laneStride: p.aRow,
        stepStride: p.aColumn,
        count: k.sub(rows, row),
        length,
        to: k.offset(block, row, 4 * depth),
        lanes: spec.rows,
        pitch: spec.rows,
      }),
    spec.rows,
  );
}

/** The bias starts the sum: it is added by the step from 0, others start at 0. */
function startingValues(k: VectorBuilder, { spec, p, bias, initial, firstPanel, panels }: Task, step: Step): void {
  const panel = panelColumns(k.width);
  const element = bytesPerElement[spec.bias!];
  const column = k.mul(firstPanel, panel);
  k.loop(0, k.mul(panels, panel), (at) => k.store(k.offset(initial, at, 4), k.constant('vf', 0)), k.width);
  k.if(k.eq(step.first, 0), () =>
    eachVector(k, k.constant('i32', 0), k.min(k.sub(p.N, column), k.mul(panels, panel)), (at, count) => {
      const from = k.offset(bias, k.add(column, at), element);
      k.store(k.offset(initial, at, 4), loadFloats(k, spec.bias!, from, 0, count));
    }),
  );
}

/** All tiles of the block and the range. With `byRows` results are written along their rows, and B comes from the second cache. */
function eachTile(k: VectorBuilder, task: Task, step: Step): void {
  const { spec, p } = task;
  const panel = panelColumns(k.width);
  const tiles = k.div(k.add(task.rows, spec.rows - 1), spec.rows);
  const packed = spec.b === 'packed';
  const [outer, inner] = packed
    ? [k.select(p.byRows, tiles, task.panels), k.select(p.byRows, task.panels, tiles)]
    : [task.panels, tiles];
  k.loop(0, outer, (i) => {
    if (!packed) packSlice(k, task, step, i);
    k.loop(0, inner, (j) => {
      const index = packed ? k.select(p.byRows, j, i) : i;
      const row = k.mul(packed ? k.select(p.byRows, i, j) : j, spec.rows);
      const column = k.mul(k.add(task.firstPanel, index), panel);
      const at = k.add(k.mul(k.add(task.outRow, row), p.N), column);
      tile(k, task, step, {
        a: k.offset(task.block, row, 4 * depth),
        b: packed ? packedPanel(k, task, step, index) : task.slice,
        initial: k.offset(task.initial, index, 4 * panel),
        out: k.offset(p.out, at, 4),
        kept: k.offset(p.kept, at, 4),
        rows: k.min(k.sub(task.rows, row), spec.rows),
        columns: k.min(k.sub(p.N, column), panel),
      });
    });
  });
}

function packedPanel(k: VectorBuilder, { p, bMatrix, firstPanel }: Task, step: Step, index: I32): Pointer {
  const panel = k.add(k.mul(bMatrix, p.panels), k.add(firstPanel, index));
  return k.offset(p.b, k.add(k.mul(panel, p.K), step.first), 4 * panelColumns(k.width));
}

/** Copies this step's part of a panel to the task's own workspace. */
function packSlice(k: VectorBuilder, { spec, p, bMatrix, firstPanel, slice }: Task, step: Step, index: I32): void {
  const b = spec.b as Stored;
  const column = k.mul(k.add(firstPanel, index), panelColumns(k.width));
  const one = k.constant('i32', 1);
  const [rowStride, columnStride] = b.contiguous ? [p.N, one] : [one, p.K];
  const matrix = k.mul(bMatrix, k.mul(p.K, p.N));
  const start = k.add(matrix, k.add(k.mul(step.first, rowStride), k.mul(column, columnStride)));
  const from = k.offset(p.b, start, bytesPerElement[b.dtype]);
  packPanel(k, { ...b, from, rowStride, columnStride, columns: k.sub(p.N, column), length: step.length, to: slice });
}

interface Tile {
  readonly a: Pointer;
  readonly b: Pointer;
  readonly initial: Pointer;
  readonly out: Pointer;
  readonly kept: Pointer;
  readonly rows: I32;
  readonly columns: I32;
}

function tile(k: VectorBuilder, task: Task, step: Step, t: Tile): void {
  const { spec, p } = task;
  const { rows, epilogue } = spec;
  const W = k.width;
  const { vectors } = registerTile(W);
  const panel = vectors * W;
  const product = (live: number): Accumulators => {
    const c = accumulators(k, rows, live, spec.bias && ((_, v) => k.loadVF(t.initial, 4 * v * W)));
    multiplyTile(
      k,
      c,
      spec.a.contiguous ? { pointer: t.a, step: 4, stride: 4 * depth } : { pointer: t.a, step: 4 * rows, stride: 4 },
      { pointer: t.b, step: 4 * panel, stride: 4 * W },
      step.length,
    );
    return c;
  };
  const toEdge = (live: number): void =>
    product(live).forEach((row, r) => row.forEach((x, v) => k.store(task.edge, x, 4 * (r * panel + v * W))));
  const fromEdge = (): void =>
    k.loop(0, t.rows, (row) => {
      const [to, kept] = [t.out, t.kept].map((start) => k.offset(start, k.mul(row, p.N), 4)) as [Pointer, Pointer];
      const sums = k.offset(task.edge, row, 4 * panel);
      finishRow(k, epilogue, task.firstConstant, {
        sums,
        count: t.columns,
        to,
        kept,
        continues: step.continues,
        ends: step.ends,
      });
    });
  const whole = k.and(k.eq(t.rows, rows), k.eq(t.columns, panel));
  const direct = epilogue.activation === undefined ? whole : k.and(whole, k.eq(step.ends, 0));
  k.if(
    direct,
    () => {
      const c = product(vectors);
      const targets = c.map((_, r) => k.offset(t.out, k.mul(p.N, r), 4));
      k.if(step.continues, () =>
        c.forEach((row, r) => row.forEach((x, v) => k.assign(x, k.add(x, k.loadVF(targets[r]!, 4 * v * W))))),
      );
      c.forEach((row, r) => row.forEach((x, v) => k.store(targets[r]!, x, 4 * v * W)));
    },
    () => {
      for (let live = 1; live <= vectors; live++) {
        const above = k.gt(t.columns, (live - 1) * W);
        const fits = live === vectors ? above : k.and(above, k.le(t.columns, live * W));
        k.if(fits, () => toEdge(live));
      }
      fromEdge();
    },
  );
}

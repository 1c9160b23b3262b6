import type { I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import { offsetsAt } from '../axes.js';
import type { Kernel } from '../../codegen/kernel.js';
import { eachVector } from '../lanes.js';
import { TILE, type CopyPlan } from './plan.js';

export type ElementBytes = 1 | 2 | 4;

/** Edge of the block that a transposition turns without a loop: every address is a line's and a constant. */
const BLOCK = 4;

/** Arguments: source, target, units, perTask, then extents, source steps and target steps of all axes. */
export function copy(mode: CopyPlan['mode'], bytes: ElementBytes, axes: number): Kernel {
  return {
    name: `copy ${mode}`,
    key: `${bytes} ${axes}`,
    parameters: ['pointer', 'pointer', 'i32', 'i32', ...new Array<'i32'>(3 * axes).fill('i32')],
    cpu: (k) => text(k, mode, bytes, axes),
  };
}

interface Axis {
  readonly extent: I32;
  readonly source: I32;
  readonly target: I32;
}

function text(k: VectorBuilder, mode: CopyPlan['mode'], bytes: ElementBytes, count: number): void {
  const [source, target] = [k.parameter(0, 'pointer'), k.parameter(1, 'pointer')];
  const [units, perTask] = [k.parameter(2, 'i32'), k.parameter(3, 'i32')];
  const axes: Axis[] = Array.from({ length: count }, (_, axis) => ({
    extent: k.parameter(4 + axis, 'i32'),
    source: k.parameter(4 + count + axis, 'i32'),
    target: k.parameter(4 + 2 * count + axis, 'i32'),
  }));
  const inner = mode === 'tiles' ? 2 : 1;
  const outer = axes.slice(0, count - inner);
  const place = (index: I32): readonly [Pointer, Pointer] => {
    const [from, to] = offsetsAt(
      k,
      index,
      outer.map((axis) => axis.extent),
      [outer.map((axis) => axis.source), outer.map((axis) => axis.target)],
    );
    return [from ? k.offset(source, from, bytes) : source, to ? k.offset(target, to, bytes) : target];
  };
  k.loop(k.begin, k.end, (task) => {
    const first = k.mul(task, perTask);
    k.loop(first, k.min(k.add(first, perTask), units), (unit) => {
      if (mode === 'tiles') tile(k, bytes, unit, axes[count - 2]!, axes[count - 1]!, place);
      else row(k, mode, bytes, axes[count - 1]!, ...place(unit));
    });
  });
}

function load(k: VectorBuilder, bytes: ElementBytes, from: Pointer, offset = 0): I32 {
  return bytes === 4 ? k.loadI32(from, offset) : bytes === 2 ? k.loadU16(from, offset) : k.loadU8(from, offset);
}

function store(k: VectorBuilder, bytes: ElementBytes, to: Pointer, value: I32, offset = 0): void {
  if (bytes === 4) k.store(to, value, offset);
  else if (bytes === 2) k.storeU16(to, value, offset);
  else k.storeU8(to, value, offset);
}

function row(
  k: VectorBuilder,
  mode: 'rows' | 'elements',
  bytes: ElementBytes,
  axis: Axis,
  source: Pointer,
  target: Pointer,
): void {
  if (mode === 'elements') {
    k.loop(0, axis.extent, (i) => {
      const value = load(k, bytes, k.offset(source, k.mul(i, axis.source), bytes));
      store(k, bytes, k.offset(target, k.mul(i, axis.target), bytes), value);
    });
    return;
  }
  copyRun(k, bytes, source, target, axis.extent);
}

function copyRun(k: VectorBuilder, bytes: ElementBytes, source: Pointer, target: Pointer, length: I32): void {
  eachVector(k, k.constant('i32', 0), length, (at, count) => {
    const [from, to] = [k.offset(source, at, bytes), k.offset(target, at, bytes)];
    if (bytes === 4) k.store(to, k.loadVI(from, 0, count), 0, count);
    else if (bytes === 2) k.storeVU16(to, k.loadVU16(from, 0, count), 0, count);
    else k.storeVU8(to, k.loadVU8(from, 0, count), 0, count);
  });
}

/** Bytes from one line of the scratch tile to the next: not a power of two, so that lines do not evict each other. */
const scratchLine = (bytes: ElementBytes): number => (TILE + 16) * bytes;

/** Workspace of one thread. */
export const copyScratch = (mode: CopyPlan['mode'], bytes: ElementBytes): number =>
  mode === 'tiles' ? TILE * scratchLine(bytes) : 0;

/**
 * Copies one tile: the source is contiguous along j, the target along i. It is turned in scratch, so that both sides
 * are read and written by whole cache lines even where their lines lie a power of two apart.
 */
function tile(
  k: VectorBuilder,
  bytes: ElementBytes,
  unit: I32,
  j: Axis,
  i: Axis,
  place: (index: I32) => readonly [Pointer, Pointer],
): void {
  const tiles = (extent: I32): I32 => k.div(k.add(extent, TILE - 1), TILE);
  const [tilesJ, tilesI] = [tiles(j.extent), tiles(i.extent)];
  const j0 = k.mul(k.rem(unit, tilesJ), TILE);
  const rest = k.div(unit, tilesJ);
  const i0 = k.mul(k.rem(rest, tilesI), TILE);
  const [sourceBase, targetBase] = place(k.div(rest, tilesI));
  // element offsets fit 32 bits where byte offsets need not
  const source = k.offset(sourceBase, k.add(k.mul(i0, i.source), j0), bytes);
  const target = k.offset(targetBase, k.add(k.mul(j0, j.target), i0), bytes);
  const [countJ, countI] = [k.min(k.sub(j.extent, j0), TILE), k.min(k.sub(i.extent, i0), TILE)];
  turn(k, bytes, source, i.source, countI, countJ);
  k.loop(0, countJ, (jj) => {
    copyRun(
      k,
      bytes,
      k.offset(k.scratch, jj, scratchLine(bytes)),
      k.offset(target, k.mul(jj, j.target), bytes),
      countI,
    );
  });
}

/** Scratch line j = the j-th element of each source line. */
function turn(k: VectorBuilder, bytes: ElementBytes, source: Pointer, stepI: I32, countI: I32, countJ: I32): void {
  const line = scratchLine(bytes);
  const [wholeI, wholeJ] = [k.and(countI, -BLOCK), k.and(countJ, -BLOCK)];
  const single = (ii: I32, jj: I32): void => {
    const from = k.offset(source, k.add(k.mul(ii, stepI), jj), bytes);
    store(k, bytes, k.offset(k.offset(k.scratch, jj, line), ii, bytes), load(k, bytes, from));
  };
  k.loop(
    0,
    wholeI,
    (ii) => {
      const lines = Array.from({ length: BLOCK }, (_, n) => k.offset(source, k.mul(k.add(ii, n), stepI), bytes));
      k.loop(
        0,
        wholeJ,
        (jj) => {
          const to = k.offset(k.offset(k.scratch, jj, line), ii, bytes);
          lines.forEach((start, i) => {
            const from = k.offset(start, jj, bytes);
            for (let j = 0; j < BLOCK; j++) store(k, bytes, to, load(k, bytes, from, bytes * j), line * j + bytes * i);
          });
        },
        BLOCK,
      );
      k.loop(wholeJ, countJ, (jj) => k.loop(ii, k.add(ii, BLOCK), (i1) => single(i1, jj)));
    },
    BLOCK,
  );
  k.loop(wholeI, countI, (ii) => k.loop(0, countJ, (jj) => single(ii, jj)));
}

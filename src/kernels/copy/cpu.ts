import type { I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import { offsetsAt } from '../axes.js';
import type { Kernel } from '../kernel.js';
import { eachVector } from '../lanes.js';
import { TILE, type CopyPlan } from './plan.js';

export type ElementBytes = 1 | 2 | 4;

/** Edge of the block that a transposition copies without a loop. */
const BLOCK = 8;

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

function row(k: VectorBuilder, mode: 'rows' | 'elements', bytes: ElementBytes, axis: Axis, source: Pointer, target: Pointer): void {
  if (mode === 'elements') {
    const [from, to] = [k.mul(axis.source, bytes), k.mul(axis.target, bytes)];
    k.loop(0, axis.extent, (i) => store(k, bytes, k.offset(target, i, to), load(k, bytes, k.offset(source, i, from))));
    return;
  }
  eachVector(k, k.constant('i32', 0), axis.extent, (at, count) => {
    const [from, to] = [k.offset(source, at, bytes), k.offset(target, at, bytes)];
    if (bytes === 4) k.store(to, k.loadVI(from, 0, count), 0, count);
    else if (bytes === 2) k.storeVU16(to, k.loadVU16(from, 0, count), 0, count);
    else k.storeVU8(to, k.loadVU8(from, 0, count), 0, count);
  });
}

/** Copies one tile: the source is contiguous along j, the target along i. */
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
  const [source, target] = place(k.div(rest, tilesI));
  const [endJ, endI] = [k.min(k.add(j0, TILE), j.extent), k.min(k.add(i0, TILE), i.extent)];
  const [stepI, stepJ] = [k.mul(i.source, bytes), k.mul(j.target, bytes)];
  const at = (jj: I32, ii: I32): readonly [Pointer, Pointer] => [
    k.offset(k.offset(source, ii, stepI), jj, bytes),
    k.offset(k.offset(target, jj, stepJ), ii, bytes),
  ];
  k.loop(
    i0,
    endI,
    (ii) =>
      k.loop(
        j0,
        endJ,
        (jj) => {
          const [from, to] = at(jj, ii);
          const whole = k.and(k.le(k.add(ii, BLOCK), endI), k.le(k.add(jj, BLOCK), endJ));
          k.if(
            whole,
            () => block(k, bytes, from, to, stepI, stepJ),
            () =>
              k.loop(ii, k.min(k.add(ii, BLOCK), endI), (i1) =>
                k.loop(jj, k.min(k.add(jj, BLOCK), endJ), (j1) => {
                  const [one, other] = at(j1, i1);
                  store(k, bytes, other, load(k, bytes, one));
                }),
              ),
          );
        },
        BLOCK,
      ),
    BLOCK,
  );
}

/** A square of `BLOCK` elements a side: every address is a row pointer and a constant. */
function block(k: VectorBuilder, bytes: ElementBytes, from: Pointer, to: Pointer, stepI: I32, stepJ: I32): void {
  const lines = Array.from({ length: BLOCK }, (_, n) => n);
  const targets = lines.map((n) => k.offset(to, n, stepJ));
  for (const i of lines) {
    const line = k.offset(from, i, stepI);
    for (const j of lines) store(k, bytes, targets[j]!, load(k, bytes, line, bytes * j), bytes * i);
  }
}

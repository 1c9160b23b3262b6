import type { Shape } from '../../core/shape.js';

/** Edge of the square tiles of a transposition: two of 64 × 64 × 4 bytes fit in the first-level cache. */
export const TILE = 64;

/**
 * One axis of a strided copy: its extent and the steps in elements of source and target. `target` is never 0, and no
 * two positions of the target are one.
 */
export interface CopyAxis {
  readonly extent: number;
  readonly source: number;
  readonly target: number;
}

/**
 * `rows`: whole runs along an axis that is contiguous on both sides. `tiles`: source and target are contiguous along
 * different axes, the last two of `axes`. `elements`: one by one.
 */
export interface CopyPlan {
  readonly mode: 'rows' | 'tiles' | 'elements';
  /** Axes outside rows or tiles, then the row, or the source's and the target's contiguous axis. */
  readonly axes: readonly CopyAxis[];
  /** Rows or tiles one task takes. */
  readonly perTask: number;
  readonly units: number;
  readonly tasks: number;
}

/** Neighbours that both sides walk as one axis become one; extents of 1 disappear. */
function merge(axes: readonly CopyAxis[]): CopyAxis[] {
  const merged: CopyAxis[] = [];
  for (const axis of axes) {
    if (axis.extent === 1) continue;
    const last = merged.at(-1);
    const chains = last?.source === axis.source * axis.extent && last.target === axis.target * axis.extent;
    if (chains) merged[merged.length - 1] = { ...axis, extent: last.extent * axis.extent };
    else merged.push(axis);
  }
  return merged;
}

/** Plans `target[Σ i·target step] = source[Σ i·source step]` for all i below `shape`; a task has `elements` at least (`taskElements`). */
export function planCopy(
  shape: Shape,
  source: readonly number[],
  target: readonly number[],
  elements: number,
): CopyPlan {
  const axes = merge(shape.map((extent, i) => ({ extent, source: source[i]!, target: target[i]! })));
  if (axes.length === 0) axes.push({ extent: 1, source: 1, target: 1 });
  const last = axes.at(-1)!;
  const contiguous = axes.findIndex((axis) => axis.source === 1);
  if (last.target === 1 && last.source !== 1 && contiguous >= 0) {
    const outer = axes.filter((axis, i) => i !== contiguous && axis !== last);
    const [j, i] = [axes[contiguous]!, last];
    const tiles = Math.ceil(j.extent / TILE) * Math.ceil(i.extent / TILE);
    const units = count(outer) * tiles;
    const perTask = Math.max(1, Math.floor(elements / (Math.min(j.extent, TILE) * Math.min(i.extent, TILE))));
    return { mode: 'tiles', axes: [...outer, j, i], perTask, units, tasks: Math.ceil(units / perTask) };
  }
  const mode = last.source === 1 && last.target === 1 ? 'rows' : 'elements';
  const split = splitRow(axes, elements);
  const units = count(split.slice(0, -1));
  const perTask = Math.max(1, Math.floor(elements / split.at(-1)!.extent));
  return { mode, axes: split, perTask, units, tasks: Math.ceil(units / perTask) };
}

const count = (axes: readonly CopyAxis[]): number => axes.reduce((product, { extent }) => product * extent, 1);

/** Cuts a long row into equal parts where it can be, so that threads share it. */
function splitRow(axes: readonly CopyAxis[], elements: number): readonly CopyAxis[] {
  const last = axes.at(-1)!;
  for (let parts = Math.floor(last.extent / elements); parts > 1; parts--) {
    if (last.extent % parts !== 0) continue;
    const extent = last.extent / parts;
    const outer = { extent: parts, source: last.source * extent, target: last.target * extent };
    return [...axes.slice(0, -1), outer, { ...last, extent }];
  }
  return axes;
}

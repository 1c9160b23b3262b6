import { broadcastStrides, sizeOf, type Shape } from '../../core/shape.js';

/**
 * How an operation on broadcast inputs is walked: rows of `inner` consecutive outputs. Axes that every input walks
 * alike are merged, so most calls have no outer axis left.
 */
export interface Plan {
  readonly inner: number;
  /** Whether each input advances along the row; else one element serves the whole row. */
  readonly advances: readonly boolean[];
  /** Extents of the axes outside a row, outermost first. */
  readonly outer: readonly number[];
  /** Steps of each input along the outer axes, in elements. */
  readonly strides: readonly (readonly number[])[];
  readonly rows: number;
  readonly rowsPerTask: number;
  /** Elements of a row that one task takes; a multiple of every vector width. */
  readonly chunk: number;
  readonly chunksPerRow: number;
  readonly tasks: number;
}

/** `elements` of a task: `taskElements` of the device. */
export function planElementwise(out: Shape, inputs: readonly Shape[], elements: number): Plan {
  const strides = inputs.map((shape) => broadcastStrides(shape, out));
  // innermost first, while merging
  const extents: number[] = [];
  const steps: number[][] = inputs.map(() => []);
  for (let axis = out.length - 1; axis >= 0; axis--) {
    const extent = out[axis]!;
    if (extent === 1) continue;
    const last = extents.length - 1;
    const merges = last >= 0 && steps.every((step, i) => strides[i]![axis] === step[last]! * extents[last]!);
    if (merges) extents[last]! *= extent;
    else {
      extents.push(extent);
      steps.forEach((step, i) => step.push(strides[i]![axis]!));
    }
  }
  const inner = extents[0] ?? 1;
  const rows = sizeOf(extents.slice(1));
  const rowsPerTask = Math.max(1, Math.floor(elements / inner));
  const chunk = Math.min(elements, inner);
  const chunksPerRow = Math.ceil(inner / chunk);
  return {
    inner,
    advances: steps.map((step) => (step[0] ?? 0) !== 0),
    outer: extents.slice(1).reverse(),
    strides: steps.map((step) => step.slice(1).reverse()),
    rows,
    rowsPerTask,
    chunk,
    chunksPerRow,
    tasks: Math.ceil(rows / rowsPerTask) * chunksPerRow,
  };
}

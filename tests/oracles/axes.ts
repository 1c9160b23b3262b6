/** One line of a tensor along an axis or several: the flat indices of its elements, in order. */
export type Line = readonly number[];

/** The lines of a tensor of `shape` along `axes`, in row-major order of the other axes. */
export function linesAlong(shape: readonly number[], axes: readonly number[]): Line[] {
  const lines = new Map<string, number[]>();
  const size = shape.reduce((product, extent) => product * extent, 1);
  for (let flat = 0; flat < size; flat++) {
    let rest = flat;
    const index = new Array<number>(shape.length);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = rest % shape[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    const key = index.filter((_, axis) => !axes.includes(axis)).join(',');
    const line = lines.get(key);
    if (line) line.push(flat);
    else lines.set(key, [flat]);
  }
  return [...lines.values()];
}

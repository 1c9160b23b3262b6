/** Which matrix of an operand batch i reads: `⌊i / div⌋ mod mod`. */
export interface Walk {
  readonly div: number;
  readonly mod: number;
}

/** Products that one dispatch can do: `count` consecutive results, and where their operands begin, in matrices. */
export interface BatchRun {
  readonly count: number;
  readonly a: Walk;
  readonly b: Walk;
  readonly aFirst: number;
  readonly bFirst: number;
  readonly outFirst: number;
}

/** Axes of the batch that both operands walk alike: `a` and `b` tell whether they repeat along it. */
interface Axis {
  readonly extent: number;
  readonly a: boolean;
  readonly b: boolean;
}

function merged(out: readonly number[], aShape: readonly number[], bShape: readonly number[]): Axis[] {
  const at = (shape: readonly number[], axis: number): number => shape[shape.length - out.length + axis] ?? 1;
  const axes: Axis[] = [];
  out.forEach((extent, i) => {
    if (extent === 1) return;
    const axis = { extent, a: at(aShape, i) > 1, b: at(bShape, i) > 1 };
    const before = axes.at(-1);
    if (before && before.a === axis.a && before.b === axis.b)
      axes[axes.length - 1] = { ...axis, extent: before.extent * extent };
    else axes.push(axis);
  });
  return axes;
}

/** How `inner` axes are walked by an operand that advances along those where `advances` holds: at most two of them. */
function walk(inner: readonly Axis[], which: 'a' | 'b'): Walk {
  const [first, last] = [inner[0], inner.at(-1)];
  if (first === undefined || last === undefined) return { div: 1, mod: 1 };
  const size = (axes: readonly Axis[]): number => axes.reduce((product, axis) => product * axis.extent, 1);
  const advancing = inner.filter((axis) => axis[which]);
  // an axis that repeats is either the inner one, divided away, or the outer one, wrapped around
  return { div: last[which] ? 1 : last.extent, mod: size(advancing) };
}

const once: Walk = { div: 1, mod: 1 };
const single: readonly BatchRun[] = [{ count: 1, a: once, b: once, aFirst: 0, bFirst: 0, outFirst: 0 }];

/**
 * Cuts a broadcast batch into runs. Axes along which an operand repeats alternate rarely, so there is one run for
 * nearly every shape; the axes beyond the last two are looped over here.
 */
export function batchRuns(
  out: readonly number[],
  aShape: readonly number[],
  bShape: readonly number[],
): readonly BatchRun[] {
  if (out.length === 0) return single;
  const axes = merged(out, aShape, bShape);
  const inner = axes.slice(-2);
  const outer = axes.slice(0, -2);
  const count = inner.reduce((product, axis) => product * axis.extent, 1);
  const [a, b] = [walk(inner, 'a'), walk(inner, 'b')];
  const runs: BatchRun[] = [];
  const total = outer.reduce((product, axis) => product * axis.extent, 1);
  for (let index = 0; index < total; index++) {
    let rest = index;
    let [aFirst, bFirst, aStep, bStep] = [0, 0, a.mod, b.mod];
    for (const axis of [...outer].reverse()) {
      const position = rest % axis.extent;
      rest = Math.floor(rest / axis.extent);
      if (axis.a) [aFirst, aStep] = [aFirst + position * aStep, aStep * axis.extent];
      if (axis.b) [bFirst, bStep] = [bFirst + position * bStep, bStep * axis.extent];
    }
    runs.push({ count, a, b, aFirst, bFirst, outFirst: index * count });
  }
  return runs;
}

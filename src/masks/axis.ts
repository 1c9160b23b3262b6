import { boundLanes, type Bounds, type Expression } from '../codegen/expression/index.js';
import { Runs } from './runs.js';

// points decided at once by one interval, and points evaluated in one go
const segment = 256;
const batch = 4096;

/**
 * Where a boolean of one integer variable holds, for its values from…to: runs over `value − from`, PARTIAL where f32
 * rounding leaves it open. Stretches that one interval decides are not evaluated point by point.
 */
export function axisRuns(expression: Expression, name: string, from: number, to: number): Runs {
  const runs = new Runs();
  const total = to - from + 1;
  const count = Math.ceil(total / segment);
  const coarse = boundLanes(expression, { [name]: steps(from, count, segment, to) });
  const kind = (bounds: Bounds, i: number): number => at(bounds.lo, i) + at(bounds.hi, i);
  for (let s = 0; s < count;) {
    const decided = kind(coarse, s);
    if (decided !== 1) {
      runs.push(Math.min(total, ++s * segment), decided);
      continue;
    }
    const start = s;
    while (s < count && (s - start) * segment < batch && kind(coarse, s) === 1) s++;
    const end = Math.min(total, s * segment);
    const fine = boundLanes(expression, { [name]: steps(from + start * segment, end - start * segment, 1, to) });
    for (let i = start * segment; i < end; i++) runs.push(i + 1, kind(fine, i - start * segment));
  }
  return runs;
}

/** Bounds of an expression of one variable at each of its values from…to. */
export function axisValues(expression: Expression, name: string, from: number, to: number): Bounds {
  const total = to - from + 1;
  const lo = new Float64Array(total);
  let hi = lo;
  for (let start = 0; start < total; start += batch) {
    const size = Math.min(batch, total - start);
    const part = boundLanes(expression, { [name]: steps(from + start, size, 1, to) });
    if (part.lo !== part.hi && hi === lo) hi = lo.slice();
    fill(lo, part.lo, start, size);
    if (hi !== lo) fill(hi, part.hi, start, size);
  }
  return { lo, hi };
}

function fill(target: Float64Array, part: Float64Array, start: number, size: number): void {
  if (part.length === 1) target.fill(part[0]!, start, start + size);
  else target.set(part, start);
}

/** `count` consecutive intervals of `width` values from `start`, the last cut at `limit`. */
function steps(start: number, count: number, width: number, limit: number): Bounds {
  const lo = new Float64Array(count);
  for (let i = 0; i < count; i++) lo[i] = start + i * width;
  return width === 1 ? { lo, hi: lo } : { lo, hi: lo.map((low) => Math.min(limit, low + width - 1)) };
}

const at = (lane: Float64Array, i: number): number => lane[lane.length === 1 ? 0 : i]!;

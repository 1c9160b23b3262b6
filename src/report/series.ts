import type { Point } from './curve-chart.js';

/** Most points of a curve that a drawing can show. */
const MOST = 600;

/**
 * A moving average, `a_i = a_{i−1} + (y_i − a_{i−1}) / w_i`: it looks about `w_i = min(window, 1 + i/8)` points back, fewer at
 * the start, where a curve falls fastest.
 */
export function smoothed(points: readonly Point[], window = Math.max(1, points.length / 40)): Point[] {
  let mean = 0;
  return points.map(({ x, y }, i) => {
    mean += (y - mean) / Math.min(window, 1 + i / 8);
    return { x, y: mean };
  });
}

/** At most 600 points: of each stretch the lowest and the highest, in their order, so that no peak is lost. */
export function thinned(points: readonly Point[]): Point[] {
  if (points.length <= MOST) return [...points];
  const stretches = MOST / 2;
  return Array.from({ length: stretches }, (_, i) => {
    const from = Math.floor((i * points.length) / stretches);
    const to = Math.floor(((i + 1) * points.length) / stretches);
    let [low, high] = [from, from];
    for (let at = from; at < to; at++) {
      if (points[at]!.y < points[low]!.y) low = at;
      if (points[at]!.y > points[high]!.y) high = at;
    }
    return [...new Set([Math.min(low, high), Math.max(low, high)])].map((at) => points[at]!);
  }).flat();
}

/** The value below which the share `p` of the values lies. */
export function quantile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? NaN;
}

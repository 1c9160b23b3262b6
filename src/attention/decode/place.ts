import { TextPlace, type Fed } from '../../tensor/index.js';
import type { Step } from './memory.js';

/** Calls `body` with the place of a step of one token; where it was given none, with one that is for this step alone. */
export function atPlace<T>(
  { q, start, place, most }: Step,
  body: (at: { readonly place: TextPlace; readonly most: number }) => T,
): T {
  if (place !== undefined) return body({ place, most: most ?? start + 1 });
  const own = new TextPlace(
    q.device,
    Array.from({ length: q.shape[0]! }, () => start),
  );
  try {
    return body({ place: own, most: start + 1 });
  } finally {
    own.dispose();
  }
}

/** A whole number for each text, `[B]`. */
export const counted = (place: TextPlace, of: (start: number) => number): Fed => ({
  shape: [place.starts.length],
  dtype: 'i32',
  data: (starts) => Int32Array.from(starts, of),
});

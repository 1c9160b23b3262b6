import { normal } from '../../src/core/random.js';
import type { Problem } from '../../src/studies/reference.js';

/** Normal queries, keys and values. */
export function randomProblem(heads: number, length: number, headDim: number): Problem {
  const draw = (what: string): Float32Array => normal(7, what, heads * length * headDim);
  return { heads, length, headDim, q: draw('q'), k: draw('k'), v: draw('v') };
}

import { meaning } from '../codegen/expression/index.js';
import { normal } from '../core/random.js';
import type { Problem } from './reference.js';

/** What `textFeatures` are. */
export const featuresNote =
  'Queries, keys and values are seeded byte-n-gram features of the text: features, not a trained model.';

/** Queries, keys and values, and what they are, for every output that shows them. */
export interface Features {
  readonly problem: Problem;
  readonly note: string;
  /** Length up to which all pairs are such as the model was trained on; undefined: any. */
  readonly trainedTo?: number;
}

export interface FeatureOptions {
  readonly heads: number;
  readonly headDim: number;
  readonly seed: number;
}

/** Directions for each length of n-gram; two n-grams that fall on one direction are one feature. */
const ROWS = 1024;
const GRAMS = 4;
// longer n-grams say more about a place than single bytes, which are everywhere
const WEIGHTS = [0.35, 0.45, 0.55, 0.6];

/**
 * Queries, keys and values of shape `[heads, n, headDim]`, one position per byte.
 *
 * Position t has a content vector: the directions of the n-grams of 1 to 4 bytes that end at t, drawn from a seeded
 * normal distribution per head, so that places after the same letters resemble each other. Keys add to it a slow
 * position code (cosines and sines), whose products fall off with distance. Queries are keys plus noise, times a
 * sharpness per head: early heads look around, late heads look for like text anywhere. Scores then spread by a few units,
 * so that attention is neither uniform nor one-hot. Values are content of other directions.
 */
export function textFeatures(text: Uint8Array, { heads, headDim, seed }: FeatureOptions): Problem {
  const length = text.length;
  const hashes = hashNgrams(text);
  const [q, k, v] = [0, 1, 2].map(() => new Float32Array(heads * length * headDim)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const positionDims = headDim < 8 ? 0 : 2 * Math.floor(headDim / 8);
  const contentDims = headDim - positionDims;
  for (let h = 0; h < heads; h++) {
    const part = { from: h * length * headDim, headDim, length };
    content(hashes, normal(seed, `key directions ${h}`, GRAMS * ROWS * contentDims), contentDims, k, part);
    content(hashes, normal(seed, `value directions ${h}`, GRAMS * ROWS * headDim), headDim, v, part);
    scaleRows(v, part, headDim, Math.sqrt(headDim));
    const noise = normal(seed, `query noise ${h}`, length * headDim);
    const { near, alike, reach } = temperament(h, heads);
    const codes = positionCodes(positionDims, reach);
    for (let t = 0; t < length; t++) {
      const at = part.from + t * headDim;
      for (let d = 0; d < headDim; d++) {
        const place = d - contentDims;
        if (place >= 0) k[at + d] = codes(place, t);
        const sharpness = place < 0 ? alike : near;
        // attention divides by √headDim
        q[at + d] =
          Math.sqrt(headDim) * (sharpness * k[at + d]! + (0.4 * noise[t * headDim + d]!) / Math.sqrt(headDim));
      }
    }
  }
  return { heads, length, headDim, q, k, v };
}

/** How a head looks: for places nearby, for alike text, and how far "nearby" reaches. */
function temperament(h: number, heads: number): { near: number; alike: number; reach: number } {
  const late = heads === 1 ? 0.5 : h / (heads - 1);
  return { near: 9 - 3 * late, alike: 2.5 + 2.5 * late, reach: 40 * 4 ** late };
}

/** For each position the rows of its n-grams of 1, 2, 3 and 4 bytes. */
function hashNgrams(text: Uint8Array): Uint16Array {
  const out = new Uint16Array(text.length * GRAMS);
  for (let t = 0; t < text.length; t++) {
    let hash = 0x811c9dc5;
    for (let g = 0; g < GRAMS; g++) {
      // before the text there are zeros
      hash = Math.imul(hash ^ (t >= g ? text[t - g]! : 0), 0x01000193);
      out[t * GRAMS + g] = ((hash ^ (hash >>> 15)) >>> 0) % ROWS;
    }
  }
  return out;
}

interface Head {
  /** First element. */
  readonly from: number;
  readonly headDim: number;
  readonly length: number;
}

/** Rows of unit length in the first `dims` elements: the weighted directions of the position's n-grams. */
function content(hashes: Uint16Array, directions: Float32Array, dims: number, out: Float32Array, part: Head): void {
  for (let t = 0; t < part.length; t++) {
    const at = part.from + t * part.headDim;
    for (let g = 0; g < GRAMS; g++) {
      const from = (g * ROWS + hashes[t * GRAMS + g]!) * dims;
      for (let d = 0; d < dims; d++) out[at + d]! += WEIGHTS[g]! * directions[from + d]!;
    }
  }
  scaleRows(out, part, dims, 1);
}

/** Gives the first `dims` elements of every row the length `norm`. */
function scaleRows(out: Float32Array, { from, headDim, length }: Head, dims: number, norm: number): void {
  for (let at = from; at < from + length * headDim; at += headDim) {
    let square = 0;
    for (let d = 0; d < dims; d++) square += out[at + d]! ** 2;
    const factor = norm / Math.sqrt(square || 1);
    for (let d = 0; d < dims; d++) out[at + d]! *= factor;
  }
}

/** Cosine and sine pairs of unit length in all, whose product at distance x is about e^(−x²/2·reach²). */
function positionCodes(dims: number, reach: number): (place: number, t: number) => number {
  const pairs = dims / 2;
  // frequencies at the quantiles of a half-normal distribution
  const frequencies = Array.from({ length: pairs }, (_, m) => halfNormalQuantile((m + 0.5) / pairs) / reach);
  return (place, t) => {
    const angle = frequencies[place >> 1]! * t;
    return (place % 2 === 0 ? Math.cos(angle) : Math.sin(angle)) / Math.sqrt(pairs);
  };
}

/** Where the half-normal distribution has the share `p` below it, by bisection. */
function halfNormalQuantile(p: number): number {
  let [low, high] = [0, 6];
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2;
    if (meaning.erf(middle / Math.SQRT2, 0, 0) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

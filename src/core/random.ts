import { describe } from './describe.js';
import { OptionError } from './errors.js';
import { checkValue, text } from './requirements.js';

/**
 * Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011). A number is a pure function of (seed, purpose, index), so any thread or device can draw any
 * part of a stream, and streams of different purposes never depend on who draws first.
 *
 * The layout, which kernels must follow: key = the seed's low and high word; counter = the block's low and high
 * word, then the purpose's two words; number `i` of a stream is word `i mod 4` of block `⌊i / 4⌋`.
 */

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;
const TWO_32 = 2 ** 32;

export type Words4 = [number, number, number, number];

/** The high 32 bits of the 64-bit product of two unsigned words. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  // each partial sum stays below 2³³, which a double holds exactly
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(carry / 65536)) >>> 0;
}

/** One Philox4x32-10 block: four unsigned words from a counter of four and a key of two. */
export function philox(counter: readonly [number, number, number, number], key: readonly [number, number]): Words4 {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** The key of a seed: its low and high word. A seed is a whole number from 0 to 2⁵³ − 1. */
export function seedKey(seed: number): [number, number] {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new OptionError(`random: seed must be a whole number from 0 to 2^53 - 1; got ${describe(seed)}.`);
  }
  return [seed >>> 0, Math.floor(seed / TWO_32)];
}

/** Two words that stand for a purpose in the counter: two FNV-like hashes over UTF-16 units, then mixed. */
export function purposeWords(purpose: string): [number, number] {
  checkValue('random', 'purpose', purpose, text);
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let i = 0; i < purpose.length; i++) {
    const unit = purpose.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x5bd1e995);
    b ^= b >>> 13;
  }
  a = Math.imul(a ^ (b >>> 16), 0x85ebca6b);
  b = Math.imul(b ^ (a >>> 15), 0xc2b2ae35);
  return [(a ^ (a >>> 13)) >>> 0, (b ^ (b >>> 16)) >>> 0];
}

function length(n: number): number {
  if (Number.isSafeInteger(n) && n >= 0) return n;
  throw new OptionError(`random: the number of values must be a whole number of at least 0; got ${describe(n)}.`);
}

function* blocks(seed: number, purpose: string, n: number): Generator<Words4, void> {
  const key = seedKey(seed);
  const [p0, p1] = purposeWords(purpose);
  for (let block = 0; block * 4 < n; block++) yield philox([block >>> 0, Math.floor(block / TWO_32), p0, p1], key);
}

/** `n` unsigned 32-bit words of the stream (seed, purpose). A shorter draw is a prefix of a longer one. */
export function words(seed: number, purpose: string, n: number): Uint32Array {
  const out = new Uint32Array(length(n));
  let i = 0;
  for (const block of blocks(seed, purpose, n)) {
    for (let lane = 0; lane < 4 && i < n; lane++) out[i++] = block[lane]!;
  }
  return out;
}

/** `n` numbers uniform in [0, 1): multiples of 2⁻²⁴, every one exact in f32. */
export function uniform(seed: number, purpose: string, n: number): Float32Array {
  const out = new Float32Array(length(n));
  let i = 0;
  for (const block of blocks(seed, purpose, n)) {
    for (let lane = 0; lane < 4 && i < n; lane++) out[i++] = (block[lane]! >>> 8) * 2 ** -24;
  }
  return out;
}

/** `n` standard normal numbers by Box–Muller: words 0, 1 give two values (cosine, sine), words 2, 3 the next two. */
export function normal(seed: number, purpose: string, n: number): Float32Array {
  const out = new Float32Array(length(n));
  let i = 0;
  for (const block of blocks(seed, purpose, n)) {
    for (let pair = 0; pair < 4 && i < n; pair += 2) {
      // (w + 1)·2⁻³² lies in (0, 1], so that the logarithm is finite
      const radius = Math.sqrt(-2 * Math.log((block[pair]! + 1) / TWO_32));
      const angle = (2 * Math.PI * block[pair + 1]!) / TWO_32;
      out[i++] = radius * Math.cos(angle);
      if (i < n) out[i++] = radius * Math.sin(angle);
    }
  }
  return out;
}

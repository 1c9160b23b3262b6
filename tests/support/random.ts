/** A small seeded generator for test data (mulberry32): equal seeds, equal numbers. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `length` f32 numbers, evenly from `low` to `high`. */
export function uniform(seed: number, length: number, low = -1, high = 1): Float32Array {
  const next = generator(seed);
  return Float32Array.from({ length }, () => low + (high - low) * next());
}

/** `length` f32 numbers of a normal distribution. */
export function normal(seed: number, length: number, deviation = 1): Float32Array {
  const next = generator(seed);
  return Float32Array.from(
    { length },
    () => deviation * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  );
}

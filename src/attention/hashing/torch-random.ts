/**
 * N(0, 1) as `torch.manual_seed(seed); torch.randn(count)` draws it on a CPU in f32, from 16 numbers on: the Mersenne Twister MT19937 (Matsumoto,
 * Nishimura 1998), 24 bits of each draw, and Box and Muller's transform in blocks of 16. Equal but for the last bits of logarithm and cosine.
 *
 * @throws never: fewer than 16 numbers are the first of 16, which torch draws otherwise.
 */
export function torchNormal(seed: number, count: number): Float32Array {
  const next = mersenneTwister(seed);
  const size = Math.max(16, count);
  const draw = (): number => (next() & 0xffffff) / 2 ** 24;
  const out = Float32Array.from({ length: size }, draw);
  const block = (at: number): void => {
    for (let j = at; j < at + 8; j++) {
      const radius = Math.sqrt(-2 * Math.log(1 - out[j]!));
      const angle = 2 * Math.PI * out[j + 8]!;
      [out[j], out[j + 8]] = [radius * Math.cos(angle), radius * Math.sin(angle)];
    }
  };
  for (let at = 0; at + 16 <= size; at += 16) block(at);
  if (size % 16 !== 0) {
    for (let j = size - 16; j < size; j++) out[j] = draw();
    block(size - 16);
  }
  return out.subarray(0, count);
}

/** The 32-bit numbers of MT19937. */
export function mersenneTwister(seed: number): () => number {
  const [n, m] = [624, 397];
  const state = new Uint32Array(n);
  state[0] = seed;
  for (let i = 1; i < n; i++) state[i] = Math.imul(1812433253, state[i - 1]! ^ (state[i - 1]! >>> 30)) + i;
  let at = n;
  const twist = (): void => {
    for (let i = 0; i < n; i++) {
      const y = (state[i]! & 0x80000000) | (state[(i + 1) % n]! & 0x7fffffff);
      state[i] = state[(i + m) % n]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    at = 0;
  };
  return () => {
    if (at === n) twist();
    let y = state[at++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  };
}

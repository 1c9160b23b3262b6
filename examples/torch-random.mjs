/**
 * The numbers of `torch.manual_seed(seed)` followed by calls of `torch.randn` on the CPU, so that the chapter's own data can be
 * used: a Mersenne Twister (Matsumoto, Nishimura 1998), 24-bit uniforms, Box–Muller in blocks of 16. Equal up to rounding.
 */
export function torchRandom(seed) {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let i = 1; i < 624; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  let at = 624;

  const next = () => {
    if (at === 624) {
      for (let i = 0; i < 624; i++) {
        const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
        state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      at = 0;
    }
    let y = state[at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
  const uniform = () => (next() & 0xffffff) / 2 ** 24;

  /** `torch.rand(count)`, and `torch.randn(count)` for 16 numbers or more. */
  return {
    rand: (count) => Float32Array.from({ length: count }, uniform),
    randn: (count) => {
      if (count < 16) throw new Error(`torchRandom: randn takes at least 16 numbers; got ${count}.`);
      const out = Float32Array.from({ length: count }, uniform);
      const turn = (from) => {
        for (let j = from; j < from + 8; j++) {
          const radius = Math.sqrt(-2 * Math.log(1 - out[j]));
          const angle = 2 * Math.PI * out[j + 8];
          out[j] = radius * Math.cos(angle);
          out[j + 8] = radius * Math.sin(angle);
        }
      };
      for (let from = 0; from + 16 <= count; from += 16) turn(from);
      if (count % 16 !== 0) {
        for (let i = count - 16; i < count; i++) out[i] = uniform();
        turn(count - 16);
      }
      return out;
    },
  };
}

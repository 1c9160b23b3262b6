import type { I32, VectorBuilder, VI } from '../codegen/vector.js';

const multipliers = [0xd2511f53 | 0, 0xcd9e8d57 | 0] as const;
const weyl = [0x9e3779b9 | 0, 0xbb67ae85 | 0] as const;

/** Philox4x32-10 (Salmon et al. 2011): four random words for each lane's counter. */
export function philox(k: VectorBuilder, counter: readonly [VI, VI, VI, VI], seed: readonly [I32, I32]): readonly VI[] {
  const [m0, m1] = multipliers.map((m) => k.constant('vi', m)) as [VI, VI];
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = seed;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = [k.mulHighUnsigned(m0, c0), k.mul(m0, c0)];
    const [high1, low1] = [k.mulHighUnsigned(m1, c2), k.mul(m1, c2)];
    [c0, c1, c2, c3] = [k.xor(k.xor(high1, c1), k.splat(k0)), low1, k.xor(k.xor(high0, c3), k.splat(k1)), low0];
    [k0, k1] = [k.add(k0, weyl[0]), k.add(k1, weyl[1])];
  }
  return [c0, c1, c2, c3];
}

/** What the kernels take for a dropout rate: an element is kept if 31 random bits are below `keepBelow`, and multiplied. */
export const keeping = (rate: number): { readonly keepBelow: number; readonly keepFactor: number } => ({
  keepBelow: Math.min(2 ** 31 - 1, Math.round((1 - rate) * 2 ** 31)),
  keepFactor: 1 / (1 - rate),
});

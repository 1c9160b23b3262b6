import type { F32, I32, Pointer, VectorBuilder, VI } from '../../codegen/vector.js';
import type { AttendTiles } from './layout.js';

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

export interface DropoutParameters {
  readonly seedLow: I32;
  readonly seedHigh: I32;
  readonly keepBelow: I32;
  readonly keepFactor: F32;
}

export interface DropoutTile {
  readonly lines: Pointer;
  readonly count: I32;
  readonly k0: I32;
  readonly firstQuery: I32;
  readonly head: I32;
  readonly residue: I32;
  readonly period: number;
}

/**
 * Zeroes what dropout drops and multiplies what it keeps by 1/(1 − rate). Whether a pair is kept depends on (seed, head,
 * query, key) alone. A counter serves four keys of a residue class, and steps start at multiples of four.
 */
export function dropTile(k: VectorBuilder, t: AttendTiles, p: DropoutParameters, x: DropoutTile): void {
  const factor = k.splat(p.keepFactor);
  const pair = (line: Pointer, at: number, word: VI): void => {
    const keep = k.lt(k.shrUnsigned(word, 1), k.splat(p.keepBelow));
    k.store(line, k.select(keep, k.mul(k.loadVF(line, at), factor), 0), at);
  };
  k.loop(
    0,
    x.count,
    (j) => {
      const key = k.splat(k.shrUnsigned(k.add(x.k0, j), 2));
      for (let v = 0; v < t.vectors; v++) {
        const query = k.add(k.iota(), k.splat(k.add(x.firstQuery, v * k.width)));
        const words = philox(k, [query, key, k.splat(x.head), k.splat(x.residue)], [p.seedLow, p.seedHigh]);
        words.forEach((word, i) => pair(k.offset(x.lines, k.add(j, i), 4 * t.panel), 4 * v * k.width, word));
      }
    },
    4,
  );
}
